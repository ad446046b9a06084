use std::{sync::Arc, time::Duration};

use super::*;
use crate::state::Permits;

const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

const LIMITS: Limits = Limits {
    min_idle: 1,
    min_shared: 1,
    max_shared: 2,
    max_waiting: 10,
    idle_timeout: IDLE_TIMEOUT,
    max_lifetime: None,
    sweep_interval: Duration::from_secs(5),
    stop_patience: Duration::from_secs(1),
};

/// A ledger with these connections in service, opened at these times and unused since. Their ids are counted from 1.
fn serving(lanes: &[(Lane, Instant)]) -> Ledger<Arc<Permits>> {
    let mut ledger = Ledger::new(Permits::new(lanes.len(), 0));
    for (lane, opened) in lanes {
        let (id, _place) = ledger.request(*lane).expect("room");
        ledger.opened(id, *opened, 0.0);
    }
    ledger
}

#[test]
fn the_last_connection_is_not_spare() {
    let now = Instant::now();
    let mut ledger = serving(&[(Lane::Shared, now); 2]);
    let evicted = ledger.sweep(now + IDLE_TIMEOUT, &LIMITS, true);
    assert_eq!(evicted, [(2, Eviction::Spare)]);
}

#[test]
fn a_connection_that_is_too_old_is_not_counted_as_left() {
    let now = Instant::now();
    let earlier = now - Duration::from_secs(1);
    let lanes = [
        (Lane::Shared, now),
        (Lane::Leased, earlier),
        (Lane::Leased, now),
    ];
    let limits = Limits {
        min_idle: 2,
        max_lifetime: Some(IDLE_TIMEOUT + Duration::from_secs(1)),
        ..LIMITS
    };
    let mut ledger = serving(&lanes);
    let evicted = ledger.sweep(now + IDLE_TIMEOUT, &limits, true);
    assert_eq!(evicted, [(2, Eviction::Lifetime)]);
}
