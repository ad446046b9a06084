//! The host of the server vanishes without a word while workers wait in blocking commands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use redis::{Cmd, Value};
use redis_steward::{Database, DatabaseConfig, Error};
use tokio::task::JoinHandle;

use crate::{
    Rig, SOON,
    common::{
        FaultProxy, Script, ScriptedServer, eventually_async, older_than, proc, resp::bulk,
        script::handshake, spawn, words,
    },
    get, incr, lost,
};

type Worker = JoinHandle<Result<Value, Error>>;

impl Rig {
    /// Waits until all replies that the server has written have passed the proxy, those about the names of
    /// connections among them.
    async fn until_replies_rest(&self) {
        let mut last = 0;
        let at_rest = |proxy: &FaultProxy| {
            let passed = proxy.reply_bytes();
            std::mem::replace(&mut last, passed) == passed
        };
        self.proxy.until("the replies rest", at_rest).await;
    }

    async fn until_blocked(&self, clients: usize) {
        let blocked = || self.server.info("clients")["blocked_clients"].clone();
        let is_so = || blocked() == clients.to_string();
        eventually_async(SOON, "the clients are blocked", is_so).await;
    }

    /// The host vanishes with all its connections, and comes back at once. Nothing tells the client but the
    /// silence that meets its calls.
    async fn host_vanishes_and_returns(&self) {
        assert!(self.proxy.strand_all() > 0);
        self.server.kill();
        self.server.restart();
        let is_back = || futures_executor::block_on(self.main.query::<Value>(get())).is_ok();
        eventually_async(SOON, "calls succeed again", is_back).await;
    }
}

/// A lost connection is noticed after a second.
fn quick(main: DatabaseConfig) -> DatabaseConfig {
    let timeout = Duration::from_millis(300);
    main.command_timeout(timeout).attempt_timeout(timeout)
}

fn work(database: &Database, command: Cmd) -> Worker {
    let database = database.clone();
    tokio::spawn(async move { database.execute(&command).await })
}

/// Within seconds, though no byte says so.
async fn ends(worker: Worker) -> Result<Value, Error> {
    let ended = tokio::time::timeout(Duration::from_secs(5), worker).await;
    ended.expect("the worker sleeps on").expect("a task")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_85_a_vanished_host_wakes_its_workers() {
    let rig = Rig::with(quick).await;
    let popping = work(&rig.main, words("BLPOP jobs 0"));
    let moving = work(&rig.main, words("BLMOVE a b LEFT RIGHT 0"));
    let reading = work(&rig.main, words("XREAD BLOCK 0 STREAMS log $"));
    let again = work(&rig.main.idempotent(), words("BLPOP signals 0"));
    let mut lease = rig.main.lease().await.expect("a lease");
    let leased =
        tokio::spawn(async move { lease.execute(&words("XREAD BLOCK 0 STREAMS log $")).await });
    rig.until_blocked(5).await;
    rig.until_replies_rest().await;

    rig.host_vanishes_and_returns().await;
    // Each may have popped something whose reply was lost with the host.
    for worker in [popping, moving] {
        let error = ends(worker).await.expect_err("its host has vanished");
        assert_eq!(lost(&error), 1, "{error}");
        let text = error.to_string();
        assert!(text.contains("does not know it any more"), "{text}");
    }
    let error = ends(leased).await.expect_err("the session is gone");
    assert_eq!(lost(&error), 1, "{error}");

    // These may run twice, and wait on the new server.
    rig.until_blocked(2).await;
    rig.main
        .query::<Value>(words("XADD log * k v"))
        .await
        .expect("added");
    rig.main
        .query::<i64>(words("RPUSH signals s"))
        .await
        .expect("pushed");
    assert_ne!(ends(reading).await.expect("the entry"), Value::Nil);
    assert_ne!(ends(again).await.expect("the signal"), Value::Nil);
    rig.end().await;
}

/// The kernel notices a vanished peer by itself, where no proxy stands between.
#[tokio::test]
async fn row_85_connections_of_workers_ask_for_signs_of_life() {
    let rig = Rig::start().await;
    let lease = rig.main.lease().await.expect("a lease");
    let few_seconds = Duration::from_secs(5);
    let is_so = || {
        let mut next = proc::keepalive_to(rig.proxy.port());
        next.sort();
        matches!(next[..], [leased, shared] if leased <= few_seconds && shared > few_seconds)
    };
    eventually_async(SOON, "the leased connection asks soon", is_so).await;
    drop(lease);
    rig.end().await;

    let rig = Rig::with(DatabaseConfig::without_keepalive).await;
    let lease = rig.main.lease().await.expect("a lease");
    assert!(proc::keepalive_to(rig.proxy.port()).is_empty());
    drop(lease);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_85_workers_that_the_server_knows_sleep_on() {
    if older_than(7, 0, "the statistics of single members of a family") {
        return;
    }
    let rig = Rig::with(quick).await;
    let worker = work(&rig.main, words("BLPOP jobs 0"));
    rig.until_blocked(1).await;
    for _ in 0..3 {
        let opened = rig.stats().pool.opened;
        let clients = rig.server.clients_named("redis-steward");
        let asked = rig.server.commandstat("client|list");
        for shared in clients.iter().filter(|client| client["cmd"] != "blpop") {
            rig.server.cli(&["CLIENT", "KILL", "ID", &shared["id"]]);
        }
        let is_replaced = || rig.stats().pool.opened > opened;
        eventually_async(SOON, "a new shared connection", is_replaced).await;
        let is_asked = || rig.server.commandstat("client|list") > asked;
        eventually_async(SOON, "the server is asked for the worker", is_asked).await;
    }
    rig.main.query::<i64>(incr()).await.expect("as usual");
    assert!(!worker.is_finished());
    rig.main
        .query::<i64>(words("RPUSH jobs j"))
        .await
        .expect("pushed");
    assert_ne!(ends(worker).await.expect("the job"), Value::Nil);
    assert_eq!(rig.server.commandstat("blpop"), 1, "it was not sent again");
    rig.end().await;
}

/// A server that asks to be asked later keeps no worker asleep whose connection it does not know.
#[tokio::test]
async fn row_85_a_question_for_workers_is_repeated_until_it_is_answered() {
    let questions = Arc::new(AtomicUsize::new(0));
    let asked = questions.clone();
    let script = Script::sessions(move || {
        let asked = asked.clone();
        move |command: &[Vec<u8>]| {
            let words: Vec<_> = command
                .iter()
                .map(|word| word.to_ascii_uppercase())
                .collect();
            let words: Vec<_> = words.iter().map(Vec::as_slice).collect();
            match words[..] {
                [b"CLIENT", b"INFO"] => Some(bulk(b"id=7 addr=192.0.2.1:7 fd=8\n")),
                [b"CLIENT", b"LIST", ..] => Some(match asked.fetch_add(1, SeqCst) {
                    0 => b"-BUSY Redis is busy running a script\r\n".to_vec(),
                    1 => b"-LOADING Redis is loading the dataset in memory\r\n".to_vec(),
                    _ => bulk(b"id=9 addr=192.0.2.1:9 fd=8\n"),
                }),
                [b"BLPOP", ..] => Some(Vec::new()),
                [b"GET", ..] => None,
                _ => Some(handshake(command).unwrap_or(b"+OK\r\n".to_vec())),
            }
        }
    });
    let server = ScriptedServer::start([script]);
    let (supervisor, main) = spawn(quick(DatabaseConfig::from_url(server.url()))).await;
    let worker = work(&main, words("BLPOP jobs 0"));
    let is_blocked = || server.count("BLPOP") == 1;
    eventually_async(SOON, "the worker waits", is_blocked).await;
    let lost = main.not_idempotent().execute(&get()).await;
    lost.expect_err("it hangs up");
    let ended = tokio::time::timeout(SOON, worker).await;
    let error = ended.expect("the worker sleeps on").expect("a task");
    let text = error.expect_err("it is not known").to_string();
    assert!(text.contains("does not know it any more"), "{text}");
    assert_eq!(questions.load(SeqCst), 3);
    supervisor.shutdown(SOON).await;
}
