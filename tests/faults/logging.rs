//! Goal: a subscriber of `tracing` may be slow, call this crate, or panic, and no database notices. Method: the
//! subscriber runs code of the test for the log lines of one database.

use std::{
    sync::{OnceLock, mpsc},
    time::Duration,
};

use redis::cmd;
use redis_steward::{Config, Database, DatabaseConfig, Error, HealthState, Supervisor};
use tokio::time::timeout;

use crate::{
    SLACK, SOON,
    common::{LogCapture, LogEvent, RedisServer, eventually_async},
};

/// Spawns without waiting for anything that the log could hold up.
async fn spawn(databases: &[(&str, &RedisServer)]) -> Supervisor {
    let mut config = Config::new();
    for (name, server) in databases {
        config = config.database(*name, DatabaseConfig::from_url(server.url()));
    }
    Supervisor::spawn(config).await.expect("spawn")
}

fn health(supervisor: &Supervisor, database: &str) -> HealthState {
    supervisor.statistics().databases[database].health.clone()
}

async fn until(supervisor: &Supervisor, database: &str, is_meant: fn(&HealthState) -> bool) {
    let condition = format!("the health of {database} changes");
    let health = || is_meant(&health(supervisor, database));
    eventually_async(SOON, &condition, health).await;
}

fn is_down(state: &HealthState) -> bool {
    matches!(state, HealthState::Down { .. })
}

fn is_healthy(state: &HealthState) -> bool {
    *state == HealthState::Healthy
}

async fn ping(database: &Database) {
    let pong: String = database.query(cmd("PING")).await.expect("pong");
    assert_eq!(pong, "PONG");
}

fn says_down(event: &LogEvent) -> bool {
    event.get("state").starts_with("down")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_77_a_log_writer_that_blocks_delays_no_database() {
    const LOGGED: &str = "logged-slowly";
    const OTHER: &str = "beside-a-slow-log";
    let (began, has_begun) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(is_released);
    LogCapture::on(LOGGED, move |event| {
        if says_down(event) {
            let _ = began.send(());
            // The test does not hang if the writer holds it up.
            let _ = gate.lock().expect("the gate").recv_timeout(SOON);
        }
    });
    let (logged_server, other_server) = (RedisServer::start(), RedisServer::start());
    let supervisor = spawn(&[(LOGGED, &logged_server), (OTHER, &other_server)]).await;
    supervisor.ready(SOON).await.expect("ready");
    let logged = supervisor.database(LOGGED).expect("a database");
    let other = supervisor.database(OTHER).expect("a database");

    logged_server.kill();
    tokio::task::spawn_blocking(move || has_begun.recv_timeout(SOON).expect("the writer begins"))
        .await
        .expect("no panic");
    let blocked = async {
        // Deadlines, leases, and changes of health go on.
        drop(other.lease().await.expect("a lease"));
        ping(&other).await;
        supervisor.isolate(OTHER).await.expect("isolated");
        supervisor.reset(OTHER).await.expect("reset");
        assert!(is_down(&health(&supervisor, LOGGED)));
        supervisor.reset(LOGGED).await.expect("reset");
        let impatient = logged.with_timeout(Duration::from_millis(200));
        let parked = timeout(SLACK, impatient.query::<()>(cmd("PING"))).await;
        let error = parked.expect("its deadline").expect_err("no server");
        assert!(
            matches!(error, Error::TimedOut { .. } | Error::CircuitOpen { .. }),
            "{error}"
        );
        logged_server.restart();
        until(&supervisor, LOGGED, is_healthy).await;
        ping(&logged).await;
    };
    timeout(SOON / 2, blocked)
        .await
        .expect("nothing waits for the log");
    let states = || {
        let lines = LogCapture::events(LOGGED, "database ");
        lines
            .iter()
            .map(|line| line.get("state").to_owned())
            .collect::<Vec<_>>()
    };
    assert!(
        states().last().expect("a line").starts_with("down"),
        "it is still blocked"
    );

    // The lines that have waited come in order.
    drop(release);
    let is_last = || states().last().is_some_and(|state| state == "healthy");
    eventually_async(SOON, "all is logged", is_last).await;
    supervisor.shutdown(SOON).await;
    assert_eq!(
        states().last().expect("a line"),
        "stopped",
        "a shutdown waits for the log"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_77_a_log_subscriber_may_call_the_supervisor() {
    const NAME: &str = "asked-by-the-log";
    static SUPERVISOR: OnceLock<Supervisor> = OnceLock::new();
    // A panic of the subscriber would fail nothing, so the test asserts what it was told.
    let (tell, told) = mpsc::channel();
    LogCapture::on(NAME, move |event| {
        let Some(supervisor) = SUPERVISOR.get() else {
            return;
        };
        let statistics = supervisor.statistics();
        drop(supervisor.subscribe());
        let _ = tell.send(statistics.databases.len());
        if event.get("state") == "isolated" {
            futures_executor::block_on(supervisor.shutdown(Duration::ZERO));
        }
    });
    let server = RedisServer::start();
    let supervisor =
        SUPERVISOR.get_or_init(|| futures_executor::block_on(spawn(&[(NAME, &server)])));
    let story = async {
        supervisor.ready(SOON).await.expect("ready");
        server.kill();
        until(supervisor, NAME, is_down).await;
        server.restart();
        until(supervisor, NAME, is_healthy).await;
        supervisor.isolate(NAME).await.expect("isolated");
        until(supervisor, NAME, |state| *state == HealthState::Stopped).await;
        supervisor.shutdown(SOON).await;
    };
    timeout(SOON, story).await.expect("no deadlock");
    let told: Vec<_> = told.try_iter().collect();
    assert!(
        !told.is_empty() && told.iter().all(|databases| *databases == 1),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_77_a_panic_of_a_log_subscriber_takes_nothing_down() {
    const NAME: &str = "panics-in-the-log";
    LogCapture::on(NAME, |event| {
        panic!("as planned, at {:?}", event.get("message"))
    });
    let server = RedisServer::start();
    let supervisor = spawn(&[(NAME, &server)]).await;
    supervisor.ready(SOON).await.expect("ready");
    let database = supervisor.database(NAME).expect("a database");
    ping(&database).await;
    server.kill();
    until(&supervisor, NAME, is_down).await;
    server.restart();
    until(&supervisor, NAME, is_healthy).await;
    ping(&database).await;
    assert_eq!(supervisor.statistics().databases[NAME].pool.restarts, 0);
    supervisor.shutdown(SOON).await;
    let lines = LogCapture::events(NAME, "database ");
    assert_eq!(lines.last().expect("a line").get("state"), "stopped");
}
