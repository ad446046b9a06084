//! Goal: a lease that is held for too long is reported once, with the place where it was taken; no
//! other lease is. Method: the log is captured, and each test has a database name of its own.

use std::{
    panic::Location,
    time::{Duration, Instant},
};

use redis::{Pipeline, cmd};
use redis_steward::{Config, Database, DatabaseConfig, Error, Loan, Supervisor};
use tracing::Level;

use crate::common::{LogCapture, LogEvent, RedisServer, eventually_async};

const SOON: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_millis(200);

/// The warnings about leases of this database.
fn warnings(database: &Database) -> Vec<LogEvent> {
    let warnings = LogCapture::events(database.name(), "a lease has been held");
    assert!(warnings.iter().all(|event| event.level == Level::WARN));
    warnings
}

async fn warned(database: &Database, times: usize) -> Vec<LogEvent> {
    let logged = || warnings(database).len();
    eventually_async(SOON, "the warning is logged", || logged() >= times).await;
    let warnings = warnings(database);
    assert_eq!(warnings.len(), times, "{warnings:?}");
    warnings
}

async fn spawn(server: &RedisServer, name: &str) -> (Supervisor, Database) {
    LogCapture::start();
    let database = DatabaseConfig::from_url(server.url())
        .leak_warning(LIMIT)
        // One connection to lend, so each lease gets the same one.
        .max_connections(2);
    let config = Config::new().database(name, database);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let database = supervisor.database(name).expect("a database");
    (supervisor, database)
}

/// The line of the caller. The test calls `lease()` on the same line.
#[track_caller]
fn here() -> String {
    let caller = Location::caller();
    format!("{}:{}:", caller.file(), caller.line())
}

#[tokio::test]
async fn a_long_lease_is_reported_once_with_its_place() {
    let server = RedisServer::start();
    let (supervisor, held) = spawn(&server, "held").await;
    let (line, leasing) = (here(), held.lease());
    let start = Instant::now();
    let lease = leasing.await.expect("a lease");
    let warning = warned(&held, 1).await.remove(0);
    assert!(warning.at >= start + LIMIT);
    assert!(
        warning.get("taken_at").starts_with(&line),
        "{warning:?}, not {line}"
    );
    assert!(warning.get("message").contains("200ms"), "{warning:?}");
    // The absence of a warning has no condition to wait for.
    tokio::time::sleep(3 * LIMIT).await;
    drop(lease);
    assert_eq!(warned(&held, 1).await.len(), 1);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn each_lease_of_a_connection_is_timed_anew() {
    let server = RedisServer::start();
    let (supervisor, again) = spawn(&server, "again").await;
    for _ in 0..4 {
        let lease = again.lease().await.expect("a lease");
        // Each within the limit, and all together beyond it.
        tokio::time::sleep(LIMIT / 3).await;
        drop(lease);
    }
    // The absence of a warning has no condition to wait for.
    tokio::time::sleep(2 * LIMIT).await;
    assert!(warnings(&again).is_empty(), "each was returned in time");
    for time in 1..=2 {
        let (line, leasing) = (here(), again.lease());
        let start = Instant::now();
        let lease = leasing.await.expect("a lease");
        let warning = warned(&again, time).await.remove(time - 1);
        assert!(
            warning.at >= start + LIMIT,
            "the time of earlier leases is included"
        );
        assert!(
            warning.get("taken_at").starts_with(&line),
            "{warning:?}, not {line}"
        );
        drop(lease);
    }
    let opened = supervisor.statistics().databases["again"].pool.opened;
    assert_eq!(opened, 2, "it was the same connection each time");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn transactions_and_threads_are_reported_with_their_callers_place() {
    let server = RedisServer::start();
    let (supervisor, callers) = spawn(&server, "callers").await;
    let is_silent = || warnings(&callers).is_empty();
    let slow = |_, mut pipe: Loan<Pipeline>| async move {
        eventually_async(SOON, "the warning is logged", || !is_silent()).await;
        pipe.set("k", 1).ignore();
        Ok::<_, Error>(())
    };
    let (line, transaction) = (here(), callers.transaction::<_, (), _, _, _>(&["k"], slow));
    transaction.await.expect("executed");
    let warning = warned(&callers, 1).await.remove(0);
    assert!(
        warning.get("taken_at").starts_with(&line),
        "{warning:?}, not {line}"
    );

    let blocking = callers.blocking();
    let thread = std::thread::spawn(move || {
        let (line, lease) = (here(), blocking.lease());
        (line, lease.expect("a lease"))
    });
    while !thread.is_finished() {
        tokio::task::yield_now().await;
    }
    let (line, lease) = thread.join().expect("a lease");
    let warning = warned(&callers, 2).await.remove(1);
    assert!(
        warning.get("taken_at").starts_with(&line),
        "{warning:?}, not {line}"
    );
    drop(lease);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn blocking_commands_are_not_reported() {
    let server = RedisServer::start();
    let (supervisor, blocking) = spawn(&server, "blocking").await;
    let pop = cmd("BLPOP")
        .arg("nothing")
        .arg(3.5 * LIMIT.as_secs_f64())
        .take();
    let popped: Option<(String, String)> = blocking.query(pop).await.expect("nothing");
    assert_eq!(popped, None);
    assert!(warnings(&blocking).is_empty());
    // A lease of the same connection is reported.
    let lease = blocking.lease().await.expect("a lease");
    warned(&blocking, 1).await;
    drop(lease);
    supervisor.shutdown(SOON).await;
}
