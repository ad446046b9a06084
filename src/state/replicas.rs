//! The replicas that reads of a database may use, as they were found last.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::Instant,
};

use super::{DatabaseState, Published};
use crate::{
    net::Executor,
    policy::{
        gate_state::GateState,
        nearness::{Candidate, Chosen, Nearness, order},
        reading::{PrimaryRole, Reading},
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
    /// How near the primary is; `None` if it has not said that it is one.
    pub(crate) primary: Option<Nearness>,
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
    pub(crate) nearness: Nearness,
    /// Whether it is connected to its primary.
    pub(crate) is_linked: bool,
    /// Up to when it has everything; `None` if that is not known.
    pub(crate) complete_until: Option<Instant>,
}

/// A place where a read runs.
#[derive(Clone, Debug)]
pub(crate) enum ReadPlace {
    Replica(Arc<DatabaseState>),
    Primary,
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
    /// The places where a read runs, the first choice first. Replicas that are connected to the primary come first; if
    /// none is, the primary may be gone, and the others have its last data.
    pub(crate) fn places(
        &self,
        primary: &DatabaseState,
        reading: &Reading,
        now: Instant,
    ) -> [Option<ReadPlace>; 3] {
        let oldest = reading.oldest(now);
        let candidate = |nearness: &Nearness, is_linked, outstanding| Candidate {
            is_linked,
            is_in_zone: reading.prefers(nearness.zone().map(|zone| &**zone)),
            round_trip: nearness.round_trip(),
            outstanding,
        };
        let replicas = self.usable.iter().enumerate();
        let replicas = replicas.filter_map(move |(at, replica)| {
            let is_new_enough = replica.is_as_new_as(oldest);
            let outstanding = is_new_enough.then(|| outstanding(&replica.state))??;
            let candidate = candidate(&replica.nearness, replica.is_linked, outstanding);
            Some((at, candidate))
        });
        let as_candidate = || {
            let nearness = self.primary.as_ref()?;
            Some(candidate(nearness, true, outstanding(primary)?))
        };
        let primary = match reading.primary {
            PrimaryRole::Candidate => as_candidate(),
            PrimaryRole::LastResort | PrimaryRole::Excluded => None,
        };
        let chosen = order(replicas, primary, reading.primary);
        chosen.map(|chosen| {
            Some(match chosen? {
                Chosen::Replica(at) => ReadPlace::Replica(self.usable[at].state.clone()),
                Chosen::Primary => ReadPlace::Primary,
            })
        })
    }

    /// Why no replica serves a read whose data may be no older than this.
    pub(crate) fn explain(&self, oldest: Option<Instant>, now: Instant) -> String {
        let why_not = |replica: &Replica| match replica.complete_until {
            _ if outstanding(&replica.state).is_none() => "no connection to it is open".to_owned(),
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
    fn is_as_new_as(&self, oldest: Option<Instant>) -> bool {
        oldest.is_none_or(|oldest| self.complete_until.is_some_and(|until| until >= oldest))
    }
}

/// The requests without a reply on the connection that a command would be sent on at once; `None` if it would wait.
fn outstanding(server: &DatabaseState) -> Option<usize> {
    if server.gate.state() != GateState::Free {
        return None;
    }
    let routes = server.parking.routes();
    Some(routes.as_ref()?.least_loaded().activity.outstanding())
}
