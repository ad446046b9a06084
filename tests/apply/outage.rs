//! Goal: a configuration can be changed while a server is away. Method: servers that are killed and started.

use std::time::Duration;

use redis::cmd;
use redis_steward::{Fallback, HealthState, OnRecovery, Reason, Source};

use crate::{
    SOON, apply, at_leisure,
    common::{RedisServer, Rig, eventually_async},
    patient, stats,
};

fn is_down(health: &HealthState) -> bool {
    matches!(health, HealthState::Down { .. })
}

#[tokio::test]
async fn a_database_that_is_down_moves_to_a_server_that_works() {
    let rig = Rig::with(at_leisure).await;
    rig.server.kill();
    eventually_async(SOON, "it is down", || is_down(&rig.stats().health)).await;
    let before = rig.stats();
    let other = RedisServer::start();
    apply(&rig.supervisor, patient(other.url())).await;
    rig.supervisor.ready(SOON).await.expect("ready");
    rig.main.query::<()>(cmd("PING")).await.expect("pong");
    let after = rig.stats();
    assert!(
        after.pool.dial_failures >= before.pool.dial_failures,
        "counters stay"
    );
    assert!(after.succeeded > before.succeeded);
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_dead_database_does_not_delay_the_change_of_another() {
    let (dead, alive) = (RedisServer::start(), RedisServer::start());
    dead.freeze();
    let config = |parked| {
        redis_steward::Config::new()
            .database("dead", patient(dead.url()).max_parked(parked))
            .database("main", patient(alive.url()).max_parked(parked))
    };
    let supervisor = redis_steward::Supervisor::spawn(config(100))
        .await
        .expect("spawn");
    let main = supervisor.database("main").expect("main");
    let applied = tokio::time::timeout(Duration::from_secs(1), supervisor.apply(config(200)));
    let applied = applied.await.expect("at once").expect("applied");
    assert_eq!(applied.databases.len(), 2);
    main.query::<()>(cmd("PING")).await.expect("pong");
    dead.thaw();
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn what_was_read_before_an_outage_is_kept_while_it_goes_on() {
    let long = Duration::from_secs(3600);
    let rig = Rig::with(|main| {
        let fallback = Fallback::memory().stale_reads(long, 100);
        at_leisure(main).fallback(fallback)
    })
    .await;
    rig.server.cli(&["SET", "a", "before"]);
    let get = cmd("GET").arg("a").take();
    let before: String = rig.main.query(&get).await.expect("get");
    assert_eq!(before, "before");
    rig.server.kill();
    let reason = Reason::MemoryFallback;
    let stands_in = || rig.stats().health == HealthState::Degraded { reason };
    eventually_async(SOON, "a store stands in", stands_in).await;
    // Another age holds from the next outage on.
    let config = |age| patient(rig.server.url()).fallback(Fallback::memory().stale_reads(age, 100));
    apply(&rig.supervisor, config(2 * long)).await;
    let (kept, source): (Option<String>, _) = rig.main.query_with_source(&get).await.expect("get");
    assert_eq!((kept.as_deref(), source), (Some("before"), Source::Memory));
    // Nothing is remembered any more.
    let none = patient(rig.server.url()).fallback(Fallback::memory());
    apply(&rig.supervisor, none).await;
    rig.server.restart();
    eventually_async(SOON, "it is back", || {
        rig.stats().health == HealthState::Healthy
    })
    .await;
    rig.server.kill();
    eventually_async(SOON, "a store stands in again", stands_in).await;
    let (gone, source): (Option<String>, _) = rig.main.query_with_source(&get).await.expect("get");
    assert_eq!((gone, source), (None, Source::Memory));
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_fallback_is_switched_on_during_an_outage_and_off_again() {
    let rig = Rig::with(at_leisure).await;
    let config = || patient(rig.server.url());
    rig.server.kill();
    eventually_async(SOON, "it is down", || is_down(&rig.stats().health)).await;
    let set = cmd("SET").arg("a").arg("kept").take();
    rig.main
        .query::<()>(&set)
        .await
        .expect_err("there is no store");
    let fallback = Fallback::memory().on_recovery(OnRecovery::Replay);
    apply(&rig.supervisor, config().fallback(fallback)).await;
    let stands_in = || matches!(rig.stats().health, HealthState::Degraded { .. });
    eventually_async(SOON, "a store stands in", stands_in).await;
    let (_, source): ((), _) = rig.main.query_with_source(&set).await.expect("set");
    assert_eq!(source, Source::Memory);
    // What it has kept is not lost by that.
    apply(&rig.supervisor, config()).await;
    rig.main
        .query::<()>(cmd("GET").arg("a"))
        .await
        .expect("it goes on");
    rig.server.restart();
    eventually_async(SOON, "it is back", || {
        rig.stats().health == HealthState::Healthy
    })
    .await;
    let kept: String = rig.main.query(cmd("GET").arg("a")).await.expect("get");
    assert_eq!(kept, "kept");
    assert_eq!(rig.stats().fallback.recovery.replayed, 1);
    rig.server.kill();
    eventually_async(SOON, "it is down", || is_down(&rig.stats().health)).await;
    assert_eq!(stats(&rig.supervisor).fallback.served, 2, "counters stay");
    rig.supervisor.shutdown(SOON).await;
}
