//! Goal: a pool takes other limits while it is used. Method: real servers, statistics and the server's list of clients.

use std::time::Duration;

use redis_steward::{Error, Limit};

use crate::{
    SOON, apply, at_leisure,
    common::{Rig, eventually_async},
    load::Load,
    patient, reconnecting, stats, took_effect, until_replaced,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_grows_and_shrinks_under_load() {
    let rig = Rig::with(at_leisure).await;
    let config = || patient(rig.server.url());
    let load = Load::on(&rig.main);
    for _ in 0..5 {
        load.goes_on().await;
        let large = config().max_connections(80).shared_connections(3, 4);
        let change = apply(&rig.supervisor, large).await;
        let settings = [
            "max_connections",
            "shared_connections.min",
            "shared_connections.max",
        ];
        // A connection watches its load only if others could help.
        assert_eq!(change, reconnecting(&settings));
        let is_large = || {
            let pool = rig.pool();
            (pool.max, pool.shared) == (80, 3)
        };
        eventually_async(SOON, "it has grown", is_large).await;
        load.goes_on().await;
        let small = config().max_connections(6).shared_connections(1, 1);
        assert_eq!(apply(&rig.supervisor, small).await, took_effect(&settings));
        let is_small = || {
            let pool = rig.pool();
            (pool.max, pool.shared) == (6, 1) && pool.open <= 6
        };
        eventually_async(SOON, "it has shrunk", is_small).await;
    }
    load.goes_on().await;
    load.end().await;
    rig.end().await;
}

#[tokio::test]
async fn leases_beyond_a_smaller_maximum_are_closed_when_they_are_given_back() {
    let rig = Rig::with(|main| at_leisure(main).max_connections(10)).await;
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(rig.main.lease().await.expect("a lease"));
    }
    let config = || patient(rig.server.url());
    apply(&rig.supervisor, config().max_connections(3)).await;
    let timeout = Duration::from_millis(50);
    let more = rig.main.with_timeout(timeout).lease().await;
    assert!(
        more.is_err_and(|error| error.is_timeout()),
        "there is no room"
    );
    for lease in &mut leases {
        lease
            .query::<()>(redis::cmd("PING"))
            .await
            .expect("they go on");
    }
    drop(leases);
    let pool = rig.settled().await;
    assert_eq!((pool.max, pool.idle, pool.shared), (3, 2, 1), "{pool:?}");
    assert_eq!(pool.evicted.spare, 3);
    // And up again.
    apply(&rig.supervisor, config().max_connections(10)).await;
    let mut leases = Vec::new();
    for _ in 0..9 {
        leases.push(rig.main.lease().await.expect("a lease"));
    }
    drop(leases);
    rig.end().await;
}

#[tokio::test]
async fn a_pool_of_one_connection_replaces_it_without_a_gap() {
    let rig = Rig::with(|main| at_leisure(main).max_connections(1)).await;
    let load = Load::shared(&rig.main);
    for name in ["one", "two", "three"] {
        load.goes_on().await;
        let outdated = rig.pool().evicted.outdated;
        let config = patient(rig.server.url()).max_connections(1);
        let name = format!("redis-steward-{name}");
        apply(&rig.supervisor, config.client_name(name.clone())).await;
        until_replaced(&rig.supervisor, outdated).await;
        eventually_async(SOON, "the server sees one", || {
            rig.server.client_list().len() == 1 && rig.server.clients_named(&name).len() == 1
        })
        .await;
    }
    load.end().await;
    rig.end().await;
}

#[tokio::test]
async fn bounds_on_load_hold_for_handles_that_were_taken_before() {
    let rig = Rig::with(at_leisure).await;
    let config = || patient(rig.server.url());
    let patient = rig.main.with_timeout(Duration::from_secs(60));
    let tight = config()
        .max_in_flight(1)
        .max_in_flight_bytes(1 << 10)
        .command_timeout(Duration::from_secs(3));
    apply(&rig.supervisor, tight).await;
    assert!(format!("{:?}", rig.main).contains("timeout: 3s"));
    assert!(
        format!("{patient:?}").contains("timeout: 60s"),
        "its caller chose it"
    );
    let large = redis::cmd("SET").arg("a").arg("x".repeat(2_000)).take();
    let refused = rig.main.query::<()>(&large).await.expect_err("too large");
    let is_bytes = |error: &Error| {
        let Error::Overloaded { limit, .. } = error else {
            return false;
        };
        matches!(limit, Limit::Bytes(1_024))
    };
    assert!(is_bytes(&refused), "{refused}");
    apply(&rig.supervisor, config()).await;
    rig.main.query::<()>(&large).await.expect("there is room");
    assert_eq!(stats(&rig.supervisor).in_flight, 0);
    rig.end().await;
}
