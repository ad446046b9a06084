//! The order of calls: a call that was made first is written first, whatever happens to the connection.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::{
    FutureExt,
    future::{MaybeDone, maybe_done},
};
use redis::cmd;
use redis_steward::{Config, Database, DatabaseConfig, Error, Execution, Supervisor};

use crate::{
    SOON,
    common::{RedisServer, eventually_async},
    stats,
};

const KEY: &str = "calls";

type Call = Pin<Box<dyn Future<Output = Result<i64, Error>> + Send>>;

/// Calls that are made one after the other without awaiting any: each appends its number to a list.
struct Caller {
    main: Database,
    calls: Vec<Pin<Box<MaybeDone<Call>>>>,
}

impl Caller {
    fn new(main: &Database) -> Self {
        Self {
            main: main.not_idempotent(),
            calls: Vec::new(),
        }
    }

    /// Makes so many calls, with pauses of random lengths between some of them.
    async fn call(&mut self, calls: usize) {
        for _ in 0..calls {
            let (main, number) = (self.main.clone(), self.calls.len());
            let call: Call = Box::pin(async move {
                let push = cmd("RPUSH").arg(KEY).arg(number).take();
                main.query(push).await
            });
            let mut call = Box::pin(maybe_done(call));
            // It may be done at once if this thread is slow.
            let _ = (&mut call).now_or_never();
            self.calls.push(call);
            match fastrand::u8(..40) {
                0 => tokio::time::sleep(Duration::from_micros(fastrand::u64(..500))).await,
                1..8 => tokio::task::yield_now().await,
                _ => {}
            }
        }
    }

    /// The list holds the numbers in the order of the calls, and all that were acknowledged since
    /// the server has the list. Returns how many those are.
    async fn check(self, what: &str, holds_all: bool) -> usize {
        let mut acknowledged = Vec::new();
        for (number, mut call) in self.calls.into_iter().enumerate() {
            (&mut call).await;
            match call.as_mut().take_output().expect("it is done") {
                Ok(_) => acknowledged.push(number),
                Err(error) => assert_eq!(error.execution(), Execution::Unknown, "{error}"),
            }
        }
        let list = cmd("LRANGE").arg(KEY).arg(0).arg(-1).take();
        let list: Vec<usize> = self.main.query(list).await.expect("the list");
        let first = list.windows(2).find(|pair| pair[0] >= pair[1]);
        assert!(first.is_none(), "{what}: {first:?} of {}", list.len());
        if holds_all {
            let is_there = |number: &usize| list.binary_search(number).is_ok();
            assert!(acknowledged.iter().all(is_there), "{what}");
        }
        acknowledged.len()
    }
}

fn config(server: &RedisServer) -> Config {
    let main = DatabaseConfig::from_url(server.url())
        .failure_threshold(10_000)
        .command_timeout(SOON);
    Config::new().database("main", main)
}

async fn spawn(server: &RedisServer) -> (Supervisor, Database) {
    let supervisor = Supervisor::spawn(config(server)).await.expect("spawn");
    let main = supervisor.database("main").expect("main");
    (supervisor, main)
}

/// Runs something that blocks, while the caller goes on calling.
async fn call_during(caller: &mut Caller, act: impl FnOnce() + Send + 'static) {
    let mut act = tokio::task::spawn_blocking(act);
    while (&mut act).now_or_never().is_none() {
        caller.call(10).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_81_calls_keep_their_order_through_the_start() {
    for round in 0..40 {
        let server = std::sync::Arc::new(RedisServer::start());
        let is_late = fastrand::bool();
        if is_late {
            server.kill();
        }
        let (supervisor, main) = spawn(&server).await;
        let mut caller = Caller::new(&main);
        caller.call(20).await;
        if is_late {
            let starting = server.clone();
            call_during(&mut caller, move || starting.restart()).await;
        }
        caller.call(300).await;
        let calls = caller.calls.len();
        let acknowledged = caller.check(&format!("round {round}"), true).await;
        assert_eq!(acknowledged, calls);
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_81_calls_keep_their_order_when_connections_are_killed() {
    let server = std::sync::Arc::new(RedisServer::start());
    let (supervisor, main) = spawn(&server).await;
    supervisor.ready(SOON).await.expect("ready");
    for round in 0..40 {
        let opened = stats(&supervisor).pool.opened;
        let mut caller = Caller::new(&main);
        caller.call(fastrand::usize(..200)).await;
        let killing = server.clone();
        call_during(&mut caller, move || {
            killing.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        })
        .await;
        caller.call(200).await;
        caller.check(&format!("round {round}"), true).await;
        let is_new = || stats(&supervisor).pool.opened > opened;
        eventually_async(SOON, "there is a new connection", is_new).await;
        let del = cmd("DEL").arg(KEY).take();
        main.query::<()>(del).await.expect("the list is gone");
    }
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_81_calls_keep_their_order_through_a_restart_of_the_server() {
    let server = std::sync::Arc::new(RedisServer::start());
    let (supervisor, main) = spawn(&server).await;
    supervisor.ready(SOON).await.expect("ready");
    for round in 0..15 {
        let mut caller = Caller::new(&main);
        caller.call(fastrand::usize(..200)).await;
        let restarting = server.clone();
        call_during(&mut caller, move || restarting.restart()).await;
        caller.call(200).await;
        // The server has lost the list of before.
        let acknowledged = caller.check(&format!("round {round}"), false).await;
        assert!(acknowledged > 0);
    }
    supervisor.shutdown(SOON).await;
}
