//! Goal: connections are closed at the default age and after the default idle time, and not before.
//! Method: the actors run on the test's own thread against a server inside the process, and on a paused
//! clock, so that half an hour passes in a moment.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::sleep;

use super::paused::{MINUTE, Rig, SECOND, run};

/// The defaults.
const SWEEP_INTERVAL: Duration = MINUTE;
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);

#[test]
fn idle_connections_stay_for_five_minutes_and_go_with_the_next_sweep() {
    run(async {
        let rig = Rig::start(|main| main).await;
        let leases = rig.leases(3).await;
        // The leases are given back out of step with the sweeps.
        rig.at(10 * SECOND).await;
        drop(leases);
        // Each minute uses the lease that was used last, and the shared connection.
        for minute in 1..=3 {
            rig.at(10 * SECOND + minute * MINUTE).await;
            drop(rig.lease().await);
            rig.ping().await;
        }
        let two = 10 * SECOND + IDLE_TIMEOUT;
        let one = two + 3 * MINUTE;
        rig.at(two - SECOND).await;
        let pool = rig.pool();
        assert_eq!((pool.open, pool.idle, pool.evicted.total()), (4, 3, 0));
        // The sweep at five minutes came too early by ten seconds, the next comes at six.
        rig.at(6 * MINUTE).await;
        let pool = rig.pool();
        assert_eq!((pool.open, pool.idle, pool.evicted.idle), (2, 1, 2));
        rig.at(one - SECOND).await;
        assert_eq!(rig.pool().evicted.total(), 2);
        rig.at(9 * MINUTE).await;
        let pool = rig.pool();
        // The shared connection stays open although it is idle.
        assert_eq!((pool.open, pool.shared, pool.evicted.idle), (1, 1, 3));
        assert_eq!(pool.evicted.total(), 3);
        assert_eq!(
            pool.last_sweep.map(|since_sweep| since_sweep < SECOND),
            Some(true)
        );
        rig.at(9 * MINUTE + 30 * SECOND).await;
        let since = rig.pool().last_sweep.expect("a sweep");
        assert!(since >= 29 * SECOND && since < SWEEP_INTERVAL, "{since:?}");
        rig.stop().await;
    });
}

#[test]
fn the_idle_minimum_includes_a_shared_connection() {
    run(async {
        for min_idle in [1, 2] {
            let rig = Rig::start(|main| main.min_idle(min_idle)).await;
            rig.at(4 * MINUTE).await;
            // Used later than the shared connection.
            drop(rig.lease().await);
            rig.at(10 * MINUTE).await;
            let pool = rig.pool();
            assert_eq!((pool.shared, pool.open), (1, min_idle), "{pool:?}");
            // Each is replaced at its age.
            rig.at(3 * MAX_LIFETIME).await;
            let pool = rig.pool();
            assert_eq!((pool.shared, pool.open), (1, min_idle), "{pool:?}");
            assert!(pool.evicted.lifetime >= 2, "{pool:?}");
            rig.stop().await;
        }
    });
}

#[test]
fn a_lease_is_closed_for_its_age_only_when_it_is_given_back() {
    run(async {
        let rig = Rig::start(|main| main).await;
        let lease = rig.lease().await;
        rig.at(2 * MAX_LIFETIME).await;
        let pool = rig.pool();
        // The shared connection was replaced at its age.
        assert_eq!((pool.shared, pool.in_use, pool.evicted.idle), (1, 1, 0));
        let (shared, opened) = (pool.evicted.lifetime, pool.opened);
        assert!(rig.server.lifespans()[1].closed.is_none());
        drop(lease);
        // Its connection is closed now, not with the next sweep.
        sleep(Duration::from_millis(2)).await;
        let pool = rig.pool();
        assert_eq!((pool.shared, pool.in_use, pool.idle), (1, 0, 0));
        assert_eq!(pool.evicted.lifetime, shared + 1);
        assert_eq!((pool.discarded, pool.opened), (0, opened));
        assert!(rig.server.lifespans()[1].closed.is_some());
        rig.stop().await;
    });
}

#[test]
fn connections_of_the_same_age_do_not_end_together() {
    const LEASED: usize = 100;
    run(async {
        let rig = Rig::start(|main| {
            // Neither idleness nor a lack of room shall end them.
            main.max_connections(LEASED + 2)
                .idle_timeout(2 * MAX_LIFETIME)
        })
        .await;
        drop(rig.leases(LEASED).await);
        let opened = rig
            .server
            .lifespans()
            .iter()
            .map(|lifespan| lifespan.opened)
            .max();
        assert!(opened.expect("some") < rig.started + SECOND);
        let earliest = MAX_LIFETIME.mul_f64(0.9);
        rig.at(earliest - SECOND).await;
        assert_eq!(rig.server.open(), LEASED + 1);
        let latest = MAX_LIFETIME + SWEEP_INTERVAL + SECOND;
        rig.at(latest).await;
        let pool = rig.pool();
        assert_eq!((pool.open, pool.shared), (1, 1));
        assert_eq!(pool.evicted.lifetime, LEASED as u64 + 1);
        assert_eq!(pool.evicted.total(), pool.evicted.lifetime);
        let mut sweeps = BTreeMap::<_, usize>::new();
        for closed in rig.closed() {
            assert!(closed >= earliest && closed <= latest, "{closed:?}");
            *sweeps
                .entry(closed.as_secs() / SWEEP_INTERVAL.as_secs())
                .or_default() += 1;
        }
        // Three minutes hold three sweeps, and each closes about a third.
        assert!(sweeps.len() >= 3, "{sweeps:?}");
        assert!(
            sweeps.values().all(|closed| *closed < LEASED * 2 / 3),
            "{sweeps:?}"
        );
        rig.stop().await;
    });
}
