//! Goal: a degraded mode tells none of the lies that such modes are known for. Method: each lie is provoked.

use std::time::Duration;

use redis_steward::{Error, Fallback, HealthState, Source};

use crate::{
    common::{eventually_async, left_out_on_embedded, words},
    rig::{Rig, SOON},
};

/// The lie: a fallback without times to live has what has expired.
#[tokio::test]
async fn times_to_live_hold() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.outage().await;
    let () = rig.local("SET a 1 PX 50").await;
    let () = rig.local("HSET h f 1").await;
    let () = rig.local("PEXPIRE h 50").await;
    let start = std::time::Instant::now();
    rig.until_gone("a h").await;
    assert!(start.elapsed() >= Duration::from_millis(40));
}

/// The lie: memory without end.
#[tokio::test]
async fn bounds_hold_under_a_flood() {
    let fallback = Fallback::memory()
        .max_entries(100)
        .max_bytes(100_000)
        .max_journal_entries(50)
        .max_journal_bytes(100_000)
        .on_recovery(redis_steward::OnRecovery::Replay);
    let mut rig = Rig::start(fallback).await;
    rig.outage().await;
    let value = "x".repeat(2_000);
    for number in 0..5_000 {
        let size = if number % 2 == 0 { 2_000 } else { 1 };
        let () = rig
            .local(&format!("SET k{number} {}", &value[..size]))
            .await;
        let stats = rig.stats().fallback;
        assert!(stats.entries <= 100 && stats.bytes <= 100_000, "{stats:?}");
        assert!(
            stats.journal_entries <= 50 && stats.journal_bytes <= 100_000,
            "{stats:?}"
        );
    }
    let last: String = rig.local("GET k4999").await;
    assert_eq!(last, "x");
    assert!(rig.stats().fallback.evicted >= 4_900);
    // What is larger than the store is refused as before.
    let huge = words(&format!("SET huge {}", "x".repeat(60_000)));
    let refused = rig.main.query::<()>(huge).await;
    assert!(
        matches!(refused, Err(Error::CircuitOpen { .. })),
        "{refused:?}"
    );
}

/// The lie: what the fallback has comes back as a hit while the server is healthy.
#[tokio::test]
async fn nothing_of_the_store_is_seen_while_the_server_is_healthy() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.outage().await;
    let () = rig.local("SET a during").await;
    rig.recovery().await;
    for _ in 0..100 {
        let (value, source): (Option<String>, _) = rig.ask("GET a").await;
        assert_eq!((value, source), (None, Source::Redis));
    }
    rig.server.cli(&["SET", "a", "elsewhere"]);
    let (value, _): (String, _) = rig.ask("GET a").await;
    assert_eq!(value, "elsewhere");
    rig.server.cli(&["DEL", "a"]);
    let (value, _): (Option<String>, _) = rig.ask("GET a").await;
    assert_eq!(value, None);
}

/// The lie: an empty string or a zero counts as a miss.
#[tokio::test]
async fn falsy_values_are_values() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.outage().await;
    for (key, value) in [
        ("empty", ""),
        ("zero", "0"),
        ("false", "false"),
        ("null", "null"),
    ] {
        let set = redis::cmd("SET").arg(key).arg(value).take();
        let () = rig.main.query(set).await.expect("served");
        let found: Option<String> = rig.local(&format!("GET {key}")).await;
        assert_eq!(found.as_deref(), Some(value));
    }
    let there: i64 = rig.local("EXISTS empty zero false null").await;
    assert_eq!(there, 4);
}

/// The lie: success for a write that is nowhere. A write is from the server or from memory, and what is from the
/// server is there.
#[tokio::test]
async fn no_write_is_said_to_be_in_the_server_that_is_not() {
    if left_out_on_embedded() {
        return;
    }
    let mut rig = Rig::start(Fallback::memory()).await;
    let writing = rig.main.clone();
    let writer = tokio::spawn(async move {
        let (mut at_server, mut in_memory) = (Vec::new(), 0);
        for number in 0.. {
            let key = format!("k{number}");
            let set = words(&format!("SET {key} 1"));
            match writing.query_with_source::<()>(set).await {
                Ok(((), Source::Redis)) => {
                    at_server.push(key);
                    if in_memory > 0 {
                        break;
                    }
                }
                Ok(((), Source::Memory)) => in_memory += 1,
                Ok(((), Source::Cache)) => unreachable!("the handle is not cached"),
                Err(_) => {}
            }
            tokio::task::yield_now().await;
        }
        (at_server, in_memory)
    });
    let has_begun = || rig.stats().succeeded > 200;
    eventually_async(SOON, "writes succeed", has_begun).await;
    rig.outage().await;
    let serves = || rig.stats().fallback.served > 100;
    eventually_async(SOON, "the store serves", serves).await;
    rig.recovery().await;
    let (at_server, in_memory) = writer.await.expect("no panic");
    assert!(in_memory > 100);
    for key in at_server {
        assert_eq!(rig.server.cli(&["GET", &key]), "1", "{key}");
    }
}

/// The lie: what is evicted here is deleted there.
#[tokio::test]
async fn what_is_evicted_or_expires_here_stays_at_the_server() {
    if left_out_on_embedded() {
        return;
    }
    let fallback = Fallback::memory()
        .max_entries(2)
        .on_recovery(redis_steward::OnRecovery::Discard);
    let mut rig = Rig::start(fallback).await;
    let ((), _) = rig.ask("MSET a 1 b 1 c 1").await;
    rig.outage().await;
    let () = rig.local("SET c 2 PX 1").await;
    for number in 0..50 {
        let () = rig.local("SET a 2").await;
        let () = rig.local(&format!("SET other{number} 2")).await;
    }
    assert!(rig.stats().fallback.evicted > 40);
    rig.recovery().await;
    for key in ["a", "b", "c"] {
        assert_eq!(rig.server.cli(&["GET", key]), "1");
    }
}

/// The lie: an answer that nobody can know.
#[tokio::test]
async fn what_only_the_server_knows_is_refused_as_before() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.outage().await;
    for line in [
        "SET lock me NX PX 1000",
        "LPOP queue",
        "PUBLISH channel message",
        "SCAN 0",
        "DBSIZE",
        "PING",
        "EVAL return 0",
        "XADD s * f v",
    ] {
        let refused = rig.main.query::<redis::Value>(words(line)).await;
        assert!(
            matches!(refused, Err(Error::CircuitOpen { .. })),
            "{line}: {refused:?}"
        );
    }
    assert!(matches!(
        rig.main.lease().await,
        Err(Error::CircuitOpen { .. })
    ));
    assert_eq!(rig.stats().fallback.served, 0);
}

/// The lie: a write whose reply was lost is run here as well.
#[tokio::test]
async fn a_write_that_was_sent_is_not_run_here() {
    let mut rig = Rig::with(Fallback::memory(), |main| {
        main.attempt_timeout(Duration::from_millis(200))
            .command_timeout(Duration::from_secs(1))
    })
    .await;
    rig.server.freeze();
    let write = rig.main.query_with_source::<()>(words("SET a sent"));
    let error = write.await.expect_err("no reply comes");
    assert_eq!(error.execution(), redis_steward::Execution::Unknown);
    let is_stood_in = |state: &HealthState| matches!(state, HealthState::Degraded { .. });
    for _ in 0..5 {
        let _ = rig.main.query::<()>(words("GET a")).await;
    }
    rig.event(|event| is_stood_in(&event.state)).await;
    let serves = || async {
        rig.main
            .query_with_source::<Option<String>>(words("GET a"))
            .await
    };
    let start = std::time::Instant::now();
    let value = loop {
        if let Ok((value, Source::Memory)) = serves().await {
            break value;
        }
        assert!(start.elapsed() < SOON, "the store does not serve");
    };
    assert_eq!(value, None);
    rig.server.thaw();
}
