//! Goal: whatever happens in whatever order, every place is accounted for, first come is first served, no
//! waiter is forgotten, and a drain ends. Method: random events happen to a machine with a simulated shell
//! (`world_tests.rs`, `happenings_tests.rs`), and a naive model judges each action and each state of rest
//! (`judge_tests.rs`, `rest_tests.rs`).

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{
    Lane, Limits, Place as _,
    leased::MAX_DIALS,
    world::{Event, World},
};

/// Something that happens. Numbers choose among the things that it may happen to.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Acquire(Duration),
    GiveUp(usize),
    Park(usize),
    ParkedExpire,
    DialSucceeds(usize),
    DialFails {
        dial: usize,
        is_refused: bool,
    },
    Release {
        lease: usize,
        is_clean: bool,
        is_suspect: bool,
    },
    SocketCloses(usize),
    EndIsTold {
        connection: usize,
        is_lost: bool,
    },
    Used(usize),
    Saturated,
    Sweep,
    Distrust(Option<usize>),
    Redial(Duration),
    /// The connections with this remainder of their numbers lead to the new place already.
    Move(u64),
    Disown(usize),
    NotVerified,
    /// The server announces that it moves.
    HandOff,
    /// It has moved. The leased connections with this remainder of their numbers lead to the new place.
    LeaveBehind(u64),
    /// With this maximum of connections.
    Reconfigure {
        max: usize,
        limits: Limits,
        renews: bool,
    },
    Pass(Duration),
    Crash,
    OrphanEnds(usize),
    Drain(Duration),
}

fn happening() -> impl Strategy<Value = Happening> {
    let seconds = |range: std::ops::Range<u64>| range.prop_map(Duration::from_secs);
    let millis = |range: std::ops::Range<u64>| range.prop_map(Duration::from_millis);
    let which = any::<usize>;
    prop_oneof![
        12 => seconds(0..20).prop_map(Happening::Acquire),
        3 => which().prop_map(Happening::GiveUp),
        5 => (1..5_usize).prop_map(Happening::Park),
        1 => Just(Happening::ParkedExpire),
        20 => which().prop_map(Happening::DialSucceeds),
        5 => (which(), any::<bool>())
            .prop_map(|(dial, is_refused)| Happening::DialFails { dial, is_refused }),
        10 => (which(), prop::bool::weighted(0.8), prop::bool::weighted(0.2))
            .prop_map(|(lease, is_clean, is_suspect)| {
                Happening::Release { lease, is_clean, is_suspect }
            }),
        6 => which().prop_map(Happening::SocketCloses),
        6 => (which(), any::<bool>())
            .prop_map(|(connection, is_lost)| Happening::EndIsTold { connection, is_lost }),
        4 => which().prop_map(Happening::Used),
        3 => Just(Happening::Saturated),
        5 => Just(Happening::Sweep),
        2 => prop::option::weighted(0.8, which()).prop_map(Happening::Distrust),
        4 => millis(0..3_000).prop_map(Happening::Redial),
        2 => (0..3_u64).prop_map(Happening::Move),
        2 => Just(Happening::HandOff),
        2 => (0..3_u64).prop_map(Happening::LeaveBehind),
        2 => which().prop_map(Happening::Disown),
        2 => Just(Happening::NotVerified),
        3 => (limits(), any::<bool>())
            .prop_map(|((max, limits), renews)| Happening::Reconfigure { max, limits, renews }),
        4 => millis(0..1_500).prop_map(Happening::Pass),
        4 => seconds(0..8).prop_map(Happening::Pass),
        1 => Just(Happening::Crash),
        3 => which().prop_map(Happening::OrphanEnds),
    ]
}

/// The most connections, and the other limits.
fn limits() -> impl Strategy<Value = (usize, Limits)> {
    let shared = (1..=3_usize, 0..=2_usize);
    let lifetime = prop::option::of((5..60_u64).prop_map(Duration::from_secs));
    let others = (0..=6_usize, 1..=5_usize, lifetime);
    (shared, 0..=5_usize, others).prop_map(
        |((min_shared, more), for_leases, (min_idle, max_waiting, max_lifetime))| {
            let max = min_shared + for_leases;
            let limits = Limits {
                min_idle: min_idle.min(max),
                min_shared,
                max_shared: (min_shared + more).min(max),
                max_waiting,
                idle_timeout: Duration::from_secs(10),
                max_lifetime,
                sweep_interval: Duration::from_secs(5),
                stop_patience: Duration::from_secs(1),
            };
            (max, limits)
        },
    )
}

proptest! {
    #[test]
    fn every_place_is_accounted_for_and_no_waiter_is_forgotten(
        limits in limits(),
        happenings in prop::collection::vec(happening(), 0..250),
    ) {
        let mut world = World::new(limits);
        for happening in happenings {
            world.happen(happening);
        }
        world.settle();
        prop_assert_eq!(world.end(), 0);
    }

    #[test]
    fn a_drain_ends_in_good_order_or_when_its_grace_is_over(
        limits in limits(),
        before in prop::collection::vec(happening(), 0..100),
        grace in (0..5_000_u64).prop_map(Duration::from_millis),
        after in prop::collection::vec(happening(), 0..50),
        cooperates in any::<bool>(),
    ) {
        let mut world = World::new(limits);
        for happening in before {
            world.happen(happening);
        }
        world.happen(Happening::Drain(grace));
        for happening in after {
            world.happen(happening);
        }
        world.finish(cooperates);
        prop_assert_eq!(world.end(), 0);
    }
}

const LIMITS: Limits = Limits {
    min_idle: 0,
    min_shared: 1,
    max_shared: 2,
    max_waiting: 5,
    idle_timeout: Duration::from_secs(10),
    max_lifetime: None,
    sweep_interval: Duration::from_secs(5),
    stop_patience: Duration::from_secs(1),
};

/// It was given before the health actor heard of the failure, and another will follow.
#[test]
fn an_order_to_dial_that_is_due_when_a_dial_fails_is_void() {
    let mut world = World::new((2, LIMITS));
    world.happen(Happening::Redial(Duration::ZERO));
    let is_refused = false;
    world.happen(Happening::DialFails {
        dial: 0,
        is_refused,
    });
    assert!(world.dials.is_empty());
    world.happen(Happening::Redial(Duration::ZERO));
    world.happen(Happening::Pass(Duration::ZERO));
    assert_eq!(world.dials.len(), 1);
}

/// A pool with a shared connection, and one that was leased and blocks.
fn with_worker() -> World {
    let mut world = World::new((2, LIMITS));
    world.happen(Happening::DialSucceeds(0));
    world.happen(Happening::Acquire(Duration::from_secs(9)));
    world.happen(Happening::DialSucceeds(0));
    assert_eq!(world.leases, [2]);
    world
}

/// The shared connection was lost, and there is another.
fn with_worker_in_doubt() -> World {
    let mut world = with_worker();
    world.happen(Happening::Pass(Duration::from_secs(9)));
    world.happen(Happening::SocketCloses(0));
    let (connection, is_lost) = (0, true);
    world.happen(Happening::EndIsTold {
        connection,
        is_lost,
    });
    world.happen(Happening::Pass(Duration::from_secs(3)));
    world.happen(Happening::DialSucceeds(0));
    world
}

#[test]
fn the_server_is_asked_for_workers_once_it_has_been_back_for_a_moment() {
    let mut world = with_worker_in_doubt();
    let back = world.now;
    world.happen(Happening::Pass(Duration::from_secs(9)));
    assert_eq!(world.verified, [back + Duration::from_millis(500)]);
    world.happen(Happening::Disown(0));
    assert_eq!(world.cut.iter().collect::<Vec<_>>(), [&2]);
}

#[test]
fn a_question_without_an_answer_is_repeated_after_longer_and_longer_pauses() {
    let mut world = with_worker_in_doubt();
    let mut since = world.now;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        world.happen(Happening::Pass(Duration::from_secs(9)));
        let asked = *world.verified.last().expect("it is asked");
        pauses.push((asked - since).as_millis());
        since = world.now;
        world.happen(Happening::NotVerified);
    }
    assert_eq!(pauses, [500, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
    world.happen(Happening::Disown(0));
    world.happen(Happening::NotVerified);
    world.happen(Happening::Pass(Duration::from_secs(9)));
    assert_eq!(
        world.verified.len(),
        pauses.len(),
        "nothing is in doubt any more"
    );
}

#[test]
fn a_drain_asks_for_a_worker_in_doubt_and_then_ends_its_wait() {
    let mut world = with_worker_in_doubt();
    let start = world.now;
    world.happen(Happening::Drain(Duration::from_secs(60)));
    assert_eq!(
        (&world.verified[..], &world.unblocked[..]),
        (&[start][..], &[][..])
    );
    world.doubted.clear();
    world.turn(Event::Verified {
        known: vec![2],
        disowned: Vec::new(),
    });
    world.happen(Happening::Pass(Duration::from_millis(100)));
    assert_eq!(world.unblocked, [start + Duration::from_millis(100)]);
}

#[test]
fn a_wait_that_does_not_end_is_not_told_to_again_and_again() {
    let mut world = with_worker();
    let start = world.now;
    world.happen(Happening::Drain(Duration::from_secs(60)));
    world.happen(Happening::Pass(Duration::from_secs(4)));
    let millis = |at: &Instant| (*at - start).as_millis();
    let told: Vec<_> = world.unblocked.iter().map(millis).collect();
    assert_eq!(told, [0, 100, 300, 700, 1_500, 3_100]);
}

#[test]
fn a_waiter_takes_the_room_that_was_made_for_growth() {
    let mut world = World::new((2, LIMITS));
    world.happen(Happening::DialSucceeds(0));
    world.happen(Happening::Acquire(Duration::from_secs(9)));
    world.happen(Happening::DialSucceeds(0));
    let (is_clean, is_suspect) = (true, false);
    world.happen(Happening::Release {
        lease: 0,
        is_clean,
        is_suspect,
    });
    world.happen(Happening::Saturated);
    assert!(world.displaced.is_some(), "it makes room");
    world.happen(Happening::Acquire(Duration::from_secs(9)));
    // The displaced one, because the other comes first.
    world.happen(Happening::SocketCloses(1));
    let (connection, is_lost) = (0, false);
    world.happen(Happening::EndIsTold {
        connection,
        is_lost,
    });
    let lanes: Vec<_> = world.dials.values().map(|dial| dial.lane()).collect();
    assert_eq!(lanes, [Lane::Leased]);
}

/// A machine with a shared connection, room for so many leases, and so many callers that wait for one.
fn burst(leases: usize, callers: usize) -> World {
    let limits = Limits {
        max_waiting: callers,
        ..LIMITS
    };
    let mut world = World::new((leases + 1, limits));
    world.happen(Happening::DialSucceeds(0));
    for _ in 0..callers {
        world.happen(Happening::Acquire(Duration::from_secs(60)));
    }
    world
}

/// Ends all dials that are under way, as after one round trip, and tells how many there were.
fn round_trip(world: &mut World) -> usize {
    let under_way = world.dials.len();
    for _ in 0..under_way {
        world.happen(Happening::DialSucceeds(0));
    }
    under_way
}

#[test]
fn a_burst_of_callers_waits_for_one_dial_and_not_for_many_in_a_row() {
    let mut world = burst(49, 49);
    assert_eq!(round_trip(&mut world), 49);
    assert_eq!(world.leases.len(), 49);
    // There is no room for more.
    let mut world = burst(10, 49);
    assert_eq!(round_trip(&mut world), 10);
    assert!(world.dials.is_empty());
}

#[test]
fn a_burst_beyond_all_bounds_dials_a_bounded_number_at_a_time() {
    let mut world = burst(200, 300);
    assert_eq!(world.dials.len(), MAX_DIALS);
    while !world.dials.is_empty() {
        assert!(world.dials.len() <= MAX_DIALS);
        world.happen(Happening::DialSucceeds(0));
    }
    assert_eq!(world.leases.len(), 200);
}

fn fail_all_dials(world: &mut World) {
    while !world.dials.is_empty() {
        world.happen(Happening::DialFails {
            dial: 0,
            is_refused: false,
        });
    }
}

#[test]
fn after_a_failed_dial_the_number_at_a_time_starts_with_one_and_doubles() {
    let mut world = burst(49, 49);
    fail_all_dials(&mut world);
    let pause = world.pool.wake_at().expect("a pause") - world.now;
    world.happen(Happening::Pass(pause));
    assert_eq!(world.dials.len(), 1);
    world.happen(Happening::DialSucceeds(0));
    assert_eq!(world.dials.len(), 2);
    world.happen(Happening::DialSucceeds(0));
    assert_eq!(world.dials.len(), 4);
    while !world.dials.is_empty() {
        round_trip(&mut world);
    }
    assert_eq!(world.leases.len(), 49);
}

#[test]
fn there_is_no_dial_for_callers_that_have_gone() {
    let mut world = burst(49, 49);
    fail_all_dials(&mut world);
    while !world.queue.is_empty() {
        world.happen(Happening::GiveUp(0));
    }
    world.happen(Happening::Pass(Duration::from_secs(30)));
    assert!(world.dials.is_empty());
}
