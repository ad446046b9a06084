//! Goal: blocking commands work with the default settings, wait for their own timeout, and delay no
//! other command. Method: a real server that counts its blocked clients, and ordinary commands
//! meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use redis::{AsyncCommands, Cmd, Value, cmd, pipe};
use redis_steward::{Database, DatabaseConfig, Error, Execute, Execution, Refusal, Stage};
use tokio::task::JoinHandle;

use crate::common::{
    RedisServer, Rig, Script, ScriptedServer, eventually_async, left_out_on_embedded, older_than,
    script::handshake, words,
};

const SOON: Duration = Duration::from_secs(10);

impl Rig {
    fn begin(&self, command: Cmd) -> JoinHandle<Result<Value, Error>> {
        let main = self.main.clone();
        tokio::spawn(async move { main.execute(&command).await })
    }

    async fn until_blocked(&self, clients: usize) {
        let blocked = || self.server.info("clients")["blocked_clients"].clone();
        let is_so = || blocked() == clients.to_string();
        eventually_async(SOON, "the clients are blocked", is_so).await;
    }
}

/// The median time of some GETs, one after the other.
async fn usual_latency(main: &Database) -> Duration {
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        let _: Option<i64> = main.query(words("GET k")).await.expect("a reply");
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_five_second_blpop_works_and_delays_no_other_command() {
    // The default command timeout is 5 s as well.
    let rig = Rig::with(|main| main).await;
    let start = Instant::now();
    let waiting = rig.begin(words("BLPOP empty 5"));
    rig.until_blocked(1).await;
    let mut gets = 0;
    while !waiting.is_finished() {
        // On the connection of the blocked command, each would wait for the rest of the five seconds.
        assert!(usual_latency(&rig.main).await < Duration::from_secs(1));
        gets += 200;
    }
    let reply = waiting.await.expect("a task").expect("no error");
    assert_eq!(reply, Value::Nil);
    assert!(
        start.elapsed() >= Duration::from_millis(4_900),
        "{:?}",
        start.elapsed()
    );
    assert!(gets >= 1_000, "{gets}");
    assert_eq!(rig.stats().slow, 0, "blocking is not slowness");
    // Counts are added in batches.
    let all = || rig.stats().succeeded == gets + 1;
    eventually_async(SOON, "all are counted", all).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_blocking_commands_share_fifty_connections() {
    // Long enough to open fifty connections on a slow machine.
    let acquire = Duration::from_secs(2);
    let rig = Rig::with(|main| main.max_connections(50).acquire_timeout(acquire)).await;
    let start = Instant::now();
    let calls: Vec<_> = (0..200)
        .map(|number| rig.begin(words(&format!("BLPOP list:{number} 0"))))
        .collect();
    // One of the fifty connections is the shared one.
    rig.until_blocked(49).await;
    let mut usual = rig.main.clone();
    let _: () = usual.set("k", 1).await.expect("as usual");
    let is_over = || rig.stats().pool.waiting == 0;
    eventually_async(SOON, "no caller waits any more", is_over).await;
    assert!(start.elapsed() >= acquire);
    let mut waiting = Vec::new();
    let mut told = 0;
    for (number, call) in calls.into_iter().enumerate() {
        let is_blocked = !rig.server.cli(&["SET", "probe", "1"]).is_empty() && !call.is_finished();
        if is_blocked {
            waiting.push((number, call));
            continue;
        }
        told += 1;
        match call.await.expect("a task").expect_err("no connection") {
            Error::TimedOut {
                stage,
                execution,
                timeout,
                pool,
                ..
            } => {
                let expected = (Stage::Acquire, Execution::NotSent, acquire);
                assert_eq!((stage, execution, timeout), expected);
                assert_eq!(
                    (pool.in_use, pool.shared, pool.idle, pool.max),
                    (49, 1, 0, 50)
                );
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((told, waiting.len()), (151, 49));
    assert_eq!(rig.server.clients_named("redis-steward").len(), 50);
    for (number, call) in waiting {
        let list = format!("list:{number}");
        let _: () = usual.rpush(&list, number).await.expect("pushed");
        let (key, value): (String, usize) =
            redis::from_redis_value(call.await.expect("a task").expect("popped")).expect("a pair");
        assert_eq!((key, value), (list, number), "its own reply");
    }
    assert_eq!(rig.stats().circuit, redis_steward::CircuitState::Closed);
    rig.end().await;
}

#[tokio::test]
async fn an_endless_blpop_ignores_the_default_timeout_but_not_the_callers_own() {
    let timeout = Duration::from_millis(200);
    let rig = Rig::with(|main| main.command_timeout(timeout)).await;
    let patient = rig.begin(words("BLPOP patient 0"));
    rig.until_blocked(1).await;
    let hasty = rig.main.with_timeout(timeout);
    let start = Instant::now();
    let error = hasty
        .execute(&words("BLPOP hasty 0"))
        .await
        .expect_err("too late");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    match error {
        Error::TimedOut {
            stage, execution, ..
        } => {
            assert_eq!((stage, execution), (Stage::Reply, Execution::Unknown));
        }
        other => panic!("{other}"),
    }
    // Its connection is closed, so the server pops no value for it.
    rig.until_blocked(1).await;
    let mut usual = rig.main.clone();
    let _: () = usual.rpush("hasty", 1).await.expect("pushed");
    assert_eq!(rig.server.cli(&["LLEN", "hasty"]), "1");
    assert!(!patient.is_finished(), "after twice its handle's timeout");
    let _: () = usual.rpush("patient", 1).await.expect("pushed");
    patient.await.expect("a task").expect("popped");
    rig.end().await;
}

#[tokio::test]
async fn every_blocking_command_has_its_own_connection() {
    let rig = Rig::with(|main| main).await;
    rig.server
        .cli(&["XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM"]);
    let mut commands = vec![
        "BRPOP a 0",
        "BLMOVE a b LEFT LEFT 0",
        "BRPOPLPUSH a b 0",
        "BZPOPMIN z 0",
        "BZPOPMAX z 0",
        "xread block 0 streams stream $",
        "XREADGROUP GROUP group consumer BLOCK 0 STREAMS stream >",
    ];
    if !older_than(7, 0, "BLMPOP and BZMPOP") {
        commands.extend(["BLMPOP 0 1 a LEFT", "BZMPOP 0 1 z MIN"]);
    }
    let calls: Vec<_> = commands.iter().map(|line| rig.begin(words(line))).collect();
    rig.until_blocked(commands.len()).await;
    assert_eq!(rig.stats().pool.in_use, commands.len());
    let _: Option<i64> = rig.main.query(words("GET k")).await.expect("as usual");
    // Inside MULTI no command blocks, so the transaction runs on the shared connection.
    let mut both = pipe();
    both.atomic()
        .add_command(words("BLPOP a 0"))
        .add_command(words("GET k"));
    let replies: (Value, Value) = rig.main.pipeline(&both).await.expect("at once");
    assert_eq!(replies, (Value::Nil, Value::Nil));
    // In a plain pipeline they block, one after the other.
    let mut two = pipe();
    two.add_command(words("BLPOP none 0.2"))
        .add_command(words("BLPOP none 0.2"));
    let start = Instant::now();
    let replies: (Value, Value) = rig.main.pipeline(&two).await.expect("after a while");
    assert_eq!(replies, (Value::Nil, Value::Nil));
    assert!(start.elapsed() >= Duration::from_millis(400));
    for call in &calls {
        call.abort();
    }
    rig.until_blocked(0).await;
    rig.end().await;
}

/// WAIT reports the writes of its own connection. On a connection without writes it reports that all
/// replicas have them.
#[tokio::test]
async fn wait_needs_a_write_before_it_on_the_same_connection() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start().await;
    let replica = RedisServer::start();
    let port = rig.server.port().to_string();
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
    let of_replica = || rig.server.info("replication").remove("slave0");
    let is_online = || of_replica().is_some_and(|replica| replica.contains("state=online"));
    eventually_async(3 * SOON, "the replica follows", is_online).await;
    replica.freeze();

    for alone in ["WAIT 1 100", "waitaof 0 1 100"] {
        let error = rig.main.execute(&words(alone)).await.expect_err("refused");
        let is_refused = matches!(
            error,
            Error::CommandRefused {
                refusal: Refusal::Alone,
                ..
            }
        );
        assert!(is_refused, "{error}");
        let mut at_the_head = pipe();
        at_the_head
            .add_command(words(alone))
            .add_command(words("GET k"));
        let error = rig.main.pipeline::<(Value, Value)>(&at_the_head).await;
        assert!(
            matches!(error, Err(Error::CommandRefused { .. })),
            "{error:?}"
        );
    }
    let mut both = pipe();
    both.add_command(words("SET k v"))
        .add_command(words("WAIT 1 100"));
    let ((), reached): ((), i64) = rig.main.pipeline(&both).await.expect("both");
    assert_eq!(reached, 0);
    let mut lease = rig.main.lease().await.expect("a lease");
    lease.query::<()>(words("SET k v")).await.expect("set");
    let reached: i64 = lease.query(words("WAIT 1 100")).await.expect("waited");
    assert_eq!(reached, 0);
    replica.thaw();
    let reached: i64 = lease.query(words("WAIT 1 0")).await.expect("waited");
    assert_eq!(reached, 1);
    drop(lease);
    rig.end().await;
}

#[tokio::test]
async fn a_dead_server_ends_blocking_commands_and_a_restarted_one_serves_them() {
    let rig = Rig::with(|main| main.failure_threshold(1_000)).await;
    let calls: Vec<_> = (0..5).map(|_| rig.begin(words("BLPOP list 0"))).collect();
    rig.until_blocked(5).await;
    rig.server.kill();
    for call in calls {
        let error = call.await.expect("a task").expect_err("lost");
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
        assert_eq!(
            error.execution(),
            Execution::Unknown,
            "it may have popped something"
        );
    }
    rig.server.restart();
    rig.supervisor.ready(SOON).await.expect("back");
    let call = rig.begin(cmd("BLPOP").arg("list").arg(0).take());
    rig.until_blocked(1).await;
    let _: () = rig.main.clone().rpush("list", 1).await.expect("pushed");
    call.await.expect("a task").expect("popped");
    rig.end().await;
}

#[tokio::test]
async fn dropped_execute_message_cancels_the_command() {
    let rig = Rig::with(|main| main.max_connections(3)).await;
    let blocks = || words("BLPOP nothing 0");
    let asked: Vec<_> = (0..2)
        .map(|_| tokio::spawn(rig.main.recipient().send(Execute::new(blocks()))))
        .collect();
    rig.until_blocked(2).await;
    asked.iter().for_each(JoinHandle::abort);
    rig.until_blocked(0).await;
    assert_eq!(rig.settled().await.in_use, 0);
    drop(rig.main.lease().await.expect("there is room again"));
    // A message without a receiver for its reply is executed all the same.
    rig.main.recipient().do_send(Execute::new(words("INCR n")));
    let is_done = || rig.server.cli(&["GET", "n"]) == "1";
    eventually_async(SOON, "it is done", is_done).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_during_a_command_counts_once() {
    let rig = Rig::start().await;
    let calls: Vec<_> = (0..20)
        .map(|_| rig.begin(words("BLPOP nothing 0")))
        .collect();
    rig.until_blocked(20).await;
    rig.server
        .cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    for call in calls {
        let error = call.await.expect("a task").expect_err("killed");
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
    }
    let is_known = || rig.pool().lost == 21 && rig.pool().shared == 1;
    eventually_async(SOON, "the shared connection is open again", is_known).await;
    let pool = rig.settled().await;
    assert_eq!((pool.lost, pool.discarded), (21, 0), "{pool:?}");
    assert_eq!(pool.opened - pool.open as u64, 21, "{pool:?}");
    rig.end().await;
}

/// The connection asks the server for the name under which the server knows it. No caller notices.
#[tokio::test]
async fn a_connection_is_introduced_before_its_first_blocking_command() {
    if older_than(7, 0, "the statistics of single members of a family") {
        return;
    }
    let rig = Rig::start().await;
    let asked = || rig.server.commandstat("client|info");
    let mut lease = rig.main.lease().await.expect("a lease");
    lease.query::<()>(words("MULTI")).await.expect("begun");
    lease
        .query::<()>(words("BLPOP none 0"))
        .await
        .expect("queued");
    let replies: Vec<Value> = lease.query(words("EXEC")).await.expect("at once");
    assert_eq!((replies, asked()), (vec![Value::Nil], 0));
    let mut two = pipe();
    two.add_command(words("BLPOP none 0.01"))
        .add_command(words("GET k"));
    for _ in 0..3 {
        let replies: (Value, Value) = lease.pipeline(&two).await.expect("two replies");
        assert_eq!(replies, (Value::Nil, Value::Nil));
        let reply = lease.execute(&words("BLPOP none 0.01")).await;
        assert_eq!(reply.expect("a reply"), Value::Nil);
    }
    assert_eq!(asked(), 1, "once per connection");
    drop(lease);
    rig.end().await;
}

#[tokio::test]
async fn a_server_that_refuses_introductions_is_asked_once() {
    if older_than(7, 0, "a rule for one member of a family") {
        return;
    }
    let server = RedisServer::start();
    let rules = ["on", ">word", "~*", "&*", "+@all", "-client|info"];
    server.cli(&[&["ACL", "SETUSER", "worker"][..], &rules[..]].concat());
    let rig = Rig::on(server, |main| main.username("worker").password("word")).await;
    for _ in 0..3 {
        let (first, second) = (rig.begin(words("BLPOP a 0.01")), words("BLPOP b 0.01"));
        let second = rig.main.execute(&second).await;
        assert_eq!(second.expect("a reply"), Value::Nil);
        assert_eq!(first.await.expect("a task").expect("a reply"), Value::Nil);
    }
    // Two connections may ask at the same time.
    let refused = rig.server.errorstat("NOPERM");
    assert!((1..=2).contains(&refused), "{refused}");
    rig.end().await;
}

#[tokio::test]
async fn a_server_that_hangs_up_at_an_introduction_is_not_asked_again() {
    let server = ScriptedServer::start([Script::hanging_up_at(&["CLIENT", "INFO"])]);
    let config = DatabaseConfig::from_url(server.url());
    let (supervisor, main) = crate::common::spawn(config).await;
    let error = main
        .execute(&words("BLPOP list 0"))
        .await
        .expect_err("it hangs up");
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
    for _ in 0..3 {
        let reply = main.execute(&words("BLPOP list 0")).await;
        assert_eq!(reply.expect("a reply"), Value::Okay);
    }
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_blocking_read_whose_connection_is_killed_is_sent_again() {
    let rig = Rig::start().await;
    let read = words("XREAD BLOCK 0 STREAMS log $");
    let waiting = rig.begin(read.clone());
    let once_only = rig.main.not_idempotent();
    let once = tokio::spawn(async move { once_only.execute(&read).await });
    rig.until_blocked(2).await;
    let clients = rig.server.clients_named("redis-steward");
    for blocked in clients.iter().filter(|client| client["cmd"] == "xread") {
        rig.server.cli(&["CLIENT", "KILL", "ID", &blocked["id"]]);
    }
    let error = once.await.expect("a task").expect_err("killed");
    assert!(
        matches!(error, Error::ConnectionLost { attempts: 1, .. }),
        "{error}"
    );
    rig.until_blocked(1).await;
    let _: String = rig
        .main
        .query(words("XADD log * k v"))
        .await
        .expect("added");
    let reply = waiting.await.expect("a task").expect("the entry");
    assert_ne!(reply, Value::Nil);
    assert_eq!(rig.stats().retried, 1);
    rig.end().await;
}

/// A connection that breaks again is not tried a third time, and the error tells of both attempts.
#[tokio::test]
async fn a_blocking_read_is_sent_again_once() {
    let rig = Rig::start().await;
    let waiting = rig.begin(words("XREAD BLOCK 0 STREAMS log $"));
    for _ in 0..2 {
        rig.until_blocked(1).await;
        let clients = rig.server.clients_named("redis-steward");
        let blocked = clients.iter().find(|client| client["cmd"] == "xread");
        let id = &blocked.expect("a blocked client")["id"];
        rig.server.cli(&["CLIENT", "KILL", "ID", id]);
        let is_gone = || {
            rig.server
                .client_list()
                .iter()
                .all(|client| &client["id"] != id)
        };
        eventually_async(SOON, "it is gone", is_gone).await;
    }
    let error = waiting.await.expect("a task").expect_err("killed twice");
    assert!(
        matches!(error, Error::ConnectionLost { attempts: 2, .. }),
        "{error}"
    );
    assert_eq!(error.execution(), Execution::Unknown);
    rig.end().await;
}

/// The first connection that gets BLPOP hangs up, and may have popped something. The next one refuses.
#[tokio::test]
async fn an_earlier_attempt_of_a_blocking_command_may_have_run() {
    for code in ["LOADING", "READONLY"] {
        for is_pipeline in [false, true] {
            let attempts = Arc::new(AtomicUsize::new(0));
            let made = attempts.clone();
            let script = Script::sessions(move || {
                let made = made.clone();
                move |command: &[Vec<u8>]| {
                    if command[0] != b"BLPOP" {
                        return Some(handshake(command).unwrap_or(b"+OK\r\n".to_vec()));
                    }
                    let is_first = made.fetch_add(1, SeqCst) == 0;
                    (!is_first).then(|| format!("-{code} not now\r\n").into_bytes())
                }
            });
            let server = ScriptedServer::start([script]);
            let config = DatabaseConfig::from_url(server.url());
            let (supervisor, main) = crate::common::spawn(config).await;
            let main = main.idempotent();
            let command = words("BLPOP jobs 0");
            let result = if is_pipeline {
                let mut pipeline = pipe();
                pipeline.add_command(command);
                main.pipeline::<Value>(pipeline).await
            } else {
                main.execute(&command).await
            };
            let error = result.expect_err("it is refused");
            assert_eq!(error.code(), Some(code), "{error}");
            assert_eq!(error.execution(), Execution::Unknown, "{error}");
            assert_eq!(attempts.load(SeqCst), 2);
            supervisor.shutdown(SOON).await;
        }
    }
}

/// The call fails because its connection was lost. Each attempt is counted by its end, and both are one command.
#[tokio::test]
async fn a_second_attempt_that_gets_no_connection_is_no_second_command() {
    let lease = Script::hanging_up_at(&["BLPOP"]);
    let server = ScriptedServer::start([Script::answer_handshake(), lease, Script::silent()]);
    let config = DatabaseConfig::from_url(server.url()).acquire_timeout(SOON / 50);
    let (supervisor, main) = crate::common::spawn(config).await;
    let error = main.idempotent().execute(&words("BLPOP jobs 0")).await;
    let error = error.expect_err("it hangs up");
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
    let stats = supervisor.statistics().databases["main"].clone();
    assert_eq!((stats.lost, stats.timed_out, stats.refused), (1, 1, 0));
    assert_eq!((stats.commands(), stats.failures()), (1, 1), "{stats}");
    supervisor.shutdown(SOON).await;
}
