//! The replicas that reads of a database may use, as they were found last.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::{Duration, Instant},
};

use super::{DatabaseState, Published};
use crate::{
    net::Executor,
    policy::{
        gate_state::GateState,
        replicas::{Candidate, choose},
    },
    rounded::Rounded,
};

/// The replicas of one database. The replicas actor publishes, reads look.
#[derive(Debug)]
pub(crate) struct Replicas {
    pub(crate) view: Arc<Published<View>>,
    is_wanted: AtomicBool,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Those that serve reads, each a database of its own.
    pub(crate) usable: Vec<Replica>,
    /// The addresses of the others, and why they do not.
    pub(crate) unusable: Vec<(Arc<str>, String)>,
}

/// A replica that serves reads.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) address: Arc<str>,
    pub(crate) state: Arc<DatabaseState>,
    pub(crate) round_trip: Duration,
    /// Whether it is connected to its primary.
    pub(crate) is_linked: bool,
    /// Up to when it has everything; `None` if that is not known.
    pub(crate) complete_until: Option<Instant>,
}

impl Replicas {
    pub(super) fn new(executor: Arc<Executor>) -> Self {
        Self {
            view: Published::new(executor),
            is_wanted: AtomicBool::new(false),
        }
    }

    /// From now on they are looked at. Tells whether they were not before.
    pub(crate) fn want(&self) -> bool {
        // Mostly they are wanted already, and then nothing is written.
        !self.is_wanted.load(Relaxed) && !self.is_wanted.swap(true, AcqRel)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }
}

impl View {
    /// The replicas that serve a read, the first choice first. Those that are connected to the primary come first; if
    /// none is, the primary may be gone, and the others have its last data.
    pub(crate) fn choose(&self, oldest: Option<Instant>) -> [Option<&Replica>; 2] {
        let first = self.choose_one(oldest, None);
        [
            first,
            first.and_then(|first| self.choose_one(oldest, Some(first))),
        ]
    }

    fn choose_one(
        &self,
        oldest: Option<Instant>,
        other_than: Option<&Replica>,
    ) -> Option<&Replica> {
        let of = |is_linked: bool| {
            let fit = self.usable.iter().filter(move |replica| {
                replica.is_linked == is_linked
                    && replica.serves(oldest)
                    && !other_than.is_some_and(|other| std::ptr::eq(other, *replica))
            });
            let at = choose(fit.clone().map(Replica::candidate))?;
            fit.clone().nth(at)
        };
        of(true).or_else(|| of(false))
    }

    /// Why no replica serves a read whose data may be no older than this.
    pub(crate) fn explain(&self, oldest: Option<Instant>, now: Instant) -> String {
        let why_not = |replica: &Replica| match replica.complete_until {
            _ if !replica.is_reachable() => "no connection to it is open".to_owned(),
            Some(until) if oldest.is_some_and(|oldest| until < oldest) => {
                let age = now.saturating_duration_since(until);
                format!("its data may be {} old", Rounded(age))
            }
            _ => "it is not known how old its data is".to_owned(),
        };
        let usable = self.usable.iter();
        let usable = usable.map(|replica| format!("{}: {}", replica.address, why_not(replica)));
        let unusable = self.unusable.iter();
        let unusable = unusable.map(|(address, why)| format!("{address}: {why}"));
        let all: Vec<_> = usable.chain(unusable).collect();
        if all.is_empty() {
            "there is none".to_owned()
        } else {
            all.join("; ")
        }
    }
}

impl Replica {
    fn serves(&self, oldest: Option<Instant>) -> bool {
        let is_new_enough =
            oldest.is_none_or(|oldest| self.complete_until.is_some_and(|until| until >= oldest));
        is_new_enough && self.is_reachable()
    }

    /// Whether a command would be sent at once.
    fn is_reachable(&self) -> bool {
        self.state.gate.state() == GateState::Free && self.state.parking.routes().is_some()
    }

    fn candidate(&self) -> Candidate {
        let routes = self.state.parking.routes();
        let outstanding = routes
            .as_ref()
            .map_or(0, |routes| routes.least_loaded().activity.outstanding());
        Candidate {
            round_trip: self.round_trip,
            outstanding,
        }
    }
}
