//! The actor of subscribers: for each database with subscribers one task, which keeps their connection.
//!
//! The task ends with the last subscriber. One that panics, or whose runtime has ended, is replaced: its subscribers
//! are told of a gap, as after any loss of their connection.
//!
//! - this file: the actor · `task`: the task, as long as anything listens · `conversation`: one connection

mod conversation;
mod task;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message};
use tokio_util::task::AbortOnDropHandle;

use super::exit_guard::ExitGuard;
use crate::{
    identity::DatabaseId,
    log::log_line,
    messages::{Listen, Reconfigured},
    net::CloseReason,
    registry::Registry,
    state::DatabaseState,
};

pub(super) struct SubscribersActor {
    registry: Arc<Registry>,
    /// Never read: a task ends when its handle is dropped.
    tasks: HashMap<DatabaseId, AbortOnDropHandle<()>>,
    // Never read: it reports the end of this actor when it is dropped.
    _guard: ExitGuard,
}

/// The pause before a task is started again that could not be started, or has panicked.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// A task has ended too early, for this reason.
#[derive(Message)]
#[rtype(result = "()")]
struct Ended {
    database: DatabaseId,
    reason: CloseReason,
}

impl SubscribersActor {
    pub(super) fn new(registry: Arc<Registry>, guard: ExitGuard) -> Self {
        Self {
            registry,
            tasks: HashMap::new(),
            _guard: guard,
        }
    }

    /// Starts a task, after another one that has ended for this reason if its connection was open.
    fn start_task(
        &mut self,
        state: Arc<DatabaseState>,
        reason: &CloseReason,
        ctx: &mut Context<Self>,
    ) {
        let id = state.id.clone();
        let driver = state.subscribers.drive(reason);
        let task = task::listen(state, driver, self.registry.clone());
        let task = self.registry.until_stopped(task);
        let task = match self.registry.executor.spawn(task) {
            Ok(task) => AbortOnDropHandle::new(task),
            Err(error) => {
                log_line!(self.registry.log, WARN, %error, "nothing can be subscribed");
                ctx.notify_later(Listen(id), RESTART_PAUSE);
                return;
            }
        };
        let (actor, database) = (ctx.address(), id.clone());
        let watching = actix_rt::spawn(async move {
            // Dropped with this one, it is aborted.
            if let Err(error) = task.await {
                let reason = if error.is_panic() {
                    CloseReason::Panicked
                } else {
                    CloseReason::RuntimeEnded
                };
                actor.do_send(Ended { database, reason });
            }
        });
        self.tasks.insert(id, AbortOnDropHandle::new(watching));
    }
}

impl Actor for SubscribersActor {
    type Context = Context<Self>;

    /// The tasks of a predecessor have ended with it.
    fn started(&mut self, ctx: &mut Self::Context) {
        for state in self.registry.states() {
            if state.subscribers.is_driven() {
                self.start_task(state, &CloseReason::Panicked, ctx);
            }
        }
    }
}

impl Handler<Listen> for SubscribersActor {
    type Result = ();

    fn handle(&mut self, Listen(database): Listen, ctx: &mut Self::Context) {
        let state = self.registry.state(&database);
        // One that listened before this actor had started has a task already.
        if let Some(state) = state.filter(|state| !state.subscribers.has_task()) {
            self.start_task(state, &CloseReason::Panicked, ctx);
        }
    }
}

impl Handler<Ended> for SubscribersActor {
    type Result = ();

    fn handle(&mut self, Ended { database, reason }: Ended, ctx: &mut Self::Context) {
        self.tasks.remove(&database);
        let Some(state) = self.registry.state(&database) else {
            return;
        };
        let has_panicked = matches!(reason, CloseReason::Panicked);
        if !has_panicked {
            self.registry.leave_caller();
        }
        let (name, cause) = (database.name().clone(), reason.to_string());
        log_line!(
            self.registry.log,
            WARN,
            database = &*name,
            "the task of its subscribers is started again: {cause}"
        );
        if has_panicked {
            ctx.notify_later(Listen(database), RESTART_PAUSE);
        } else {
            self.start_task(state, &reason, ctx);
        }
    }
}

impl Handler<Reconfigured> for SubscribersActor {
    type Result = ();

    /// The tasks of databases that were removed have nothing to do any more.
    fn handle(&mut self, _: Reconfigured, _: &mut Self::Context) {
        let registry = &self.registry;
        self.tasks
            .retain(|database, task| !task.is_finished() && registry.state(database).is_some());
    }
}
