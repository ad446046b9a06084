//! Goal: a subscriber of the front sees the replies and messages that a server sends, in order, and never a gap that it
//! could not notice. Method: the same lines go to the front and to the server itself; publishers, a reader that does
//! not read, and a server that ends connections.

use std::{num::NonZeroUsize, time::Duration};

use redis::{AsyncCommands, cmd};
use redis_steward::{DatabaseConfig, MemoryServer, Protocol};

use crate::{
    common::{eventually, resp::encode, spawn, version},
    raw_client::RawClient,
    site::Site,
};

const SOON: Duration = Duration::from_secs(20);

fn in_use(site: &Site) -> usize {
    site.supervisor.statistics().databases["main"].pool.in_use
}

/// Lines of a subscriber, each with the number of its replies.
const LINES: [(&str, usize); 17] = [
    ("UNSUBSCRIBE", 1),
    ("punsubscribe a b", 2),
    ("SUBSCRIBE", 1),
    ("SUBSCRIBE a b", 2),
    ("SUBSCRIBE a", 1),
    ("psubscribe p*", 1),
    ("PING", 1),
    ("PING hello", 1),
    ("PING hello world", 1),
    ("PUNSUBSCRIBE none", 1),
    ("UNSUBSCRIBE b", 1),
    ("UNSUBSCRIBE", 1),
    ("PUNSUBSCRIBE", 1),
    ("UNSUBSCRIBE", 1),
    ("PING", 1),
    ("GET none", 1),
    ("PSUBSCRIBE p*", 1),
];

/// Lines that a subscriber in RESP2 may not send.
const REFUSED_IN_RESP2: [&str; 4] = ["GET a", "SELECT 0", "MULTI", "WATCH a"];

async fn compare(database: Protocol, client_version: u8) {
    let site = Site::with(|main| main.protocol(database), |front| front).await;
    let (mut client, mut direct) = (site.client(), site.direct());
    for line in [&mut client, &mut direct] {
        line.ask(&format!("HELLO {client_version}"));
    }
    let mut lines = LINES.to_vec();
    if version() >= (7, 0) {
        lines.extend([("SSUBSCRIBE s", 1), ("SUNSUBSCRIBE s", 1)]);
    }
    if client_version == 2 {
        lines.extend(REFUSED_IN_RESP2.map(|line| (line, 1)));
    }
    for (line, replies) in lines {
        client.send(line);
        direct.send(line);
        for _ in 0..replies {
            // Before 7.0 there are no shards to subscribe to, and the text of the refusal does not name them.
            let expected = direct.read().replace("(P)", "(P|S)");
            assert_eq!(client.read(), expected, "{line}");
        }
    }
    // After RESET it is as if it had just connected.
    assert_eq!(client.ask("RESET"), "+RESET");
    assert_eq!(client.ask("GET none"), "$-1");
    eventually(SOON, "its connection is given back", || in_use(&site) == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_in_resp2_are_those_of_a_server() {
    compare(Protocol::Resp2, 2).await;
    compare(Protocol::Resp3, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_in_resp3_are_those_of_a_server() {
    compare(Protocol::Resp2, 3).await;
    compare(Protocol::Resp3, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_their_order_beside_replies() {
    const ROUNDS: usize = 500;
    for (database, mark) in [(Protocol::Resp2, '>'), (Protocol::Resp3, '*')] {
        let site = Site::with(|main| main.protocol(database), |front| front).await;
        let (mut client, mut other) = (site.client(), site.client());
        let version = if mark == '>' { 3 } else { 2 };
        client.ask(&format!("HELLO {version}"));
        client.ask("SUBSCRIBE news");
        client.ask("PSUBSCRIBE new?");
        for round in 0..ROUNDS {
            other.send(&format!("PUBLISH news {round}"));
            client.send(&format!("PING p{round}"));
        }
        let (mut messages, mut pongs) = (Vec::new(), Vec::new());
        while messages.len() < 2 * ROUNDS || pongs.len() < ROUNDS {
            let line = client.read();
            let text = line.rsplit(' ').next().unwrap_or_default().to_owned();
            if line.contains("message") {
                assert!(line.starts_with(mark), "{line}");
                messages.push(text);
            } else {
                pongs.push(text);
            }
        }
        for round in 0..ROUNDS {
            assert_eq!(other.read(), ":2");
            assert_eq!(
                messages[2 * round..][..2],
                [round.to_string(), round.to_string()]
            );
            assert_eq!(pongs[round], format!("p{round}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_in_resp3_runs_commands() {
    let site = Site::start().await;
    let mut client = site.client();
    client.ask("HELLO 3");
    // A command that is sent with a subscription runs after it.
    let mut lines = encode(&["SUBSCRIBE", "a"]);
    lines.extend(encode(&["PUBLISH", "a", "hello"]));
    client.send_bytes(&lines);
    assert_eq!(client.read(), ">3 $9 subscribe $1 a :1");
    let both = [client.read(), client.read()];
    for expected in [":1", ">3 $7 message $1 a $5 hello"] {
        assert!(both.iter().any(|line| line == expected), "{both:?}");
    }
    for (line, reply) in [
        ("SET k 1", "+OK"),
        ("WATCH k", "+OK"),
        ("MULTI", "+OK"),
        ("GET k", "+QUEUED"),
        ("EXEC", "*1 $1 1"),
        ("BLPOP none 0.01", "_"),
    ] {
        assert_eq!(client.ask(line), reply, "{line}");
    }
    let info = client.ask("CLIENT INFO");
    assert!(info.contains(" sub=1 psub=0 "), "{info}");
    // As RESP2 it is a subscriber of RESP2.
    assert!(client.ask("HELLO 2").starts_with("*14 "));
    assert!(client.ask("GET k").starts_with("-ERR Can't execute 'get'"));
    assert_eq!(client.ask("PING"), "*2 $4 pong $0 ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_its_connection_to_the_server_ends_the_subscriber() {
    let site = Site::start().await;
    let (mut client, mut other, mut direct) = (site.client(), site.client(), site.direct());
    client.ask("SUBSCRIBE a");
    direct.ask("PUBLISH a last");
    let kill = direct.ask("CLIENT KILL TYPE pubsub");
    assert_eq!(kill, ":1");
    // A message that came before is not lost.
    assert_eq!(client.read(), "*3 $7 message $1 a $4 last");
    assert_eq!(client.read_to_end(), "");
    assert_eq!(other.ask("PING"), "+PONG");
    // It subscribes again as a client of a server does.
    let mut again = site.client();
    assert_eq!(again.ask("SUBSCRIBE a"), "*3 $9 subscribe $1 a :1");
}

#[tokio::test(flavor = "multi_thread")]
async fn during_an_outage_a_subscription_is_refused_and_the_client_stays() {
    // A caller that waits for a connection when the circuit opens waits on.
    let short = Duration::from_millis(500);
    let impatient = |main: DatabaseConfig| main.command_timeout(short).acquire_timeout(short);
    let site = Site::with(impatient, |front| front).await;
    let mut client = site.client();
    site.server.kill();
    eventually(SOON, "the circuit opens", || {
        client.ask("SUBSCRIBE a").starts_with("-CIRCUITOPEN ")
    });
    assert_eq!(client.ask("PING"), "+PONG");
    site.server.restart();
    eventually(SOON, "it works again", || {
        client.ask("SUBSCRIBE a").starts_with("*3")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn quit_and_a_closed_connection_give_the_connection_back() {
    let site = Site::start().await;
    let mut client = site.client();
    client.ask("SUBSCRIBE a");
    assert_eq!(in_use(&site), 1);
    assert_eq!(client.ask("QUIT"), "+OK");
    assert_eq!(client.read_to_end(), "");
    eventually(SOON, "it is given back", || in_use(&site) == 0);
    let mut client = site.client();
    client.ask("PSUBSCRIBE a");
    drop(client);
    eventually(SOON, "it is given back", || in_use(&site) == 0);
    let subscribers = || site.direct().ask("PUBSUB NUMPAT");
    eventually(SOON, "the server has no subscriber", || {
        subscribers() == ":0"
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_is_disconnected_and_disturbs_no_other() {
    const MIB: usize = 1024 * 1024;
    let bytes = NonZeroUsize::new(4 * MIB).expect("more than none");
    let site = Site::with(|main| main, |front| front.max_message_bytes(bytes)).await;
    let (mut slow, mut quick, mut other) = (site.client(), site.client(), site.client());
    slow.ask("SUBSCRIBE a");
    quick.ask("SUBSCRIBE a");
    let text = "x".repeat(100 * 1024);
    let publish = encode(&["PUBLISH", "a", &text]);
    eventually(SOON, "it is disconnected", || {
        other.send_bytes(&publish);
        let listeners = other.read();
        assert!(quick.read().ends_with(&text));
        listeners == ":1"
    });
    // It has got whole messages up to then, and no part of a later one.
    let rest = slow.read_to_end();
    assert!(rest.len() < 16 * MIB, "{} bytes", rest.len());
    assert_eq!(quick.ask("PING"), "*2 $4 pong $0 ");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_to_lend_a_subscription_is_an_error() {
    let few = |main: DatabaseConfig| {
        main.max_connections(2)
            .acquire_timeout(Duration::from_millis(50))
    };
    let site = Site::with(few, |front| front).await;
    let (mut one, mut two) = (site.client(), site.client());
    let subscribes = |client: &mut RawClient| client.ask("SUBSCRIBE a").starts_with("*3 ");
    eventually(SOON, "it has a connection", || subscribes(&mut one));
    let refused = two.ask("SUBSCRIBE a");
    assert!(refused.starts_with("-TIMEDOUT "), "{refused}");
    assert_eq!(two.ask("PING"), "+PONG");
    one.ask("UNSUBSCRIBE");
    eventually(SOON, "it has a connection", || subscribes(&mut two));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_subscription_changes_nothing() {
    let site = Site::start().await;
    let mut direct = site.direct();
    direct.ask("ACL SETUSER default resetchannels &open");
    let mut client = site.client();
    assert!(client.ask("SUBSCRIBE closed").starts_with("-NOPERM "));
    assert_eq!(client.ask("GET a"), "$-1");
    assert_eq!(client.ask("SUBSCRIBE open"), "*3 $9 subscribe $4 open :1");
    assert!(client.ask("SUBSCRIBE closed").starts_with("-NOPERM "));
    direct.ask("PUBLISH open hello");
    assert_eq!(client.read(), "*3 $7 message $4 open $5 hello");
    client.ask("UNSUBSCRIBE open");
    eventually(SOON, "nothing is left", || in_use(&site) == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_to_the_embedded_server_work_as_well() {
    let server = MemoryServer::new();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let front = supervisor.front().listen_tcp("127.0.0.1:0").start().await;
    let front = front.expect("a front");
    let mut client = RawClient::connect(front.addresses().next().expect("its address"));
    client.ask("SUBSCRIBE a");
    let _: i64 = main
        .query(cmd("PUBLISH").arg("a").arg("hello"))
        .await
        .expect("one");
    assert_eq!(client.read(), "*3 $7 message $1 a $5 hello");
    assert_eq!(server.drop_connections(), 2);
    assert_eq!(client.read_to_end(), "");
}

#[tokio::test]
async fn a_connection_within_the_process_says_that_it_carries_no_messages() {
    let server = MemoryServer::new();
    let main = DatabaseConfig::from_url(server.url()).protocol(Protocol::Resp3);
    let (_supervisor, main) = spawn(main).await;
    let mut connection = main.multiplexed().await.expect("a connection");
    let refused = connection.subscribe("a").await.expect_err("no messages");
    assert_eq!(refused.code(), Some("REFUSED"));
    let () = connection.set("a", 1).await.expect("OK");
}
