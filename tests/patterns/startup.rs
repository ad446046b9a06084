//! The life of a program: it starts whether or not Redis is there, waits for it, answers a health check within two seconds,
//! and closes all when it ends.

use std::time::Duration;

use redis_steward::{Database, Error, HealthState};
use tokio::time::Instant;

use crate::{
    common::words,
    site::{SLACK, SOON, Setup, on_every_site},
};

on_every_site!(it_starts_waits_answers_and_ends);

const BOUND: Duration = Duration::from_secs(2);

/// The health endpoint of a program.
async fn is_healthy(redis: &Database) -> bool {
    let start = Instant::now();
    let bounded = redis.with_timeout(BOUND);
    let pong = bounded.query::<String>(words("PING")).await;
    let is_healthy = pong.is_ok_and(|pong| pong == "PONG");
    assert!(start.elapsed() < BOUND + SLACK, "it is bounded");
    is_healthy
}

async fn it_starts_waits_answers_and_ends(setup: Setup) {
    let mut site = setup.start_early(|program| program).await;
    let handle = site.redis.clone();
    if site.is_disturbed() {
        let waited = site.supervisor.ready(Duration::from_millis(100)).await;
        assert!(matches!(waited, Err(Error::NotReady { .. })), "{waited:?}");
        assert!(!is_healthy(&handle).await);
    }
    site.recovery().await;
    site.supervisor.ready(SOON).await.expect("ready");
    // A handle that was made before Redis was there works as any other.
    let start = Instant::now();
    while !is_healthy(&handle).await {
        assert!(start.elapsed() < SOON, "it is healthy");
    }
    assert!(site.supervisor.statistics().databases["program"].health == HealthState::Healthy);

    let worker = tokio::spawn({
        let handle = handle.clone();
        async move {
            handle
                .query::<Option<(String, String)>>(words("BLPOP jobs 0"))
                .await
        }
    });
    let is_waiting = || {
        let pool = &site.supervisor.statistics().databases["program"].pool;
        pool.in_use == 1
    };
    crate::common::eventually_async(SOON, "the worker waits", is_waiting).await;
    let report = site.supervisor.shutdown(SOON).await;
    assert_eq!(report.unfinished, 0);
    let ended = worker.await.expect("no panic");
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    // Once more is not wrong, and a handle that is left says what has happened.
    site.supervisor.shutdown(SOON).await;
    let late = handle.query::<String>(words("PING")).await;
    assert!(matches!(late, Err(Error::ShuttingDown { .. })), "{late:?}");
}
