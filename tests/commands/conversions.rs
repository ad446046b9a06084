//! Goal: replies convert to Rust types exactly where they do on a connection of the `redis` crate, and to the
//! same values, in both protocols. Method: commands of every shape of reply, and common types; the crate's
//! own connection to the same server is the oracle.

use std::{
    any::type_name,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Debug,
};

use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Value, aio::MultiplexedConnection, pipe};
use redis_steward::{Database, DatabaseConfig, Protocol};

use crate::common::{RedisServer, older_than, spawn, words};

/// The data that the commands read.
const DATA: &str = "\
SET text forty-two
SET number 42
SET fraction 1.5
SET empty ___
MSET a 1 b 2
RPUSH list one two one three
RPUSH numbers 1 2 3
SADD set one
SADD members x y z
HSET hash field 1 other 2
HSET one field value
ZADD zset 1 one 2.5 two 3 three
ZADD single 1.5 member
ZADD infinite inf above -inf below
XADD stream 1-1 name ada age 36
XADD stream 2-1 name bob age 41
XGROUP CREATE stream group 0
GEOADD places 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
PFADD hll a b c
SETBIT bits 7 1";

/// Commands that only read, with the same reply each time.
const READS: &str = "\
GET text|GET number|GET fraction|GET missing|MGET text missing number|MGET a b|STRLEN text|GETRANGE text 0 3
EXISTS text|EXISTS text number missing|EXISTS missing|TYPE text|TYPE missing|TTL text|PTTL missing
EXPIRETIME text|OBJECT ENCODING number|OBJECT ENCODING list|OBJECT REFCOUNT list|DBSIZE|KEYS a*
SCAN 0 MATCH a* COUNT 1000|RANDOMKEY missing|ECHO words|PING|PING words|LCS a b|LCS text number LEN
LRANGE list 0 -1|LRANGE numbers 0 -1|LRANGE missing 0 -1|LINDEX list 0|LINDEX list 9|LLEN list
LPOS list one|LPOS list nine|LPOS list one COUNT 0
SMEMBERS set|SMEMBERS members|SMEMBERS missing|SISMEMBER set one|SISMEMBER set nine
SMISMEMBER set one nine|SCARD set|SRANDMEMBER set|SRANDMEMBER set 1|SINTER set members|SUNION set members
SDIFF set members|SINTERCARD 2 set members|SSCAN members 0
HGETALL hash|HGETALL missing|HGET hash field|HGET hash missing|HMGET hash field missing|HKEYS hash|HVALS hash
HLEN hash|HEXISTS hash field|HSTRLEN hash field|HRANDFIELD one|HRANDFIELD one 1
HRANDFIELD one 1 WITHVALUES|HSCAN hash 0
ZRANGE zset 0 -1|ZRANGE zset 0 -1 WITHSCORES|ZRANGE single 0 -1 WITHSCORES|ZREVRANGE zset 0 -1 WITHSCORES
ZRANGEBYSCORE zset 1 2 WITHSCORES|ZRANGE missing 0 -1 WITHSCORES|ZRANGE infinite 0 -1 WITHSCORES
ZSCORE zset two|ZSCORE zset nine|ZSCORE infinite above|ZMSCORE zset one nine|ZRANK zset two|ZRANK zset nine
ZCARD zset|ZCOUNT zset 1 2|ZRANDMEMBER single|ZRANDMEMBER single 1|ZRANDMEMBER single 1 WITHSCORES
ZUNION 2 zset single WITHSCORES|ZINTER 2 zset zset WITHSCORES|ZDIFF 2 zset single WITHSCORES|ZSCAN zset 0
XRANGE stream - +|XREVRANGE stream + - COUNT 1|XLEN stream|XREAD COUNT 1 STREAMS stream 0
XREAD STREAMS stream 9|XINFO STREAM stream|XINFO GROUPS stream|XINFO CONSUMERS stream group
XPENDING stream group
GEOPOS places Palermo|GEOPOS places Palermo missing|GEODIST places Palermo Catania
GEODIST places Palermo missing|GEOHASH places Palermo
GEOSEARCH places FROMMEMBER Palermo BYRADIUS 300 km ASC WITHDIST
GEOSEARCH places FROMMEMBER Palermo BYRADIUS 300 km ASC WITHCOORD
GEOSEARCH places FROMMEMBER Palermo BYRADIUS 300 km ASC|PFCOUNT hll|GETBIT bits 7|BITCOUNT bits|BITPOS bits 1
BITFIELD bits GET u8 0|CONFIG GET maxmemory|CONFIG GET maxmem*|CONFIG GET nothing
SCRIPT EXISTS 0123456789012345678901234567890123456789|MEMORY USAGE text|MEMORY USAGE missing
COMMAND COUNT|COMMAND INFO get|COMMAND GETKEYS get a|PUBSUB CHANNELS|PUBSUB NUMSUB news|PUBLISH news text
EVAL return{1,{2,'three'}} 0|EVAL return{double=1.5} 0|EVAL return(redis.status_reply('fine')) 0
EVAL return(false) 0|EVAL return(true) 0|EVAL return(redis.setresp(3)) 0|FUNCTION LIST|MODULE LIST|ROLE
GET list|ZSCORE text one|NOSUCHCOMMAND";

/// Commands after which the data are written again.
const WRITES: &str = "\
SET text other|SET text other NX|SET text other GET|SETNX a 1|SETEX a 9 1|GETSET text other|GETDEL text
GETEX text|APPEND text more|INCR number|DECRBY number 2|INCRBYFLOAT fraction 0.25|MSETNX c 1 d 2|DEL a b|UNLINK a
EXPIRE a 100|PERSIST a|RENAME a c|RENAMENX a b|COPY a c|LPUSH list zero|LPOP list|LPOP list 2|LPOP missing
LPOP missing 2|RPOP list 1|LMOVE list numbers LEFT RIGHT|LMPOP 1 list LEFT COUNT 2|LMPOP 1 missing LEFT
LREM list 0 one|LINSERT list BEFORE two x|LSET list 0 x|LTRIM list 0 1|SADD set two|SREM set one|SPOP set
SPOP set 1|SMOVE set members one|SINTERSTORE c set members|HSET hash new 1|HSETNX hash field 1|HDEL hash field
HINCRBY hash field 5|HINCRBYFLOAT hash field 0.5|ZADD zset 9 nine|ZADD zset INCR 1.5 one|ZADD zset NX INCR 1 one
ZINCRBY zset 0.5 two|ZREM zset one|ZPOPMIN zset|ZPOPMIN zset 2|ZPOPMAX missing|ZMPOP 1 zset MIN COUNT 2
ZMPOP 1 missing MIN|ZRANGESTORE c zset 0 -1|ZREMRANGEBYRANK zset 0 0|XADD stream 3-1 a b|XDEL stream 1-1
XTRIM stream MAXLEN 1|XREADGROUP GROUP group me STREAMS stream >|XACK stream group 1-1
XAUTOCLAIM stream group me 0 0|GEOADD places 1 1 here|PFADD hll d|SETBIT bits 1 1
BITFIELD bits INCRBY u8 0 1 OVERFLOW FAIL INCRBY u8 0 255|SCRIPT LOAD return(1)|FLUSHDB";

/// The crate under test, and the oracle.
struct Pair {
    steward: Database,
    oracle: MultiplexedConnection,
}

impl Pair {
    async fn fill(&mut self) {
        let mut all = pipe();
        all.add_command(words("FLUSHDB"));
        for line in DATA.lines() {
            all.add_command(words(line));
        }
        let filled = all.query_async::<()>(&mut self.oracle).await;
        filled.expect("the data are written");
    }

    /// The difference between the two for a type, if there is any: by `query`, as a command and in a
    /// pipeline of the `redis` crate.
    async fn difference<T>(&mut self, command: &Cmd, writes: bool) -> Option<String>
    where
        T: FromRedisValue + PartialEq + Debug + Send + 'static,
    {
        let expected = command.query_async::<T>(&mut self.oracle).await.ok();
        let mut found = Vec::new();
        if writes {
            self.fill().await;
        }
        found.push(self.steward.query::<T>(command).await.ok());
        if writes {
            self.fill().await;
        }
        found.push(command.query_async::<T>(&mut self.steward).await.ok());
        if writes {
            self.fill().await;
        }
        let mut one = pipe();
        one.add_command(command.clone());
        let replies = one.query_async::<(T,)>(&mut self.steward).await.ok();
        found.push(replies.map(|(value,)| value));
        if writes {
            self.fill().await;
        }
        let differs = found.iter().any(|found| *found != expected);
        let differs = differs.then(|| format!("{}: {found:?}, not {expected:?}", type_name::<T>()));
        differs.map(|text| text.replace("alloc::string::", ""))
    }

    async fn differences(&mut self, line: &str, writes: bool) -> Vec<String> {
        let command = words(line);
        let mut found = Vec::new();
        macro_rules! compare {
            ($($type:ty),+ $(,)?) => {
                $(found.extend(self.difference::<$type>(&command, writes).await);)+
            };
        }
        compare!(
            Value,
            String,
            Vec<u8>,
            i64,
            u64,
            f64,
            bool,
            (),
            Option<String>,
            Option<i64>,
            Option<f64>,
            Vec<String>,
            Vec<i64>,
            Vec<f64>,
            Vec<bool>,
            Vec<Vec<u8>>,
            Vec<Option<String>>,
            Vec<(String, String)>,
            Vec<(String, f64)>,
            Option<Vec<String>>,
            (String, f64),
            (String, Vec<String>),
            HashSet<String>,
            BTreeSet<String>,
            HashMap<String, String>,
            HashMap<String, f64>,
            HashMap<String, i64>,
            BTreeMap<String, f64>,
            Vec<HashMap<String, String>>,
            Vec<Option<redis::geo::Coord<f64>>>,
        );
        found
            .into_iter()
            .map(|text| format!("{line} as {text}"))
            .collect()
    }
}

fn lines(list: &str) -> impl Iterator<Item = &str> {
    list.split(['\n', '|'])
}

async fn compare(protocol: Protocol, version: u8) {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url())
        .protocol(protocol)
        .allow_admin(true);
    let (supervisor, steward) = spawn(main).await;
    let url = format!("{}?protocol={version}", server.url());
    let client = redis::Client::open(url).expect("a client");
    // By default it gives up after half a second, and a reply that comes late is no difference.
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let oracle = client.get_multiplexed_async_connection_with_config(&patient);
    let oracle = oracle.await;
    let mut pair = Pair {
        steward,
        oracle: oracle.expect("a connection"),
    };
    pair.fill().await;
    let mut differences = Vec::new();
    for line in lines(READS) {
        differences.extend(pair.differences(line, false).await);
    }
    for line in lines(WRITES) {
        pair.fill().await;
        differences.extend(pair.differences(line, true).await);
    }
    assert!(differences.is_empty(), "RESP{version}: {differences:#?}");
    supervisor
        .shutdown(std::time::Duration::from_secs(10))
        .await;
}

#[tokio::test]
async fn replies_in_resp2_convert_as_those_of_the_redis_crate() {
    compare(Protocol::Resp2, 2).await;
}

#[tokio::test]
async fn replies_in_resp3_convert_as_those_of_the_redis_crate() {
    if older_than(6, 0, "RESP3") {
        return;
    }
    compare(Protocol::Resp3, 3).await;
}
