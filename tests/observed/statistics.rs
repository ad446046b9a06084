//! Statistics add up, also while calls go on and fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use redis::cmd;
use redis_steward::{CircuitState, DatabaseConfig, DatabaseStats, Supervisor, SupervisorStats};

use crate::{
    SOON,
    common::{FaultProxy, Mode, RedisServer, eventually_async, spawn},
};

fn stats(supervisor: &Supervisor) -> DatabaseStats {
    supervisor.statistics().databases["main"].clone()
}

/// What holds in every snapshot, and between it and an earlier one.
fn judge(earlier: &SupervisorStats, later: &SupervisorStats) {
    let (before, now) = (&earlier.databases["main"], &later.databases["main"]);
    assert!((0.0..=1.0).contains(&now.success_rate()), "{now:?}");
    assert_eq!(now.succeeded + now.failures(), now.commands(), "{now:?}");
    let longest = now.latency.max();
    assert!(longest.is_none_or(|max| max > Duration::ZERO), "{now:?}");
    let replies = now.succeeded + now.error_replies;
    assert!(now.latency.count() <= replies, "{now:?}");
    for (before, now) in [
        (before.succeeded, now.succeeded),
        (before.error_replies, now.error_replies),
        (before.timed_out, now.timed_out),
        (before.lost, now.lost),
        (before.refused, now.refused),
        (before.trips, now.trips),
        (before.bytes_sent, now.bytes_sent),
        (before.bytes_received, now.bytes_received),
        (before.latency.count(), now.latency.count()),
    ] {
        assert!(before <= now, "a counter fell from {before} to {now}");
    }
    let interval = later.since(earlier).databases["main"].clone();
    assert!(
        (0.0..=1.0).contains(&interval.success_rate()),
        "{interval:?}"
    );
    assert_eq!(interval.succeeded, now.succeeded - before.succeeded);
    assert!(now.uptime() <= later.uptime);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_add_up_under_200_callers_with_faults() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let config = DatabaseConfig::from_url(proxy.url())
        .command_timeout(Duration::from_millis(500))
        .attempt_timeout(Duration::from_millis(250));
    let (supervisor, main) = spawn(config).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (succeeded, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let callers = (0..200_u32).map(|number| {
        let (main, stop) = (main.clone(), stop.clone());
        let (succeeded, failed) = (succeeded.clone(), failed.clone());
        tokio::spawn(async move {
            while !stop.load(Relaxed) {
                let called = match number % 10 {
                    // An error of the caller's own.
                    0 => main.query::<()>(cmd("LPUSH").arg("text").arg(1)).await,
                    _ => main.query::<()>(cmd("SET").arg("text").arg("a")).await,
                };
                match called {
                    Ok(()) => succeeded.fetch_add(1, Relaxed),
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        failed.fetch_add(1, Relaxed)
                    }
                };
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let judging = {
        let (supervisor, stop) = (supervisor.clone(), stop.clone());
        tokio::task::spawn_blocking(move || {
            let mut earlier = supervisor.statistics();
            while !stop.load(Relaxed) {
                let later = supervisor.statistics();
                judge(&earlier, &later);
                earlier = later;
            }
        })
    };
    let more = || succeeded.load(Relaxed) + 2_000;
    for _ in 0..3 {
        let enough = more();
        let has_more = || succeeded.load(Relaxed) >= enough;
        eventually_async(SOON, "calls succeed", has_more).await;
        proxy.reset_all();
        let trips = stats(&supervisor).trips;
        proxy.set(Mode::SwallowReplies);
        let has_opened = || stats(&supervisor).trips > trips;
        eventually_async(SOON, "the circuit opens", has_opened).await;
        proxy.set(Mode::Pass);
        proxy.reset_all();
    }
    stop.store(true, Relaxed);
    for caller in join_all(callers).await {
        caller.expect("no panic");
    }
    judging.await.expect("each snapshot is consistent");
    let (succeeded, failed) = (succeeded.load(Relaxed), failed.load(Relaxed));
    // A caller is told before its connection has counted.
    let is_counted = || stats(&supervisor).commands() == succeeded + failed;
    eventually_async(SOON, "all are counted", is_counted).await;
    let stats = stats(&supervisor);
    assert_eq!(stats.succeeded, succeeded, "{stats:?}");
    assert_eq!(stats.failures(), failed, "{stats:?}");
    assert_eq!(stats.commands(), succeeded + failed, "{stats:?}");
    assert!(stats.trips >= 3 && stats.last_error.is_some());
    assert!(stats.time_in.down > Duration::ZERO && stats.time_in.healthy > Duration::ZERO);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_database_with_failures_alone_has_a_success_rate_of_zero() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    for _ in 0..10 {
        let failed = main.query::<()>(cmd("LPOP").arg("a").arg("b")).await;
        failed.expect_err("no number");
    }
    let stats = supervisor.statistics();
    assert_eq!(stats.success_rate(), 0.0);
    assert_eq!((stats.commands(), stats.failures()), (10, 10));
    let main = &stats.databases["main"];
    let last = main.last_error.as_ref().expect("an error");
    assert!(last.text.contains("out of range"), "{last}");
    assert_eq!(last.at.elapsed().expect("in the past").as_secs() / 60, 0);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn the_latency_and_the_bytes_are_those_of_the_commands() {
    let server = RedisServer::start();
    let config = DatabaseConfig::from_url(server.url()).allow_admin(true);
    let (supervisor, main) = spawn(config).await;
    let before = supervisor.statistics();
    assert_eq!(before.databases["main"].latency.count(), 0);
    for _ in 0..100 {
        let _: () = main
            .query(cmd("SET").arg("k").arg(vec![7_u8; 1_000]))
            .await
            .expect("set");
    }
    let sleep = Duration::from_millis(200);
    let mut debug = cmd("DEBUG");
    let _: () = main
        .query(debug.arg("SLEEP").arg(0.2))
        .await
        .expect("slept");
    // It blocks, which is no latency.
    let _: () = main
        .query(cmd("BLPOP").arg("none").arg(0.3))
        .await
        .expect("nothing");
    let interval = supervisor.statistics().since(&before);
    let main = &interval.databases["main"];
    assert_eq!(main.latency.count(), 101);
    let max = main.latency.max().expect("a longest");
    assert!((sleep..sleep + SOON).contains(&max), "{max:?}");
    assert!(main.latency.p50().expect("a median") < sleep);
    assert!(
        main.bytes_sent > 100_000 && main.bytes_sent < 120_000,
        "{main:?}"
    );
    assert!(main.bytes_received >= 500, "{main:?}");
    assert_eq!(main.circuit, CircuitState::Closed);
    let shown = interval.to_string();
    assert!(shown.contains("102 commands, 100 % succeeded"), "{shown}");
    assert!(shown.contains("1 healthy, 0 degraded, 0 failed"), "{shown}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn statistics_are_serialized_with_their_totals() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let _: () = main.query(cmd("SET").arg("k").arg("v")).await.expect("set");
    main.query::<()>(cmd("LPUSH").arg("k").arg("v"))
        .await
        .expect_err("no list");
    let json = serde_json::to_value(supervisor.statistics()).expect("a value");
    assert_eq!(json["overall_success_rate"], 0.5);
    assert_eq!(json["healthy_databases"], 1);
    let main = &json["databases"]["main"];
    assert_eq!(
        (&main["state"], &main["circuit_state"]),
        (&"healthy".into(), &"closed".into())
    );
    assert_eq!(
        (&main["commands"], &main["failures"]),
        (&2.into(), &1.into())
    );
    assert_eq!(main["latency"]["count"], 2);
    assert!(main["latency"]["p99_ms"].is_number() && main["uptime_seconds"].is_number());
    assert!(main["last_error"]["text"].is_string(), "{json}");
    assert!(main["state_seconds"].is_number(), "{json}");
    assert_eq!(main["pool"]["open"], 1);
    supervisor.shutdown(SOON).await;
}
