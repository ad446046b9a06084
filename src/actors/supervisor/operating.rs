//! Operations by hand: isolating, resetting and reviving a database.

use std::sync::atomic::Ordering::Relaxed;

use actix::{Handler, ResponseFuture};

use super::SupervisorActor;
use crate::{
    health_check::Answers,
    messages::{CheckHealth, Child, Operate, Operation, Revive},
    policy::gate_state::GateState,
    state::DatabaseState,
};

impl Handler<Operate> for SupervisorActor {
    type Result = ResponseFuture<()>;

    /// Its parts are operated as well: they have gates of their own.
    fn handle(&mut self, operate: Operate, _: &mut Self::Context) -> Self::Result {
        let mut operated = Vec::new();
        if let Some(state) = self.registry.state(&operate.database) {
            let isolates = matches!(operate.operation, Operation::Isolate);
            let parts = self.registry.all_parts(&state.id);
            for state in [state].into_iter().chain(parts) {
                state.is_isolated.store(isolates, Relaxed);
                // The health actor sets the gate as well. If it has just crashed, its successor finds it set.
                if state.gate.state() != GateState::Failed {
                    state.set_gate(free_unless_isolated(&state));
                }
                let operation = operate.operation;
                let database = state.id.clone();
                let health = self.health.as_ref();
                operated.extend(health.map(|health| {
                    health.send(Operate {
                        database,
                        operation,
                    })
                }));
            }
        }
        Box::pin(async move {
            for operated in operated {
                // An error means that the health actor has crashed; its successor reads the state.
                let _ = operated.await;
            }
        })
    }
}

impl Handler<CheckHealth> for SupervisorActor {
    type Result = ResponseFuture<Option<Answers>>;

    fn handle(&mut self, check: CheckHealth, _: &mut Self::Context) -> Self::Result {
        let checked = self.health.as_ref().map(|health| health.send(check));
        Box::pin(async move {
            // An error means that the health actor has crashed.
            checked?.await.ok().flatten()
        })
    }
}

impl Handler<Revive> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Revive(database): Revive, ctx: &mut Self::Context) {
        let Some(state) = self.registry.state(&database) else {
            return;
        };
        if state.gate.state() == GateState::Failed {
            // Set here as well, because the health actor may be restarting at this moment.
            state.set_gate(free_unless_isolated(&state));
            let child = Child::Pool(database);
            self.restarts.remove(&child);
            self.restart(&child, ctx);
        }
    }
}

fn free_unless_isolated(state: &DatabaseState) -> GateState {
    if state.is_isolated.load(Relaxed) {
        GateState::Isolated
    } else {
        GateState::Free
    }
}
