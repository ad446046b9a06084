//! This process stands still: it is stopped, or a task blocks its runtime. Replies that came meanwhile
//! reach their callers, whatever the clock says.

use std::{
    env,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use redis::cmd;
use redis_steward::{CircuitState, Database, DatabaseConfig, DatabaseStats, Error, Supervisor};
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;

use crate::{
    SOON,
    common::{FaultProxy, Mode, RedisServer, eventually_async, spawn},
    stats,
};

const URL: &str = "REDIS_STEWARD_TEST_STOPPED_URL";
const GETS: usize = 200;
/// The calls of threads, among the others.
const THREADS: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(4);
const BLPOP_TIMEOUT: Duration = Duration::from_secs(7);
/// All deadlines pass, and the second that the calls of threads have beyond them.
const STANDSTILL: Duration = Duration::from_secs(8);
/// Longer than the calls need to be written, so that their replies come during the standstill.
const DELAY: Mode = Mode::Delay {
    requests: Duration::ZERO,
    replies: Duration::from_secs(1),
};

type Call = JoinHandle<Result<String, Error>>;

/// A reply that comes after [`DELAY`] is not slow.
fn config(url: String) -> DatabaseConfig {
    DatabaseConfig::from_url(url).attempt_timeout(Duration::from_secs(3))
}

/// A pop that waits for an item.
fn begin_pop(main: &Database) -> Call {
    let main = main.with_timeout(BLPOP_TIMEOUT);
    tokio::spawn(async move {
        let popped = main.query(cmd("BLPOP").arg("list").arg(0)).await;
        popped.map(|(_, item): (String, String)| item)
    })
}

/// Calls whose replies are together larger than the connection reads at once.
fn begin_gets(main: &Database, threads: usize) -> Vec<Call> {
    let get = || cmd("GET").arg("value").take();
    let call = |index| {
        let main = main.with_timeout(TIMEOUT);
        if index < threads {
            tokio::task::spawn_blocking(move || main.blocking().query(get()))
        } else {
            tokio::spawn(async move { main.query(get()).await })
        }
    };
    (0..GETS).map(call).collect()
}

/// All calls have their replies, and nothing counts against the server.
async fn all_are_answered(pop: Call, gets: Vec<Call>, stats: impl Fn() -> DatabaseStats) {
    let item = pop.await.expect("a task").expect("the popped item");
    assert_eq!(item, "item");
    for get in gets {
        let value = get.await.expect("a task").expect("a value");
        assert_eq!(value.len(), 4_000);
    }
    let stats = stats();
    assert_eq!((stats.timed_out, stats.slow, stats.pool.lost), (0, 0, 0));
    assert_eq!(stats.circuit, CircuitState::Closed);
}

/// A server behind a proxy, with a value.
fn server() -> (RedisServer, FaultProxy) {
    let server = RedisServer::start();
    server.cli(&["SET", "value", &"v".repeat(4_000)]);
    let proxy = FaultProxy::start(server.port());
    (server, proxy)
}

async fn pop_is_blocked(server: &RedisServer) {
    let is_blocked = || {
        server
            .cli(&["INFO", "clients"])
            .contains("blocked_clients:1")
    };
    eventually_async(SOON, "the pop waits", is_blocked).await;
}

async fn all_have_run(server: &RedisServer) {
    let executed = || server.commandstat("get") == GETS as u64;
    eventually_async(SOON, "the server has answered", executed).await;
    assert_eq!(server.cli(&["RPUSH", "list", "item"]), "1");
    assert_eq!(server.cli(&["LLEN", "list"]), "0", "it was popped");
}

#[tokio::test]
async fn row_68_stopped_process() {
    stopped("standstill::row_68_stopped_process").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_68_stopped_process_with_threads() {
    stopped("standstill::row_68_stopped_process_with_threads").await;
}

/// The whole process is stopped, so the test runs itself again in a child process.
async fn stopped(this: &str) {
    if let Ok(url) = env::var(URL) {
        return within_the_child(url).await;
    }
    let (server, proxy) = server();
    let child = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", this, "--nocapture"])
        .env(URL, proxy.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program runs again");
    pop_is_blocked(&server).await;
    proxy.set(DELAY);
    assert_eq!(server.cli(&["SET", "go", "1"]), "OK");
    all_have_run(&server).await;
    signal(&child, Signal::STOP);
    tokio::time::sleep(STANDSTILL).await;
    signal(&child, Signal::CONT);
    let output = tokio::task::spawn_blocking(|| child.wait_with_output());
    let output = output.await.expect("a task").expect("its output");
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a pid");
    let pid = Pid::from_raw(pid).expect("a pid");
    kill_process(pid, signal).expect("a child that runs");
}

async fn within_the_child(url: String) {
    let (supervisor, main) = spawn(config(url)).await;
    let pop = begin_pop(&main);
    while !main
        .query::<bool>(cmd("EXISTS").arg("go"))
        .await
        .expect("a reply")
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let gets = begin_gets(&main, THREADS);
    end(pop, gets, &supervisor).await;
}

async fn end(pop: Call, gets: Vec<Call>, supervisor: &Supervisor) {
    all_are_answered(pop, gets, || stats(supervisor)).await;
    supervisor.shutdown(SOON).await;
}

/// The runtime has one thread, which the connection and its callers share with the task that blocks it. (A
/// call of another thread gives up such a runtime a second after its deadline.)
#[tokio::test]
async fn row_68_blocked_runtime() {
    let (server, proxy) = server();
    let (supervisor, main) = spawn(config(proxy.url())).await;
    let pop = begin_pop(&main);
    pop_is_blocked(&server).await;
    proxy.set(DELAY);
    let gets = begin_gets(&main, 0);
    all_have_run(&server).await;
    thread::sleep(STANDSTILL);
    end(pop, gets, &supervisor).await;
}
