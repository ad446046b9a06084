//! Goal: replies have the shape of the client's version of the protocol, whichever the database speaks. Method: the
//! same commands go to the front and to the server itself, for each pair of versions.

use redis_steward::Protocol;

use crate::site::Site;

const DATA: [&str; 7] = [
    "SET s text",
    "HSET h f 1 g 2",
    "SADD set x",
    "ZADD z 1 a 2.5 b inf c",
    "RPUSH l a b c",
    "GEOADD geo 13.5 38.25 here",
    "XADD stream 1-1 f v",
];

const COMMANDS: [&str; 60] = [
    "GET s",
    "GET none",
    "MGET s none",
    "TYPE s",
    "STRLEN s",
    "HGETALL h",
    "HGETALL none",
    "HGET h none",
    "HMGET h f none",
    "HKEYS h",
    "HRANDFIELD h 5 WITHVALUES",
    "HRANDFIELD h 5",
    "HRANDFIELD none",
    "HINCRBYFLOAT h f 0.5",
    "SMEMBERS set",
    "SINTER set none",
    "SUNION set set",
    "SPOP none 2",
    "SPOP none",
    "SISMEMBER set x",
    "ZSCORE z b",
    "ZSCORE z none",
    "ZSCORE z c",
    "ZMSCORE z a none",
    "ZADD z INCR 1 a",
    "ZADD z 1 incr",
    "ZREM z incr",
    "ZINCRBY z 0.25 a",
    "ZRANGE z 0 -1",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZRANGE z 0 0 WITHSCORES",
    "ZRANGE none 0 -1 WITHSCORES",
    "ZREVRANGEBYSCORE z +inf -inf WITHSCORES LIMIT 0 2",
    "ZUNION 1 z WITHSCORES",
    "ZDIFF 2 z none WITHSCORES",
    "ZRANDMEMBER z 0",
    "ZRANDMEMBER none 1 WITHSCORES",
    "ZPOPMIN z",
    "ZPOPMAX z 1",
    "ZPOPMIN none",
    "ZMPOP 1 z MIN",
    "ZMPOP 1 z MIN COUNT 2",
    "BZPOPMIN z 0.01",
    "BZMPOP 0.01 1 z MIN",
    "LPOP l 2",
    "LPOP none 2",
    "LPOP none",
    "LMPOP 1 none LEFT",
    "BLPOP none 0.01",
    "LRANGE l 0 -1",
    "GEOPOS geo here none",
    "GEODIST geo here here",
    "XREAD STREAMS stream 0",
    "XREAD STREAMS stream $",
    "XRANGE stream - +",
    "XINFO STREAM stream",
    "CONFIG GET none*",
    "EVAL return{1,'a',{2}} 0",
    "EVAL return{ok='fine'} 0",
    "SCAN 0 MATCH none*",
];

/// The reply with every number in its shortest form, and without the lengths of strings: the server writes more
/// digits than there are.
fn with_short_numbers(reply: &str) -> String {
    let words = reply
        .split(' ')
        .filter(|word| !word.starts_with('$') || *word == "$-1");
    let short = words.map(|word| {
        let digits = word.strip_prefix(',').unwrap_or(word);
        let mark = &word[..word.len() - digits.len()];
        match digits.parse::<f64>() {
            Ok(number) => format!("{mark}{number}"),
            Err(_) => word.to_owned(),
        }
    });
    short.collect::<Vec<_>>().join(" ")
}

async fn compare(database: Protocol, client_version: u8) {
    let site = Site::with(
        |main| main.protocol(database).allow_admin(true),
        |front| front,
    )
    .await;
    let mut expected = Vec::new();
    let mut direct = site.direct();
    direct.ask(&format!("HELLO {client_version}"));
    for command in DATA.iter().chain(&COMMANDS) {
        expected.push(direct.ask(command));
    }
    direct.ask("FLUSHALL");
    let mut client = site.client();
    client.ask(&format!("HELLO {client_version}"));
    for (command, expected) in DATA.iter().chain(&COMMANDS).zip(expected) {
        let found = client.ask(command);
        assert_eq!(
            with_short_numbers(&found),
            with_short_numbers(&expected),
            "{command} of a client of RESP{client_version} over {database:?}"
        );
    }
    // A transaction has the shapes of its commands.
    for command in ["MULTI", "HGETALL h", "ZRANGE geo 0 -1 WITHSCORES", "EXEC"] {
        assert_eq!(client.ask(command), direct.ask(command), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resp2_over_resp2() {
    compare(Protocol::Resp2, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resp3_over_resp2() {
    compare(Protocol::Resp2, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resp2_over_resp3() {
    compare(Protocol::Resp3, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resp3_over_resp3() {
    compare(Protocol::Resp3, 3).await;
}
