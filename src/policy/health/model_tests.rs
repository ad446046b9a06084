//! Goal: whatever happens in whatever order, the gate agrees with the circuit, subscribers hear of changes
//! only, nothing waits in vain, and a server that is well again is used again. Method: random events
//! happen to a machine and to a naive model of its world: a gate, a pool, an endpoint, and the probes,
//! checks and timers that are under way.

#[path = "world_tests.rs"]
mod world;

use proptest::prelude::*;

use self::world::World;
use super::*;

/// Something that happens. Numbers choose among several.
#[derive(Clone, Debug)]
enum Happening {
    CommandSucceeds,
    CommandFails(Reason),
    CommandIsRefused(Reason),
    TrialSucceeds,
    /// Evidence of so many epochs ago.
    Late(u64, Reason),
    Observed {
        calls: u64,
        slow: u64,
    },
    /// Commands become slow after their callers have given up.
    Unanswered(u64),
    ConnectionBreaks,
    /// An open connection cannot authenticate again.
    LoginFails(Reason),
    DialEnds(Outcome),
    ProbeEnds(usize, Outcome),
    /// The present connection has answered a question, or not.
    AskEnds(bool),
    CheckEnds(Outcome),
    PoolCrashes,
    PoolIsGivenUp,
    Revived,
    Isolate,
    Reset,
    Pass(Duration),
}

/// How an attempt to reach the server ends.
#[derive(Clone, Debug)]
enum Outcome {
    Reached(Greeting),
    Failed(Reason),
}

fn reason() -> impl Strategy<Value = Reason> {
    use Reason::{Busy, Loading, NotRedis, Rejected, ServerFull, Unreachable, Unresponsive};
    prop_oneof![
        8 => prop::sample::select(vec![Unreachable, Unresponsive, Busy, Loading]),
        1 => prop::sample::select(vec![Rejected, NotRedis, ServerFull]),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let greeting = (any::<Option<bool>>(), any::<Option<bool>>());
    prop_oneof![
        greeting.prop_map(|(is_replica, cannot_save)| Outcome::Reached(Greeting {
            is_replica,
            cannot_save
        })),
        reason().prop_map(Outcome::Failed),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    use Reason::{CannotSave, OutOfMemory, ReadOnly};
    let millis = prop_oneof![0..30_u64, 100..1_000_u64, 1_000..40_000_u64];
    let refusal = prop::sample::select(vec![CannotSave, OutOfMemory, ReadOnly]);
    prop_oneof![
        4 => Just(Happening::CommandSucceeds),
        12 => reason().prop_map(Happening::CommandFails),
        2 => refusal.prop_map(Happening::CommandIsRefused),
        4 => Just(Happening::TrialSucceeds),
        3 => (1..4_u64, reason()).prop_map(|(by, reason)| Happening::Late(by, reason)),
        3 => (0..50_u64, 0..50_u64).prop_map(|(calls, slow)| Happening::Observed { calls, slow }),
        6 => (0..12_u64).prop_map(Happening::Unanswered),
        3 => Just(Happening::ConnectionBreaks),
        3 => reason().prop_map(Happening::LoginFails),
        10 => outcome().prop_map(Happening::DialEnds),
        16 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Happening::ProbeEnds(which, outcome)),
        8 => any::<bool>().prop_map(Happening::AskEnds),
        10 => outcome().prop_map(Happening::CheckEnds),
        1 => Just(Happening::PoolCrashes),
        1 => Just(Happening::PoolIsGivenUp),
        2 => Just(Happening::Revived),
        1 => Just(Happening::Isolate),
        2 => Just(Happening::Reset),
        14 => millis.prop_map(|millis| Happening::Pass(Duration::from_millis(millis))),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_gate_tells_the_truth_and_a_server_that_is_well_is_used(
        jitter in 0.0..1.0_f64,
        happenings in prop::collection::vec(happening(), 0..200),
    ) {
        let mut world = World::new(jitter);
        world.check();
        for happening in happenings {
            world.happen(happening);
            world.check();
        }
        world.recover();
    }
}
