//! What operators do by hand.

use std::sync::atomic::Ordering::Relaxed;

use actix::{Handler, ResponseFuture};

use super::SupervisorActor;
use crate::{
    messages::{Child, Operate, Operation, Revive},
    policy::gate_state::GateState,
    state::DatabaseState,
};

impl Handler<Operate> for SupervisorActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, operate: Operate, _: &mut Self::Context) -> Self::Result {
        if let Some(state) = self.registry.databases.get(&operate.database) {
            let isolates = matches!(operate.operation, Operation::Isolate);
            state.is_isolated.store(isolates, Relaxed);
            // The health actor does it, too. If it has just crashed, its successor finds it done.
            if state.gate.state() != GateState::Failed {
                state.gate.set(unless_isolated(&state));
            }
        }
        let operated = self.health.as_ref().map(|health| health.send(operate));
        Box::pin(async move {
            if let Some(operated) = operated {
                // An error says that there is a successor, or will be.
                let _ = operated.await;
            }
        })
    }
}

impl Handler<Revive> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Revive(database): Revive, ctx: &mut Self::Context) {
        let state = self.registry.databases.get(&database);
        let Some(state) = state.map(|it| it.value().clone()) else {
            return;
        };
        if state.gate.state() == GateState::Failed {
            // Also for a health actor that is just being started again itself.
            state.gate.set(unless_isolated(&state));
            let child = Child::Pool(database);
            self.restarts.remove(&child);
            self.restart(&child, ctx);
        }
    }
}

fn unless_isolated(state: &DatabaseState) -> GateState {
    match state.is_isolated.load(Relaxed) {
        true => GateState::Isolated,
        false => GateState::Free,
    }
}
