//! The places where a read may run: replicas, and after them the primary.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::Cmd;

use super::{CallEngine, CallOptions, Overrides};
use crate::{
    error::Error,
    policy::{
        command::{Class, Refusal},
        gate_state::GateState,
        outcome::{AttemptEnd, RetryAdvice, Verdict, classify},
    },
    reply_code::ErrorReply,
    state::{DatabaseState, clock, count},
};

/// What the caller of a replica handle wants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// The data may be so old.
    pub(crate) max_staleness: Option<Duration>,
    /// The primary serves no reads.
    pub(crate) without_primary: bool,
}

/// The places of one read, one after the other: two replicas at most, and the primary unless that is not wanted.
#[derive(Debug)]
pub(crate) struct Places {
    replicas: [Option<Arc<DatabaseState>>; 2],
    primary: Option<CallEngine>,
    overrides: Overrides,
    deadline: tokio::time::Instant,
    may_block: bool,
}

impl CallEngine {
    /// The places where a read of these commands may run, if all of them only read. Without one, it waits for a replica
    /// where the options want that.
    pub(crate) async fn places(
        &self,
        commands: impl IntoIterator<Item = &Cmd>,
        reading: Reading,
        overrides: Overrides,
    ) -> Result<Places, Error> {
        let mut may_block = false;
        for command in commands {
            let class = self.class(command);
            if class != Class::Empty && !class.only_reads() {
                return Err(self.forbidden(command, Refusal::Writes));
            }
            may_block |= class.block().is_some();
        }
        let gate_state = self.state.gate.state();
        if gate_state.is_final() || gate_state == GateState::Isolated {
            return Err(self.refused(gate_state));
        }
        let options = self.options(overrides);
        let began = clock::now();
        let deadline = options.end(began);
        let places = |replicas| Places {
            replicas,
            primary: (!reading.without_primary).then(|| self.clone()),
            overrides,
            deadline,
            may_block,
        };
        let chosen = self.replicas(reading, began.into_std());
        if !reading.without_primary || chosen[0].is_some() {
            return Ok(places(chosen));
        }
        // Boxed, so that the future of this rare case does not enlarge that of every call.
        let waited = Box::pin(self.wait_for_replica(reading, deadline, options.is_patient));
        waited.await.map(places)
    }

    fn replicas(&self, reading: Reading, now: Instant) -> [Option<Arc<DatabaseState>>; 2] {
        match &*self.state.replicas.view.present() {
            Some(view) => {
                let chosen = view.choose(reading.oldest(now));
                chosen.map(|replica| Some(replica?.state.clone()))
            }
            None => [None, None],
        }
    }

    /// Waits for the first look at the replicas, and if it `is_patient`, until one can serve.
    async fn wait_for_replica(
        &self,
        reading: Reading,
        deadline: tokio::time::Instant,
        is_patient: bool,
    ) -> Result<[Option<Arc<DatabaseState>>; 2], Error> {
        loop {
            let seen = self.state.replicas.view.present().clone();
            let now = clock::now();
            let chosen = self.replicas(reading, now.into_std());
            if chosen[0].is_some() {
                return Ok(chosen);
            }
            let gate_state = self.state.gate.state();
            if gate_state.is_final() {
                return Err(self.refused(gate_state));
            }
            if now >= deadline || seen.is_some() && !is_patient {
                let now = now.into_std();
                let why = match seen {
                    Some(view) => view.explain(reading.oldest(now), now),
                    None => "its sentinels have not told them yet".to_owned(),
                };
                count(&self.state.counters.refused);
                return Err(Error::NoReplica {
                    database: self.state.name(),
                    why: why.into(),
                });
            }
            self.state.replicas.view.next(seen.as_ref(), deadline).await;
        }
    }
}

impl Reading {
    /// The oldest moment up to which a replica has to have everything.
    fn oldest(self, now: Instant) -> Option<Instant> {
        let max_staleness = self.max_staleness?;
        // Data from before the clock began is always new enough.
        now.checked_sub(max_staleness)
    }
}

impl Places {
    /// The next place. There is always one, as long as the one before [leads on](Self::lead_on).
    pub(crate) fn next(&mut self) -> (CallEngine, CallOptions) {
        let [first, second] = &mut self.replicas;
        let Some(replica) = first.take().or_else(|| second.take()) else {
            let primary = self.primary.take();
            let primary = primary.expect("BUG: a read has no place left");
            let options = primary
                .options(self.overrides)
                .ending_unless(self.deadline, self.may_block);
            return (primary, options);
        };
        let engine = CallEngine::new(replica);
        let mut options = engine.options(self.overrides.with_patience(false));
        if self.has_next() {
            // So that time is left for the next one.
            let now = clock::now();
            let rest = self.deadline.saturating_duration_since(now);
            let limit = engine.state.settings.load().attempt_timeout.min(rest / 2);
            options = options.ending_unless(now + limit, self.may_block);
        } else {
            options = options.ending_unless(self.deadline, self.may_block);
        }
        (engine, options)
    }

    /// Whether a read that has failed in this way is to run at the next place. A read may run twice.
    pub(crate) fn lead_on(&self, failed: &Error) -> bool {
        self.has_next() && is_fault_of_server(failed)
    }

    fn has_next(&self) -> bool {
        self.replicas.iter().any(Option::is_some) || self.primary.is_some()
    }
}

/// Whether another server may serve the read.
fn is_fault_of_server(failed: &Error) -> bool {
    match failed {
        Error::CircuitOpen { .. }
        | Error::Overloaded { .. }
        | Error::TimedOut { .. }
        | Error::ConnectionLost { .. }
        | Error::ShuttingDown { .. }
        | Error::Abandoned { .. }
        | Error::Failed { .. }
        | Error::Isolated { .. }
        // The replica was removed.
        | Error::UnknownDatabase { .. } => true,
        Error::Server { code, .. } => {
            let reply = ErrorReply { code, text: "" };
            let outcome = classify(AttemptEnd::ErrorReply(reply));
            let is_failing = matches!(outcome.verdict, Verdict::Failing(_));
            is_failing || matches!(outcome.again, RetryAdvice::Always | RetryAdvice::Elsewhere | RetryAdvice::OnceReady)
        }
        _ => false,
    }
}
