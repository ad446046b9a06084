//! Goal: during a crash callers get truthful errors or wait within their deadlines, and after the
//! restart no call fails. Method: a real server is killed with SIGKILL under load, or kills its clients,
//! and the outcomes of the calls are compared with the counter on the server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{Config, Database, DatabaseConfig, Error, Execution, Supervisor};
use tokio::{task::JoinHandle, time::interval};

use crate::common::{RedisServer, eventually_async, left_out_on_embedded, proc::sockets_to};

const SOON: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);

async fn spawn(url: &str) -> (Supervisor, Database) {
    let main = DatabaseConfig::from_url(url).command_timeout(TIMEOUT);
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    (supervisor, main)
}

/// The outcomes of the calls.
#[derive(Default)]
struct Outcomes {
    acknowledged: AtomicU64,
    unknown: AtomicU64,
    not_sent: AtomicU64,
}

impl Outcomes {
    fn note(&self, result: &Result<i64, Error>) {
        let counter = match result {
            Ok(_) => &self.acknowledged,
            Err(error) => match error.execution() {
                Execution::Unknown => &self.unknown,
                Execution::NotSent => &self.not_sent,
                other => panic!("INCR failed with {other:?}: {error}"),
            },
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// Callers that increment a counter until they are stopped. None of their calls may outlive its
/// deadline.
struct Callers {
    outcomes: Arc<Outcomes>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Callers {
    fn start(database: &Database, callers: usize) -> Self {
        let outcomes = Arc::<Outcomes>::default();
        let stop = Arc::<AtomicBool>::default();
        let tasks = (0..callers)
            .map(|_| {
                let (database, outcomes, stop) = (database.clone(), outcomes.clone(), stop.clone());
                tokio::spawn(async move {
                    while !stop.load(Relaxed) {
                        let start = Instant::now();
                        let result = database.query(cmd("INCR").arg("counter")).await;
                        let took = start.elapsed();
                        assert!(
                            took < TIMEOUT + Duration::from_millis(250),
                            "{took:?}: {result:?}"
                        );
                        outcomes.note(&result);
                        if result.is_err() {
                            tokio::task::yield_now().await;
                        }
                    }
                })
            })
            .collect();
        Self {
            outcomes,
            stop,
            tasks,
        }
    }

    fn acknowledged(&self) -> u64 {
        self.outcomes.acknowledged.load(Relaxed)
    }

    /// Waits until more calls have succeeded.
    async fn succeed(&self) {
        let before = self.acknowledged();
        let have_succeeded = || self.acknowledged() > before + 100;
        eventually_async(SOON, "calls succeed again", have_succeeded).await;
    }

    async fn stop(self) -> Arc<Outcomes> {
        self.stop.store(true, Relaxed);
        for task in self.tasks {
            task.await.expect("a call outlived its deadline");
        }
        self.outcomes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_no_acknowledged_write_and_no_call_hangs() {
    if left_out_on_embedded() {
        return;
    }
    // With every write on disk, the server keeps all acknowledged increments.
    let server = RedisServer::builder()
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
        .start();
    let (supervisor, main) = spawn(&server.url()).await;
    let callers = Callers::start(&main, 32);
    for _ in 0..3 {
        callers.succeed().await;
        server.kill();
        server.restart();
    }
    callers.succeed().await;
    let outcomes = callers.stop().await;

    let value: u64 = main
        .query(cmd("GET").arg("counter"))
        .await
        .expect("counter");
    let acknowledged = outcomes.acknowledged.load(Relaxed);
    let unknown = outcomes.unknown.load(Relaxed);
    println!("acknowledged {acknowledged}, unknown {unknown}, on the server {value}");
    assert!(acknowledged <= value && value <= acknowledged + unknown);

    supervisor.shutdown(SOON).await;
    assert_eq!(sockets_to(server.port()), 0);
}

/// The time between the server accepting connections and the first success, after an outage.
async fn first_success_after(outage: Duration) -> Duration {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server.url()).await;
    server.kill();
    let killed = Instant::now();
    // Calls go on during the outage.
    let mut ticks = interval(Duration::from_millis(5));
    while killed.elapsed() < outage {
        ticks.tick().await;
        let result: Result<i64, Error> = main
            .with_timeout(Duration::from_millis(20))
            .query(cmd("INCR").arg("n"))
            .await;
        assert!(result.is_err(), "a dead server answered");
    }
    let accepting = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                server.restart_without_waiting();
                server.wait_accepting()
            })
            .join()
            .expect("restart")
    });
    loop {
        let result: Result<i64, Error> = main
            .with_timeout(Duration::from_millis(20))
            .query(cmd("INCR").arg("n"))
            .await;
        if result.is_ok() {
            break;
        }
        ticks.tick().await;
    }
    let pause = accepting.elapsed();
    supervisor.shutdown(SOON).await;
    pause
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_success_comes_within_100_ms_of_the_server_accepting() {
    for outage in [50, 1_500, 3_000] {
        let outage = Duration::from_millis(outage);
        let pause = first_success_after(outage).await;
        println!("after {outage:?}: {pause:?}");
        assert!(
            pause < Duration::from_millis(100),
            "{pause:?} after {outage:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_clones_recover_from_client_kill() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server.url()).await;
    let callers = Callers::start(&main, 8);
    for _ in 0..5 {
        callers.succeed().await;
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    callers.succeed().await;
    let outcomes = callers.stop().await;
    let clones: Vec<_> = (0..50).map(|_| main.clone()).collect();
    for clone in clones {
        let pong: String = clone.query(cmd("PING")).await.expect("a clone works");
        assert_eq!(pong, "PONG");
    }
    let value: u64 = main
        .query(cmd("GET").arg("counter"))
        .await
        .expect("counter");
    let acknowledged = outcomes.acknowledged.load(Relaxed);
    assert!(acknowledged <= value);
    assert!(value <= acknowledged + outcomes.unknown.load(Relaxed));
    supervisor.shutdown(SOON).await;
    assert_eq!(sockets_to(server.port()), 0);
}
