//! Goal: whatever happens in whatever order, every place is accounted for, nobody is served before
//! those who came earlier, and nobody waits in vain. Method: random events happen to a ledger and to a
//! naive model of it, which keeps lists and counts them anew after each event.

#[path = "ledger_model_tests.rs"]
mod model;

use std::sync::Arc;

use proptest::prelude::*;

use self::model::World;
use super::*;
use crate::state::permits::Permits;

const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
const SWEPT_EVERY: Duration = Duration::from_secs(5);

/// Something that happens. Numbers choose among those it may happen to.
#[derive(Clone, Debug)]
enum Event {
    Wait(Duration),
    GiveUp(usize),
    Step {
        may_open: bool,
        finds_it_ended: bool,
    },
    StandStill {
        may_open: bool,
    },
    DialSucceeds(usize, Option<Duration>),
    /// Also when it is cancelled: whoever dials lets go.
    DialFails(usize),
    RequestShared,
    Saturated,
    Release {
        lease: usize,
        is_clean: bool,
    },
    SocketCloses(usize),
    Ended(usize),
    Retire(usize),
    Distrust,
    Used(usize),
    Sweep,
    Expire,
    Dismiss,
    Pass(Duration),
    Crash,
    OrphanEnds(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let seconds = |range: std::ops::Range<u64>| range.prop_map(Duration::from_secs);
    let may_open = || prop::bool::weighted(0.8);
    let which = any::<usize>;
    prop_oneof![
        12 => seconds(0..20).prop_map(Event::Wait),
        3 => which().prop_map(Event::GiveUp),
        8 => (may_open(), prop::bool::weighted(0.1))
            .prop_map(|(may_open, finds_it_ended)| Event::Step { may_open, finds_it_ended }),
        8 => may_open().prop_map(|may_open| Event::StandStill { may_open }),
        14 => (which(), prop::option::of(seconds(5..60)))
            .prop_map(|(which, lifetime)| Event::DialSucceeds(which, lifetime)),
        4 => which().prop_map(Event::DialFails),
        6 => Just(Event::RequestShared),
        2 => Just(Event::Saturated),
        10 => (which(), prop::bool::weighted(0.8))
            .prop_map(|(lease, is_clean)| Event::Release { lease, is_clean }),
        5 => which().prop_map(Event::SocketCloses),
        5 => which().prop_map(Event::Ended),
        2 => which().prop_map(Event::Retire),
        1 => Just(Event::Distrust),
        2 => which().prop_map(Event::Used),
        4 => Just(Event::Sweep),
        3 => Just(Event::Expire),
        1 => Just(Event::Dismiss),
        6 => seconds(0..8).prop_map(Event::Pass),
        1 => Just(Event::Crash),
        3 => which().prop_map(Event::OrphanEnds),
    ]
}

/// The most connections, and how many of them are kept for the shared lane.
fn limits() -> impl Strategy<Value = (usize, Limits)> {
    let shared = (1..=3_usize, 0..=2_usize);
    (shared, 0..=5_usize, 0..=6_usize).prop_map(|((min_shared, more), for_leases, min_idle)| {
        let max = min_shared + for_leases;
        let limits = Limits {
            min_idle: min_idle.min(max),
            min_shared,
            max_shared: (min_shared + more).min(max),
            idle_timeout: IDLE_TIMEOUT,
        };
        (max, limits)
    })
}

proptest! {
    #[test]
    fn whatever_happens_every_place_is_accounted_for_and_nobody_waits_in_vain(
        limits in limits(),
        events in prop::collection::vec(event(), 0..250),
    ) {
        let mut world = World::new(limits);
        for event in events {
            world.happen(event);
            world.check();
        }
        world.end();
        world.check();
        prop_assert_eq!(world.total(), 0);
    }
}

/// A ledger with these connections in service, all opened `now` and unused since. Their ids are counted
/// from 1.
fn serving(
    limits: Limits,
    lanes: &[(Lane, Option<Duration>)],
    now: Instant,
) -> Ledger<u32, Arc<Permits>> {
    let permits = Permits::new(lanes.len(), 0);
    let mut ledger = Ledger::new(permits.clone(), limits);
    for (id, (lane, lifetime)) in (1..).zip(lanes) {
        let permit = permits.request(*lane).expect("room");
        ledger.opened(id, permit, now, lifetime.map(|it| now + it));
    }
    ledger
}

const LIMITS: Limits = Limits {
    min_idle: 1,
    min_shared: 1,
    max_shared: 2,
    idle_timeout: IDLE_TIMEOUT,
};

#[test]
fn the_last_connection_is_not_spare() {
    let now = Instant::now();
    let mut ledger = serving(LIMITS, &[(Lane::Shared, None); 2], now);
    let evicted = ledger.sweep(now + IDLE_TIMEOUT, SWEPT_EVERY);
    assert_eq!(evicted, [(2, Eviction::Spare)]);
}

#[test]
fn what_is_too_old_is_not_counted_as_left() {
    let now = Instant::now();
    let lanes = [
        (Lane::Shared, None),
        (Lane::Leased, Some(IDLE_TIMEOUT)),
        (Lane::Leased, None),
    ];
    let limits = Limits {
        min_idle: 2,
        ..LIMITS
    };
    let mut ledger = serving(limits, &lanes, now);
    let evicted = ledger.sweep(now + IDLE_TIMEOUT, SWEPT_EVERY);
    assert_eq!(evicted, [(2, Eviction::Lifetime)]);
}
