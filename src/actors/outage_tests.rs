//! Goal: a database recovers by itself after an outage of any length. Method: a paused clock, and a server
//! that is down for a quarter of an hour.

use std::time::Duration;

use super::paused::{MINUTE, Rig, SECOND, run};
use crate::{error::Error, execution::Execution};

const OUTAGE: Duration = Duration::from_secs(15 * 60);

#[test]
fn the_first_command_after_a_quarter_of_an_hour_succeeds() {
    run(async {
        let rig = Rig::start(|main| main.min_idle(3)).await;
        let lease = rig.lease().await;
        rig.at(SECOND).await;
        rig.server.die();
        let mut refused = 0;
        let mut last = rig.now();
        while rig.now() < OUTAGE {
            let error = rig.try_ping().await.expect_err("the server is down");
            assert_eq!(error.execution(), Execution::NotSent, "{error}");
            refused += usize::from(matches!(error, Error::CircuitOpen { .. }));
            rig.at(last + 10 * SECOND).await;
            last = rig.now();
        }
        assert!(refused > 80, "{refused}");
        drop(lease);
        rig.server.revive();
        // A probe notices the server within two seconds.
        rig.at(last + 2 * SECOND).await;
        rig.ping().await;
        drop(rig.lease().await);
        rig.at(last + MINUTE).await;
        let pool = rig.pool();
        assert_eq!((pool.shared, pool.in_use), (1, 0), "{pool:?}");
        assert!(pool.idle >= 2, "the minimum is there again: {pool:?}");
        assert_eq!((pool.waiting, pool.parked, pool.opening), (0, 0, 0));
        rig.stop().await;
    });
}
