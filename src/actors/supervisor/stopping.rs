//! The shutdown of a supervisor.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::Handler;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::SupervisorActor;
use crate::{
    config::MAX_WAIT,
    lifeline::ShutdownReport,
    log::log_line,
    messages::{Drain, Shutdown},
    policy::gate_state::GateState,
    registry::Registry,
    state::{Counters, DatabaseState},
};

/// How long a shutdown waits for recipients to take the last health events.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(1);

impl SupervisorActor {
    /// Closes the gates, lets every pool finish, then ends the remaining tasks.
    fn shut_down(&mut self, grace: Duration) {
        self.is_stopping = true;
        let mut states = self.registry.states();
        // Databases that were removed finish within the same grace.
        let leaving = self.leaving.iter();
        states.extend(leaving.map(|leaving| leaving.state.clone()));
        for state in &states {
            state.set_gate(GateState::ShuttingDown);
        }
        let before = command_totals(&states);
        let in_flight = states.iter().map(|state| state.in_flight.now().0 as u64);
        let under_way: u64 = in_flight.sum();
        let deadline = Instant::now() + grace.min(MAX_WAIT);
        let leaving = self.leaving.iter().map(|leaving| &leaving.pool);
        let pools = self.pools.values().chain(leaving);
        let drains: Vec<_> = pools.map(|pool| pool.send(Drain { deadline })).collect();
        let registry = self.registry.clone();
        let stopped = self.stopped.take();
        let deliveries = std::mem::take(&mut self.deliveries);
        actix_rt::spawn(async move {
            for drain in drains {
                // A pool that crashes meanwhile has answered its callers by dropping their requests.
                let _ = drain.await;
            }
            states.iter().for_each(|state| state.end());
            registry.stop_tasks().await;
            registry.close();
            deliver(deliveries, &registry).await;
            let after = command_totals(&states);
            // Counters are updated in batches, so the differences may include commands that ended before the
            // shutdown. They include the pools' own questions.
            let unfinished = under_way.min(after.unfinished - before.unfinished);
            let report = ShutdownReport {
                completed: (under_way - unfinished).min(after.completed - before.completed),
                unfinished,
            };
            if let Some(stopped) = stopped {
                // An error means that the supervisor's thread, which waits for the report, has panicked.
                let _ = stopped.send(report);
            }
        });
    }
}

impl Handler<Shutdown> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, message: Shutdown, _: &mut Self::Context) {
        if !self.is_stopping {
            self.shut_down(message.grace);
        }
    }
}

/// Waits until the recipients have got the last events, up to [`DELIVERY_TIMEOUT`].
async fn deliver(deliveries: Vec<JoinHandle<()>>, registry: &Registry) {
    let all = async {
        for delivery in deliveries {
            // An error means that the task has panicked, so it has ended too.
            let _ = delivery.await;
        }
    };
    if timeout(DELIVERY_TIMEOUT, all).await.is_err() {
        log_line!(
            registry.log,
            WARN,
            "a recipient of health events has not taken the last ones"
        );
    }
}

/// The numbers of commands of all databases so far that were answered, and that ended without a reply.
fn command_totals(states: &[Arc<DatabaseState>]) -> ShutdownReport {
    let sum = |counters: fn(&Counters) -> [&AtomicU64; 2]| {
        let counters = states.iter().flat_map(|state| counters(&state.counters));
        counters.map(|counter| counter.load(Relaxed)).sum()
    };
    ShutdownReport {
        completed: sum(|counters| [&counters.succeeded, &counters.error_replies]),
        unfinished: sum(|counters| [&counters.timed_out, &counters.lost]),
    }
}
