//! How a call passes the gate: at once, or when the circuit permits it.

use std::sync::atomic::AtomicU64;

use tokio::{task::coop::consume_budget, time::Instant};

use super::{CallEngine, CallOptions, attempts::Attempts, unserved::Unserved};
use crate::{
    backend::Backend,
    error::{Error, Limit},
    execution::Stage,
    policy::gate_state::GateState,
    state::{Admitted, NotAdmitted, count},
};

impl<B: Backend> CallEngine<B> {
    /// Passes the gate now or later.
    pub(super) async fn enter(
        &self,
        options: &CallOptions,
        deadline: Instant,
    ) -> Result<Admitted, Error> {
        match self.state.gate.try_enter() {
            Ok(admitted) => Ok(admitted),
            Err(closed) => {
                let entered = self.enter_later(closed, options, deadline).await;
                entered.map_err(|unserved| self.ends(unserved))
            }
        }
    }

    /// Passes a gate that has not let the call pass at once, or learns that it will not.
    pub(super) async fn enter_later(
        &self,
        closed: GateState,
        options: &CallOptions,
        deadline: Instant,
    ) -> Result<Admitted, Unserved> {
        if options.waits_for(closed) {
            // Boxed, so that the future of this rare case does not enlarge that of every call.
            return Box::pin(self.wait_to_enter(options, deadline)).await;
        }
        // A refusal is ready at once, and a loop of refused calls must not starve the other tasks of its
        // thread. So it takes part in tokio's cooperative budget.
        consume_budget().await;
        Err(Unserved::Refused(self.explain_gate(closed)))
    }

    /// Waits for the gate, for another attempt of a call that is counted by its earlier one.
    pub(super) async fn wait_to_enter_again(
        &self,
        options: &CallOptions,
        deadline: Instant,
    ) -> Option<Admitted> {
        let admitted = self.state.gate.wait(deadline, options.is_patient).await;
        admitted.ok()?.ok()
    }

    /// Waits until the deadline at most: for the verdict on a half-open circuit, which takes milliseconds
    /// after a first outage, or for recovery.
    async fn wait_to_enter(
        &self,
        options: &CallOptions,
        deadline: Instant,
    ) -> Result<Admitted, Unserved> {
        let departure = Departure(&self.state.counters.cancelled);
        let admitted = self.state.gate.wait(deadline, options.is_patient).await;
        std::mem::forget(departure);
        let Ok(admitted) = admitted else {
            unreachable!("BUG: a caller at the gate was dropped without an answer");
        };
        admitted.map_err(|why| match why {
            NotAdmitted::Refused(gate_state) => Unserved::Refused(self.explain_gate(gate_state)),
            NotAdmitted::TimedOut => {
                let outage = self.state.outage.load();
                let cause = outage.as_ref().and_then(|outage| outage.cause.clone());
                let attempts = Attempts::not_sent(options.timeout);
                Unserved::TimedOut(self.timed_out(Stage::Connect, attempts, cause))
            }
            NotAdmitted::TooManyWait => {
                let limit = Limit::Parked(self.state.settings.load().max_parked);
                Unserved::Refused(self.explain_limit(limit, self.state.parked()))
            }
        })
    }
}

/// Counts a caller that leaves while it waits.
struct Departure<'a>(&'a AtomicU64);

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        count(self.0);
    }
}
