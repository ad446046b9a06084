//! The end of a supervisor: it closes the gates, lets every pool finish, and ends the rest.

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
    messages::{Drain, Shutdown},
    policy::gate_state::GateState,
    state::{Counters, DatabaseState},
};

/// How long a shutdown waits for recipients to take the last health events.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(1);

impl SupervisorActor {
    /// Closes the gates, lets every pool finish, and ends the rest.
    fn shut_down(&mut self, grace: Duration) {
        self.is_stopping = true;
        let states = self.registry.states();
        for state in &states {
            state.gate.set(GateState::ShuttingDown);
        }
        let before = ended(&states);
        let in_flight = states.iter().map(|it| it.in_flight.now().0 as u64);
        let under_way: u64 = in_flight.sum();
        let deadline = Instant::now() + grace.min(MAX_WAIT);
        let pools = self.pools.values();
        let drains: Vec<_> = pools.map(|pool| pool.send(Drain { deadline })).collect();
        let registry = self.registry.clone();
        let stopped = self.stopped.take();
        let deliveries = std::mem::take(&mut self.deliveries);
        actix_rt::spawn(async move {
            for drain in drains {
                // A pool that crashes meanwhile has told its callers.
                let _ = drain.await;
            }
            registry.stop_tasks().await;
            registry.close();
            deliver(deliveries).await;
            let after = ended(&states);
            let report = ShutdownReport {
                // Counts are added in batches, so some may be of commands that ended before.
                completed: under_way.min(after.completed - before.completed),
                unfinished: after.unfinished - before.unfinished,
            };
            if let Some(stopped) = stopped {
                // The thread waits for this, unless it has panicked.
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

/// Waits until the recipients have the last events, unless they are too slow.
async fn deliver(deliveries: Vec<JoinHandle<()>>) {
    let all = async {
        for delivery in deliveries {
            // An error says that it has ended, which is what is waited for.
            let _ = delivery.await;
        }
    };
    if timeout(DELIVERY_PATIENCE, all).await.is_err() {
        tracing::warn!("a recipient of health events has not taken the last ones");
    }
}

/// How the commands of all databases have ended so far.
fn ended(states: &[Arc<DatabaseState>]) -> ShutdownReport {
    let sum = |counters: fn(&Counters) -> [&AtomicU64; 2]| {
        let counters = states.iter().flat_map(|it| counters(&it.counters));
        counters.map(|counter| counter.load(Relaxed)).sum()
    };
    ShutdownReport {
        completed: sum(|it| [&it.succeeded, &it.error_replies]),
        unfinished: sum(|it| [&it.timed_out, &it.lost]),
    }
}
