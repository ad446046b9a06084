//! The task that keeps the connection of subscribers, as long as there are any.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout};

use super::conversation::{Conversation, Ending};
use crate::{
    config::DatabaseSettings,
    events::{GapCause, Reason},
    log::log_line,
    net::{DialError, Dialler, Established, SubscriberConnection, WhileLoading},
    policy::{backoff::Backoff, gate_state::GateState},
    registry::Registry,
    state::{DatabaseState, Driver, Need},
};

/// A connection that was of use for so long is followed by another one without a pause.
const STEADY: Duration = Duration::from_secs(1);

/// Keeps a connection, and ends when nothing listens.
pub(super) async fn listen(state: Arc<DatabaseState>, driver: Driver, registry: Arc<Registry>) {
    let dialler = state.dialler.apart();
    let mut listening = Listening {
        state: &state,
        driver: &driver,
        registry: &registry,
        dialler,
        backoff: Backoff::default(),
    };
    while driver.need() == Need::Connection {
        match listening.refusal() {
            Some(cause) => {
                driver.still_interrupted(cause);
                driver.changed().await;
            }
            None => listening.connect().await,
        }
    }
}

struct Listening<'a> {
    state: &'a DatabaseState,
    driver: &'a Driver,
    registry: &'a Registry,
    /// What it learns of greetings is not meant for the pool, which may speak another protocol.
    dialler: Dialler,
    backoff: Backoff,
}

/// Whether the gate permits a dial; if not, why.
fn refusal(state: &DatabaseState) -> Option<GapCause> {
    match state.gate.state() {
        GateState::Free | GateState::Trial { .. } => None,
        GateState::Open => {
            let outage = state.outage.load();
            let reason = outage
                .as_ref()
                .map_or(Reason::Unreachable, |outage| outage.reason);
            Some(GapCause::CircuitOpen(reason))
        }
        GateState::Isolated => Some(GapCause::Isolated),
        GateState::Failed => Some(GapCause::Failed),
        // They have been told already.
        GateState::ShuttingDown | GateState::Removed => None,
    }
}

impl Listening<'_> {
    fn refusal(&self) -> Option<GapCause> {
        refusal(self.state)
    }

    /// One attempt: a connection until its end, or a dial that failed and the pause after it.
    async fn connect(&mut self) {
        let settings = self.state.settings.share();
        let dialled = self.dial(&settings).await;
        let established = match dialled {
            // There is something else to do first.
            None => return,
            Some(Ok(established)) => established,
            Some(Err(error)) => return self.dial_failed(&error).await,
        };
        if !self.dialler.is_present(&settings, &established.address) {
            return;
        }
        let connection = SubscriberConnection::new(established, &settings);
        self.driver.connected();
        let began = Instant::now();
        let conversation =
            Conversation::new(self.state, self.driver, &self.dialler, settings, connection);
        let ending = conversation.run().await;
        let Ending { cause, reason } = ending;
        if let Some(GapCause::ConnectionLost(why)) = &cause {
            let (database, why) = (self.state.name(), why.clone());
            log_line!(self.registry.log, DEBUG, %database, "the connection of its subscribers was lost: {why}");
        }
        self.driver.disconnected(cause);
        if began.elapsed() >= STEADY {
            self.backoff.reset();
        } else if let Some(reason) = reason {
            self.pause(reason).await;
        }
    }

    /// Opens a connection, as long as that is permitted and of use.
    async fn dial(
        &self,
        settings: &Arc<DatabaseSettings>,
    ) -> Option<Result<Established, DialError>> {
        let asked = settings.for_subscribers();
        let mut dial = pin!(self.dialler.dial(&asked, WhileLoading::Wait));
        loop {
            match select(dial.as_mut(), pin!(self.driver.changed())).await {
                Either::Left((dialled, _)) => return Some(dialled),
                Either::Right(_) => {
                    let is_of_use = self.refusal().is_none()
                        && self.driver.want_connection()
                        && Arc::ptr_eq(settings, &self.state.settings.share());
                    if !is_of_use {
                        return None;
                    }
                }
            }
        }
    }

    async fn dial_failed(&mut self, error: &DialError) {
        let (database, cause) = (self.state.name(), error.clone());
        log_line!(self.registry.log, DEBUG, %database, error = %cause, "dial for subscribers failed");
        let why = self.state.explain_dial(error);
        self.driver.not_connected(why);
        self.pause(error.reason()).await;
    }

    /// Other settings, or a recovered database, end it.
    async fn pause(&mut self, reason: Reason) {
        let pause = self.backoff.pause(reason, fastrand::f64());
        let until = Instant::now() + pause;
        let before = (self.state.settings.generation(), self.state.gate.state());
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if timeout(left, self.driver.changed()).await.is_err() {
                return;
            }
            let now = (self.state.settings.generation(), self.state.gate.state());
            if now != before || !self.driver.want_connection() {
                return;
            }
        }
    }
}
