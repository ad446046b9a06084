//! Commands that other actors send as messages.
//!
//! The relay of a database takes them, and the executor runs them. A flood of messages so costs its own database
//! only: the relay lets the other actors of its thread run in between, and refuses what is too much.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use actix::{
    Actor, AsyncContext, Context, Handler,
    dev::{MessageResponse, OneshotSender},
    fut::wrap_future,
};
use redis::{Cmd, Value};

use super::exit_guard::ExitGuard;
use crate::{
    call::{CallEngine, Overrides},
    error::Error,
    log::log_line,
    messages::Execute,
    policy::retry::Idempotence,
    registry::Registry,
    state::{DatabaseState, count},
};

/// After so many messages the other actors have their turn.
const MESSAGES_AT_ONCE: usize = 256;

/// Runs the messages of one database.
pub(super) struct RelayActor {
    /// The state has the address of this actor, so one of them must not keep the other. Handles keep the state.
    state: Weak<DatabaseState>,
    name: Arc<str>,
    registry: Arc<Registry>,
    _guard: ExitGuard,
    /// The commands that are under way here.
    under_way: Arc<AtomicUsize>,
    handled: usize,
}

impl RelayActor {
    pub(super) fn new(
        state: Arc<DatabaseState>,
        registry: Arc<Registry>,
        guard: ExitGuard,
    ) -> Self {
        Self {
            under_way: Arc::default(),
            name: state.name(),
            state: Arc::downgrade(&state),
            registry,
            _guard: guard,
            handled: 0,
        }
    }
}

impl Actor for RelayActor {
    type Context = Context<Self>;
}

impl Handler<Execute> for RelayActor {
    type Result = Executing;

    fn handle(&mut self, execute: Execute, ctx: &mut Self::Context) -> Self::Result {
        self.handled += 1;
        if self.handled.is_multiple_of(MESSAGES_AT_ONCE) {
            // Without this an actor handles messages for as long as there are any.
            ctx.wait(wrap_future(tokio::task::yield_now()));
        }
        let Some(state) = self.state.upgrade() else {
            return Executing::Unknown(Error::UnknownDatabase {
                name: (&*self.name).into(),
                known: self.registry.names(),
            });
        };
        let most = state.in_flight.max_commands();
        match Place::take(&self.under_way, most) {
            Some(place) => Executing::Run(Command {
                engine: CallEngine::new(state),
                registry: self.registry.clone(),
                // The rest of the message ends here: it is handled.
                command: execute.command,
                timeout: execute.timeout,
                idempotence: execute.idempotence,
                _place: place,
            }),
            None => Executing::Refuse(state),
        }
    }
}

type Outcome = Result<Value, Error>;

/// The result of a message.
pub(crate) enum Executing {
    Run(Command),
    Refuse(Arc<DatabaseState>),
    /// The database was removed, and there is no handle of it any more.
    Unknown(Error),
}

/// A command that was sent as a message.
pub(crate) struct Command {
    engine: CallEngine,
    registry: Arc<Registry>,
    command: Cmd,
    timeout: Option<Duration>,
    idempotence: Idempotence,
    _place: Place,
}

/// The right of one command to be under way.
struct Place(Arc<AtomicUsize>);

impl Place {
    /// The maximum may change, so it is compared each time.
    fn take(under_way: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(under_way.clone());
        // Dropped, the place is given back.
        (under_way.fetch_add(1, Relaxed) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Command {
    async fn run(&self) -> Outcome {
        let mut overrides = Overrides::default().with_idempotence(self.idempotence);
        if let Some(timeout) = self.timeout {
            overrides = overrides.with_timeout(timeout);
        }
        let options = self.engine.options(overrides);
        self.engine.execute(&self.command, &options).await
    }

    /// Runs the command until the sender has gone, as a call of a handle runs until its future is dropped: one
    /// that blocks would otherwise keep its connection.
    async fn run_for(&self, mut sender: OneshotSender<Outcome>) {
        let mut call = pin!(self.run());
        let outcome = poll_fn(|cx| match call.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => sender.poll_closed(cx).map(|()| None),
        });
        if let Some(outcome) = outcome.await {
            // The sender may have gone by now.
            let _ = sender.send(outcome);
        }
    }
}

impl MessageResponse<RelayActor, Execute> for Executing {
    fn handle(self, _: &mut Context<RelayActor>, sender: Option<OneshotSender<Outcome>>) {
        match (self, sender) {
            (Self::Run(command), sender) => {
                let registry = command.registry.clone();
                let run = async move {
                    match sender {
                        Some(sender) => command.run_for(sender).await,
                        // Sent with `do_send`: the command is run, and its reply dropped.
                        None => drop(command.run().await),
                    }
                };
                if let Err(error) = registry.executor.spawn(run) {
                    log_line!(registry.log, WARN, %error, "no task could be started for a message");
                }
            }
            (Self::Refuse(state), Some(sender)) => {
                let error = CallEngine::new(state).too_many_messages();
                // The sender may have gone.
                let _ = sender.send(Err(error));
            }
            (Self::Unknown(error), sender) => {
                if let Some(sender) = sender {
                    // The sender may have gone.
                    let _ = sender.send(Err(error));
                }
            }
            // Sent with `do_send`: there is no one to tell, and a flood costs no more than it must.
            (Self::Refuse(state), None) => count(&state.counters.refused),
        }
    }
}
