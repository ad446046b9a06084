//! Goal: reads go to the nearest server, the primary included, and to the availability zone that the caller prefers. Method:
//! a sentinel that plays a script names servers whose replies a proxy delays, or servers that play a zone; Valkey tells zones
//! itself.

use std::{pin::pin, sync::Arc, time::Duration};

use redis::cmd;
use redis_steward::{Database, DatabaseConfig, Error, Replica, ReplicaStatus, Supervisor};
use tokio::{
    task::{JoinSet, block_in_place},
    time::timeout,
};

use crate::{
    SOON, address,
    common::{
        FaultProxy, Mode, RedisServer, Script, ScriptedServer, Sentinels, eventually,
        eventually_async, left_out_on_embedded, resp::bulk, sentinels::SERVICE, skip_notice, spawn,
    },
    patient,
};

/// Longer than round trips within this machine, also if it is busy.
const FAR: Duration = Duration::from_millis(200);

fn array(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let items: Vec<_> = items.into_iter().collect();
    let header = format!("*{}\r\n", items.len()).into_bytes();
    [header].into_iter().chain(items).flatten().collect()
}

fn words(words: &[&str]) -> Vec<u8> {
    array(words.iter().map(bulk))
}

/// A sentinel that names these servers by their ports, the primary first.
fn sentinel(ports: &[u16]) -> ScriptedServer {
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    ScriptedServer::start([Script::answering(move |command| {
        let of = |port: &String| words(&["ip", "127.0.0.1", "port", port]);
        let question: Vec<_> = command
            .iter()
            .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
            .collect();
        match question.iter().map(|word| &**word).collect::<Vec<_>>()[..] {
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", _] => words(&["127.0.0.1", &ports[0]]),
            ["SENTINEL", "MASTER", _] => words(&["config-epoch", "1"]),
            ["SENTINEL", "SENTINELS", _] => array([]),
            ["SENTINEL", "MYID"] => bulk("a"),
            ["SENTINEL", "REPLICAS", _] => array(ports[1..].iter().map(of)),
            ["SUBSCRIBE", ..] => {
                let confirmed = |channel: &Vec<u8>| {
                    array([bulk("subscribe"), bulk(channel), b":1\r\n".to_vec()])
                };
                command[1..].iter().flat_map(confirmed).collect()
            }
            _ => b"+OK\r\n".to_vec(),
        }
    })])
}

/// The database that a sentinel tells of, and its supervisor.
async fn told_by(sentinel: &ScriptedServer) -> (Supervisor, Database) {
    let url = Sentinels::url_of([sentinel.port()], SERVICE).replacen(":app@", "", 1);
    spawn(DatabaseConfig::from_url(url).command_timeout(SOON)).await
}

/// The server of this name, which says that it is in this zone. A `GET` is answered with its name.
fn playing(name: &'static str, zone: &'static str) -> ScriptedServer {
    let role = if name == "primary" {
        "role:master\r\nconnected_slaves:2\r\nmaster_replid:a\r\nmaster_repl_offset:1\r\n"
    } else {
        "role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:1\r\nmaster_replid:a\r\n"
    };
    let script = Script::answering(move |command| {
        let is = |at: usize, word: &[u8]| {
            let found = command.get(at);
            found.is_some_and(|found| found.eq_ignore_ascii_case(word))
        };
        if is(0, b"ROLE") {
            array([bulk("master"), b":1\r\n".to_vec(), array([])])
        } else if is(0, b"INFO") && is(1, b"replication") {
            bulk(role)
        } else if is(0, b"INFO") && is(1, b"server") {
            bulk(format!("# Server\r\navailability_zone:{zone}\r\n"))
        } else if is(0, b"GET") {
            bulk(name)
        } else {
            b"+OK\r\n".to_vec()
        }
    });
    ScriptedServer::start([script])
}

async fn get(reads: &Replica) -> String {
    let value: Option<String> = reads.query(cmd("GET").arg("name")).await.expect("a reply");
    value.expect("it is there")
}

/// The reply of any server. On a busy machine there may be none for a moment: a replica that is slow to answer the last look.
async fn served_by_one(reads: &Replica) -> String {
    loop {
        let get = cmd("GET").arg("name").take();
        match reads.query::<String>(&get).await {
            Ok(value) => return value,
            Err(Error::CircuitOpen { .. }) => until_known(reads, 1).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn until_known(reads: &Replica, replicas: usize) {
    let is_known = |one: &ReplicaStatus| one.unusable.is_none() && one.staleness.is_some();
    let all = || reads.status().iter().filter(|one| is_known(one)).count() == replicas;
    eventually_async(SOON, "all replicas serve", all).await;
}

/// A primary and a replica, each behind a proxy that delays replies by this.
struct Pair {
    servers: [RedisServer; 2],
    _proxies: [FaultProxy; 2],
    sentinel: ScriptedServer,
}

impl Pair {
    fn start(delays: [Duration; 2]) -> Self {
        let servers = [RedisServer::start(), RedisServer::start()];
        let [primary, replica] = &servers;
        assert_eq!(primary.cli(&["SET", "name", "hello"]), "OK");
        let port = primary.port().to_string();
        assert_eq!(replica.cli(&["REPLICAOF", "127.0.0.1", &port]), "OK");
        eventually(SOON, "it is replicated", || {
            replica.cli(&["GET", "name"]) == "hello"
        });
        let behind = |at: usize| {
            let proxy = FaultProxy::start(servers[at].port());
            proxy.set(Mode::Delay {
                requests: Duration::ZERO,
                replies: delays[at],
            });
            proxy
        };
        let proxies = [behind(0), behind(1)];
        let sentinel = sentinel(&[proxies[0].port(), proxies[1].port()]);
        Self {
            servers,
            _proxies: proxies,
            sentinel,
        }
    }

    /// How many of five reads the primary serves, and how many the replica.
    async fn served(&self, reads: &Replica) -> [u64; 2] {
        let gets = || [0, 1].map(|at: usize| self.servers[at].commandstat("get"));
        let before = block_in_place(gets);
        for _ in 0..5 {
            assert_eq!(get(reads).await, "hello");
        }
        let after = block_in_place(gets);
        [0, 1].map(|at: usize| after[at] - before[at])
    }

    /// Waits until the servers serve so many of five reads. The first round trips may have been long.
    async fn until_served(&self, reads: &Replica, expected: [u64; 2]) {
        let served = async { while self.served(reads).await != expected {} };
        let in_time = timeout(SOON, served).await;
        in_time.expect("the nearest serves");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_serves_if_it_is_the_nearest() {
    if left_out_on_embedded() {
        return;
    }
    let pair = block_in_place(|| Pair::start([Duration::ZERO, FAR]));
    let (supervisor, main) = told_by(&pair.sentinel).await;
    let reads = main.replica();
    until_known(&reads, 1).await;
    // Replicas come first.
    pair.until_served(&reads, [0, 5]).await;
    let nearest = reads.clone().nearest();
    pair.until_served(&nearest, [5, 0]).await;
    // Its data is never too old.
    let recent = nearest.clone().max_staleness(Duration::ZERO);
    pair.until_served(&recent, [5, 0]).await;
    // The last call holds.
    pair.until_served(&nearest.without_primary().patient(), [0, 5])
        .await;
    let nearest = reads.without_primary().nearest();
    pair.until_served(&nearest, [5, 0]).await;
    // Pipelines go the same way.
    let before = block_in_place(|| pair.servers[0].commandstat("strlen"));
    let mut pipeline = redis::pipe();
    pipeline.strlen("name").strlen("none");
    let lengths: (u8, u8) = nearest.pipeline(&pipeline).await.expect("replies");
    assert_eq!(lengths, (5, 0));
    let after = block_in_place(|| pair.servers[0].commandstat("strlen"));
    assert_eq!(after - before, 2);
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_serves_if_it_is_nearer_than_the_primary() {
    if left_out_on_embedded() {
        return;
    }
    let pair = block_in_place(|| Pair::start([FAR, Duration::ZERO]));
    let (supervisor, main) = told_by(&pair.sentinel).await;
    let nearest = main.replica().nearest();
    until_known(&nearest, 1).await;
    pair.until_served(&nearest, [0, 5]).await;
    let recent = nearest.max_staleness(Duration::ZERO);
    assert_eq!(pair.served(&recent).await, [5, 0], "too old");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn servers_of_the_zone_serve_before_others() {
    let servers = [
        playing("primary", "c"),
        playing("one", "a"),
        playing("other", ""),
    ];
    let sentinel = sentinel(&[0, 1, 2].map(|at: usize| servers[at].port()));
    let (supervisor, main) = told_by(&sentinel).await;
    let reads = main.replica();
    until_known(&reads, 2).await;
    let zone = |at: usize| {
        let address = address(servers[at].port());
        let status = reads.status();
        let server = status.iter().find(|server| *server.address == *address);
        server.expect("it is known").availability_zone.clone()
    };
    assert_eq!(zone(1).as_deref(), Some("a"));
    assert_eq!(zone(2), None, "it tells none");

    let here = reads.clone().availability_zone("a");
    for reads in [here.clone(), here.clone().nearest(), here.without_primary()] {
        for _ in 0..10 {
            assert_eq!(get(&reads).await, "one");
        }
    }
    // The primary alone is there.
    let there = reads.clone().availability_zone("c");
    for _ in 0..10 {
        assert_ne!(get(&there).await, "primary", "it is the last resort");
        assert_eq!(get(&there.clone().nearest()).await, "primary");
    }
    // Where nobody is, and without a preference, the others serve: a replica without a zone is in none.
    for zone in ["", "b"] {
        let nowhere = reads.clone().availability_zone(zone);
        assert_ne!(get(&nowhere).await, "primary");
    }
    // Each is asked for its zone now and then, and not at every look.
    let asked = |about: &[u8]| {
        let seen = servers[1].seen();
        let info = |command: &&Vec<Vec<u8>>| {
            command[0].eq_ignore_ascii_case(b"INFO")
                && command.get(1).is_some_and(|word| word == about)
        };
        seen.iter().filter(info).count()
    };
    eventually_async(SOON, "it is looked at", || asked(b"replication") >= 4).await;
    assert!(asked(b"server") < asked(b"replication"));
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_valkey_tells_is_preferred() {
    if left_out_on_embedded() {
        return;
    }
    let site = block_in_place(Sentinels::start);
    let knows_zones = site.servers[0]
        .info("server")
        .contains_key("availability_zone");
    if !knows_zones {
        skip_notice("the server tells no availability zone");
        return;
    }
    let set = |at: usize, zone: &str| {
        let set = ["CONFIG", "SET", "availability-zone", zone];
        assert_eq!(site.servers[at].cli(&set), "OK");
    };
    block_in_place(|| (0..3).for_each(|at| set(at, ["eu-1a", "eu-1b", "eu-1c"][at])));
    let (supervisor, main) = spawn(patient(site.url())).await;
    main.query::<()>(cmd("SET").arg("name").arg("hello"))
        .await
        .expect("a reply");
    block_in_place(|| site.until_replicated());
    let reads = main.replica();
    until_known(&reads, 2).await;
    let served = async |reads: Replica| {
        let gets = || site.servers.iter().map(|server| server.commandstat("get"));
        let before: Vec<_> = block_in_place(|| gets().collect());
        for _ in 0..10 {
            assert_eq!(get(&reads).await, "hello");
        }
        let after: Vec<_> = block_in_place(|| gets().collect());
        (0..3).map(|at| after[at] - before[at]).collect::<Vec<_>>()
    };
    for (zone, expected) in [("eu-1b", [0, 10, 0]), ("eu-1c", [0, 0, 10])] {
        let here = reads.clone().availability_zone(zone);
        assert_eq!(served(here.clone()).await, expected);
        assert_eq!(served(here.nearest()).await, expected);
    }
    let primary = reads.clone().availability_zone("eu-1a");
    assert_eq!(served(primary.clone()).await[0], 0, "the last resort");
    assert_eq!(served(primary.nearest()).await, [10, 0, 0]);

    // The setting changes while the server runs.
    block_in_place(|| {
        set(1, "eu-1d");
        set(2, "");
    });
    let zones = || {
        let status = reads.status();
        let zones = status.iter().map(|one| one.availability_zone.clone());
        let mut zones: Vec<Option<Arc<str>>> = zones.collect();
        zones.sort();
        zones == [None, Some("eu-1d".into())]
    };
    eventually_async(SOON, "the zones are told", zones).await;
    let here = reads.availability_zone("eu-1d");
    assert_eq!(served(here).await, [0, 10, 0]);
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_263_reads_go_on_when_the_nearest_primary_freezes_and_dies() {
    if left_out_on_embedded() {
        return;
    }
    let pair = block_in_place(|| Pair::start([Duration::ZERO, FAR]));
    let (supervisor, main) = told_by(&pair.sentinel).await;
    let reads = main.replica().nearest();
    until_known(&reads, 1).await;
    pair.until_served(&reads, [5, 0]).await;
    let [primary, replica] = &pair.servers;
    let gets = || block_in_place(|| replica.commandstat("get"));
    // The reads that are under way, and those that follow.
    let read_on = async |fail: fn(&RedisServer)| {
        let before = gets();
        let callers = (0..16).map(|_| {
            let reads = reads.clone();
            async move {
                for _ in 0..5 {
                    assert_eq!(served_by_one(&reads).await, "hello");
                }
            }
        });
        let callers: JoinSet<()> = callers.collect();
        fail(primary);
        callers.join_all().await;
        assert!(gets() > before, "the replica serves");
    };
    read_on(RedisServer::freeze).await;
    primary.thaw();
    pair.until_served(&reads, [5, 0]).await;
    read_on(RedisServer::kill).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_264_the_nearest_primary_is_the_new_one_after_a_failover() {
    if left_out_on_embedded() {
        return;
    }
    let site = block_in_place(Sentinels::start);
    let main = patient(site.url()).attempt_timeout(Duration::from_secs(1));
    let (supervisor, main) = spawn(main).await;
    main.query::<()>(cmd("SET").arg("name").arg("hello"))
        .await
        .expect("a reply");
    block_in_place(|| site.until_replicated());
    let reads = main.replica().nearest();
    until_known(&reads, 2).await;
    site.servers[0].kill();
    let has_followed = async {
        while main
            .query::<()>(cmd("SET").arg("name").arg("again"))
            .await
            .is_err()
        {}
    };
    let mut followed = pin!(has_followed);
    // Both old replicas serve meanwhile.
    while futures_util::poll!(&mut followed).is_pending() {
        assert!(["hello", "again"].contains(&&*get(&reads).await));
    }
    // No replica is new enough for this.
    let recent = reads.max_staleness(Duration::ZERO);
    let new = block_in_place(|| site.primary_after(site.servers[0].port()));
    let before = block_in_place(|| new.commandstat("get"));
    for _ in 0..10 {
        assert_eq!(get(&recent).await, "again");
    }
    // A read that was given up before may come late.
    assert!(block_in_place(|| new.commandstat("get")) >= before + 10);
    supervisor.shutdown(SOON).await;
}
