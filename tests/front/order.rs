//! Goal: a client has many requests under way, and sees them run and answered in order. Method: a raw client that
//! writes before it reads.

use redis_steward::DatabaseConfig;

use crate::{
    common::{eventually, resp::encode},
    site::Site,
};

const SOON: std::time::Duration = std::time::Duration::from_secs(10);
const ROUNDS: usize = 3_000;

async fn many_requests(database: impl FnOnce(DatabaseConfig) -> DatabaseConfig) {
    let site = Site::with(database, |front| front).await;
    let mut client = site.client();
    let mut requests = Vec::new();
    for round in 0..ROUNDS {
        let round = round.to_string();
        requests.extend(encode(&["SET", "a", &round]));
        requests.extend(encode(&["GET", "a"]));
        requests.extend(encode(&["PING", &round]));
    }
    client.send_bytes(&requests);
    for round in 0..ROUNDS {
        assert_eq!(client.read(), "+OK");
        let shown = format!("${} {round}", round.to_string().len());
        assert_eq!(client.read(), shown);
        assert_eq!(client.read(), shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_order_of_the_requests() {
    many_requests(|main| main).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_its_own_writes_over_several_shared_connections() {
    many_requests(|main| main.shared_connections(4, 4)).await;
}

/// The first one may find no room, and is sent later than at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_command_does_not_overtake_a_large_one() {
    let site = Site::with(|main| main.max_in_flight_bytes(100_000), |front| front).await;
    let mut client = site.client();
    let large = "x".repeat(60_000);
    for round in 0..300 {
        let round = round.to_string();
        let mut requests = encode(&["SET", "other", &large]);
        requests.extend(encode(&["SET", "a", &large]));
        requests.extend(encode(&["SET", "a", &round]));
        client.send_bytes(&requests);
        assert_eq!(client.read(), "+OK");
        let reply = client.read();
        assert!(
            reply == "+OK" || reply.starts_with("-OVERLOADED "),
            "{reply}"
        );
        assert_eq!(client.read(), "+OK");
        let shown = format!("${} {round}", round.len());
        assert_eq!(client.ask("GET a"), shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_behind_one_that_blocks_wait_for_it() {
    let site = Site::start().await;
    let (mut client, mut other) = (site.client(), site.client());
    client.ask("SET a before");
    client.send("BLPOP list 0");
    client.send("GET a");
    let blocked = || site.supervisor.statistics().databases["main"].pool.in_use == 1;
    eventually(SOON, "it blocks", blocked);
    other.ask("SET a after");
    assert_eq!(other.ask("RPUSH list x"), ":1");
    assert_eq!(client.read(), "*2 $4 list $1 x");
    assert_eq!(client.read(), "$5 after");
    assert_eq!(client.ask("BLPOP list 0.01"), "*-1");
    assert_eq!(
        client.ask("BLMOVE list other LEFT LEFT 0.01"),
        site.direct().ask("BLMOVE list other LEFT LEFT 0.01")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_while_it_waits_takes_nothing() {
    let site = Site::start().await;
    let mut client = site.client();
    client.send("BLPOP list 0");
    let in_use = || site.supervisor.statistics().databases["main"].pool.in_use;
    eventually(SOON, "it blocks", || in_use() == 1);
    drop(client);
    eventually(SOON, "its connection is closed", || in_use() == 0);
    let mut direct = site.direct();
    let clients = || site.server.clients_named("redis-steward").len();
    eventually(SOON, "the server knows", || clients() == 1);
    direct.ask("RPUSH list x");
    assert_eq!(direct.ask("LLEN list"), ":1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_a_half_close_is_answered() {
    let site = Site::start().await;
    let stream = std::net::TcpStream::connect(site.address).expect("a connection");
    let mut requests = Vec::new();
    for _ in 0..100 {
        requests.extend(encode(&["INCR", "counter"]));
    }
    std::io::Write::write_all(&mut &stream, &requests).expect("a write");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("a half close");
    let mut replies = String::new();
    std::io::Read::read_to_string(&mut &stream, &mut replies).expect("replies");
    assert_eq!(replies.lines().count(), 100);
    assert!(replies.ends_with(":100\r\n"), "{replies}");
}
