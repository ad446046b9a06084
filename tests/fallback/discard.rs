//! Goal: during an outage callers see the store, and after it the server; what was written in between is given up,
//! and what was deleted stays deleted.

use std::time::Duration;

use redis::pipe;
use redis_steward::{Error, Fallback, HealthState, Reason, Source};

use crate::{
    common::{eventually_async, left_out_on_embedded, words},
    rig::{Rig, SOON},
};

#[tokio::test]
async fn a_chat_goes_on_through_an_outage() {
    if left_out_on_embedded() {
        return;
    }
    let mut rig = Rig::start(Fallback::memory()).await;
    let (_, source): ((), _) = rig.ask("SET thread_state:1 before EX 86400").await;
    assert_eq!(source, Source::Redis);
    rig.outage().await;
    let lost: Option<String> = rig.local("GET thread_state:1").await;
    assert_eq!(lost, None, "it is missing, and not invented");
    let () = rig.local("SET thread_state:1 during EX 86400").await;
    let kept: String = rig.local("GET thread_state:1").await;
    assert_eq!(kept, "during");
    let left: i64 = rig.local("TTL thread_state:1").await;
    assert!((86_000..=86_400).contains(&left), "{left}");
    let () = rig.local("RPUSH thread_events:1 a b").await;
    let events: Vec<String> = rig.local("LRANGE thread_events:1 0 -1").await;
    assert_eq!(events, ["a", "b"]);

    let event = rig.recovery().await;
    let recovery = event
        .recovery
        .expect("it tells what has become of the writes");
    assert_eq!((recovery.discarded, recovery.replayed), (2, 0));
    assert!(recovery.is_complete());
    let (state, source): (String, _) = rig.ask("GET thread_state:1").await;
    assert_eq!((&*state, source), ("before", Source::Redis));
    assert_eq!(rig.stats().fallback.served, 6);
    assert_eq!(rig.stats().fallback.entries, 0);
}

#[tokio::test]
async fn the_state_of_the_database_tells_of_it() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.server.kill();
    let event = rig
        .event(|event| event.state != HealthState::Healthy && event.circuit.to_string() == "open")
        .await;
    let reason = Reason::MemoryFallback;
    assert_eq!(event.state, HealthState::Degraded { reason });
    let cause = event.cause.expect("it tells what is wrong");
    assert!(cause.contains("refused"), "{cause}");
    assert_eq!(rig.stats().health, HealthState::Degraded { reason });
    let refused = rig.stats().refused;
    let () = rig.local("SET a 1").await;
    // It is counted once.
    assert_eq!(rig.stats().refused, refused);
}

#[tokio::test]
async fn what_was_deleted_during_an_outage_stays_deleted() {
    if left_out_on_embedded() {
        return;
    }
    let mut rig = Rig::start(Fallback::memory()).await;
    for line in ["MSET a 1 b 1 c 1 d 1", "SADD s x y", "HSET h f 1 g 1"] {
        let ((), _) = rig.ask(line).await;
    }
    rig.outage().await;
    let () = rig.local("DEL a b").await;
    let () = rig.local("SET b 2").await;
    let () = rig.local("SREM s x").await;
    let () = rig.local("HDEL h f").await;
    let () = rig.local("GETDEL c").await;
    let gone: Option<String> = rig.local("GET a").await;
    assert_eq!(gone, None);
    let event = rig.recovery().await;
    assert_eq!(event.recovery.expect("a report").replayed, 5);
    // At the server, and at once for callers.
    for key in ["a", "b", "c"] {
        let (value, source): (Option<String>, _) = rig.ask(&format!("GET {key}")).await;
        assert_eq!((value, source), (None, Source::Redis), "{key}");
    }
    assert_eq!(rig.server.cli(&["GET", "d"]), "1");
    assert_eq!(rig.server.cli(&["SMEMBERS", "s"]), "y");
    assert_eq!(rig.server.cli(&["HKEYS", "h"]), "g");
}

#[tokio::test]
async fn every_outage_begins_with_an_empty_store() {
    let mut rig = Rig::start(Fallback::memory()).await;
    for number in 1..=2 {
        rig.outage().await;
        let before: Option<String> = rig.local("GET a").await;
        assert_eq!(before, None, "outage {number}");
        let () = rig.local("SET a 1").await;
        rig.recovery().await;
    }
    assert_eq!(rig.stats().fallback.recovery.discarded, 2);
}

#[tokio::test]
async fn pipelines_are_served_as_a_whole() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.outage().await;
    let mut both = pipe();
    both.set("a", 1).incr("a", 1).get("b");
    for is_atomic in [false, true] {
        if is_atomic {
            both.atomic();
        }
        let replies = rig.main.pipeline_with_source(&both).await;
        let (replies, source): ((String, i64, Option<String>), _) = replies.expect("replies");
        assert_eq!(replies, ("OK".into(), 2, None));
        assert_eq!(source, Source::Memory);
    }
    let mut one_is_not_served = pipe();
    one_is_not_served.set("a", 7).rpop("l", None);
    let refused = rig.main.pipeline::<()>(&one_is_not_served).await;
    assert!(matches!(refused, Err(Error::CircuitOpen { .. })));
    let unchanged: i64 = rig.local("GET a").await;
    assert_eq!(unchanged, 2);
}

#[tokio::test]
async fn calls_that_wait_for_a_connection_when_the_circuit_opens_are_served() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.server.kill();
    let main = rig.main.clone();
    let calls = (0..20).map(|number| {
        let main = main.clone();
        tokio::spawn(async move {
            let set = words(&format!("SET k{number} 1"));
            main.query_with_source::<()>(set).await
        })
    });
    let calls: Vec<_> = calls.collect();
    rig.event(|event| {
        let reason = Reason::MemoryFallback;
        event.state == HealthState::Degraded { reason }
    })
    .await;
    for call in calls {
        let ended = call.await.expect("no panic");
        // The first may have been written before the connection broke.
        match ended {
            Ok(((), source)) => assert_eq!(source, Source::Memory),
            Err(error) => assert!(matches!(error, Error::ConnectionLost { .. }), "{error}"),
        }
    }
    assert!(rig.stats().fallback.served > 10);
}

#[tokio::test]
async fn a_patient_handle_wants_the_server() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.outage().await;
    let patient = rig.main.patient().with_timeout(SOON);
    let call = tokio::spawn(async move { patient.query_with_source::<()>(words("SET a 1")).await });
    rig.recovery().await;
    let ((), source) = call.await.expect("no panic").expect("it waited");
    assert_eq!(source, Source::Redis);
}

#[tokio::test]
async fn an_isolated_database_and_one_without_a_fallback_serve_nothing() {
    let mut rig = Rig::start(Fallback::memory()).await;
    rig.outage().await;
    rig.supervisor.isolate("main").await.expect("main");
    rig.event(|event| event.state == HealthState::Isolated)
        .await;
    let isolated = rig.main.query::<()>(words("SET a 1")).await;
    assert!(
        matches!(isolated, Err(Error::Isolated { .. })),
        "{isolated:?}"
    );
    rig.server.restart();
    rig.supervisor.reset("main").await.expect("main");
    rig.event(|event| event.state == HealthState::Healthy).await;
    let ((), source) = rig.ask("SET a 1").await;
    assert_eq!(source, Source::Redis);
}

#[tokio::test]
async fn a_restart_that_the_circuit_does_not_notice_is_no_outage() {
    let rig = Rig::start(Fallback::memory()).await;
    rig.server.restart();
    let is_back = || rig.stats().health == HealthState::Healthy;
    eventually_async(SOON, "it is healthy", is_back).await;
    let ((), source) = rig.ask("SET a 1").await;
    assert_eq!(source, Source::Redis);
    assert_eq!(rig.stats().fallback.served, 0);
}

#[tokio::test]
async fn a_shutdown_tells_what_is_lost() {
    let fallback = Fallback::memory().on_recovery(redis_steward::OnRecovery::Replay);
    let mut rig = Rig::start(fallback).await;
    rig.outage().await;
    let () = rig.local("MSET a 1 b 1").await;
    rig.supervisor.shutdown(Duration::from_secs(1)).await;
    let event = rig.event(|event| event.state == HealthState::Stopped).await;
    assert_eq!(event.recovery.expect("a report").dropped, 2);
}
