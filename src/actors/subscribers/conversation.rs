//! One connection of subscribers, until its end.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use redis::Cmd;
use tokio::{
    task::coop::consume_budget,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    config::DatabaseSettings,
    events::{GapCause, Reason},
    net::{CloseReason, DialError, Dialler, Heard, LoginNote, SubscriberConnection},
    policy::{
        backoff::Backoff,
        gate_state::GateState,
        subscriptions::{Ask, Own},
    },
    state::{DatabaseState, Driver, Unusable},
};

/// Why a connection has ended.
pub(super) struct Ending {
    /// `None` if nothing listened any more.
    pub(super) cause: Option<GapCause>,
    /// The server is at fault, and is not asked again at once.
    pub(super) reason: Option<Reason>,
}

/// A buffer for so many messages is kept after a burst.
const KEPT: usize = 256;

/// Keeps one connection: sends what is to be sent, hands on what comes, and looks whether it is still of use.
pub(super) struct Conversation<'a> {
    state: &'a DatabaseState,
    driver: &'a Driver,
    dialler: &'a Dialler,
    settings: Arc<DatabaseSettings>,
    connection: SubscriberConnection,
    login: Login<'a>,
}

type Fetched = Result<Option<(Cmd, LoginNote)>, DialError>;

/// Credentials that change while the connection is open.
struct Login<'a> {
    generation: u64,
    due: Option<Instant>,
    fetching: Option<Pin<Box<dyn Future<Output = Fetched> + Send + 'a>>>,
    backoff: Backoff,
}

/// What there is to be looked at.
enum Turn {
    Heard(Result<(), CloseReason>),
    Changed,
    Time,
    Fetched(Fetched),
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        state: &'a DatabaseState,
        driver: &'a Driver,
        dialler: &'a Dialler,
        settings: Arc<DatabaseSettings>,
        connection: SubscriberConnection,
    ) -> Self {
        let note = connection.login;
        Self {
            state,
            driver,
            dialler,
            settings,
            connection,
            login: Login {
                generation: note.map_or(0, |note| note.generation),
                due: note.and_then(|note| note.due),
                fetching: None,
                backoff: Backoff::default(),
            },
        }
    }

    /// Runs until the connection breaks or is of no use any more. Dropping the future closes the socket as well.
    pub(super) async fn run(mut self) -> Ending {
        let mut heard = Vec::new();
        let mut timer = pin!(sleep_until(self.wake_at()));
        loop {
            if let Some(ending) = self.look() {
                return ending;
            }
            self.say();
            match self.turn(&mut heard, timer.as_mut()).await {
                Turn::Heard(result) => {
                    let handed_on = self.driver.hear(heard.drain(..));
                    heard.shrink_to(KEPT);
                    if let Err(unusable) = handed_on {
                        return unusable.into();
                    }
                    if let Err(reason) = result {
                        return reason.into();
                    }
                }
                Turn::Changed => {}
                Turn::Time => {
                    if let Err(reason) = self.on_time() {
                        return reason.into();
                    }
                }
                Turn::Fetched(fetched) => {
                    if let Some(ending) = self.fetched(fetched) {
                        return ending;
                    }
                }
            }
            // A transport that is always ready must not keep other tasks from running.
            consume_budget().await;
        }
    }

    /// Waits for the next thing. It may be dropped at any point.
    async fn turn(&mut self, heard: &mut Vec<Heard>, mut timer: Pin<&mut Sleep>) -> Turn {
        let driver = self.driver;
        let wake_at = self.wake_at();
        // It may have been set for an earlier time. Then it is set again when that has come.
        if timer.deadline() > wake_at || timer.is_elapsed() {
            timer.as_mut().reset(wake_at);
        }
        let (connection, fetching) = (&mut self.connection, &mut self.login.fetching);
        let mut changed = pin!(driver.changed());
        poll_fn(|cx| {
            if let Poll::Ready(result) = connection.poll_turn(cx, heard) {
                return Poll::Ready(Turn::Heard(result));
            }
            if changed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Turn::Changed);
            }
            if let Some(fetch) = fetching
                && let Poll::Ready(fetched) = fetch.as_mut().poll(cx)
            {
                return Poll::Ready(Turn::Fetched(fetched));
            }
            timer.as_mut().poll(cx).map(|()| Turn::Time)
        })
        .await
    }

    /// Whether the connection is of use. What a gate says of the server does not matter to one that works.
    fn look(&mut self) -> Option<Ending> {
        let state = self.state;
        let cause = if !self.driver.want_connection() {
            None
        } else if state.gate.state() == GateState::Isolated {
            Some(GapCause::Isolated)
        } else if self.is_outdated() {
            Some(GapCause::Reconfigured)
        } else if !self
            .dialler
            .is_present(&self.settings, &self.connection.address)
        {
            Some(GapCause::Moved)
        } else {
            return None;
        };
        Some(Ending {
            cause,
            reason: None,
        })
    }

    /// Whether its settings are no more those of new connections. Others are taken over.
    fn is_outdated(&mut self) -> bool {
        let present = self.state.settings.share();
        if Arc::ptr_eq(&present, &self.settings) {
            return false;
        }
        let changes = self.settings.changes(&present);
        let is_outdated = self.settings.needs_new_connections(&changes, &present);
        self.settings = present;
        is_outdated
    }

    fn say(&mut self) {
        let connection = &mut self.connection;
        let is_owed = self.driver.take_asks(|ask| match ask {
            Ask::Subscribe(topic) => connection.subscribe(topic),
            Ask::Unsubscribe(topic) => connection.unsubscribe(topic),
        });
        if !is_owed {
            connection.owes_nothing();
        }
    }

    fn wake_at(&self) -> Instant {
        let quiet = self.connection.wake_at();
        match self.login.due {
            Some(due) if self.login.fetching.is_none() => quiet.min(due),
            _ => quiet,
        }
    }

    fn on_time(&mut self) -> Result<(), CloseReason> {
        let now = Instant::now();
        if self.login.fetching.is_none() && self.login.due.is_some_and(|due| due <= now) {
            let (dialler, settings) = (self.dialler, self.settings.clone());
            self.login.fetching = Some(Box::pin(
                async move { dialler.authentication(&settings).await },
            ));
        }
        if self.connection.check_silence()? {
            self.driver.asked(Own::Question);
            self.connection.ping();
        }
        Ok(())
    }

    /// The provider of credentials has answered. In RESP2 a connection with subscriptions cannot authenticate again.
    fn fetched(&mut self, fetched: Fetched) -> Option<Ending> {
        let login = &mut self.login;
        login.fetching = None;
        match fetched {
            Ok(Some((command, note))) => {
                login.due = note.due;
                login.backoff.reset();
                if note.generation == login.generation {
                    return None;
                }
                login.generation = note.generation;
                if !self.connection.speaks_resp3() {
                    return Some(Ending {
                        cause: Some(GapCause::CredentialsChanged),
                        reason: None,
                    });
                }
                self.driver.asked(Own::Login);
                self.connection.send(&command);
            }
            Ok(None) => login.due = None,
            Err(error) => {
                let pause = login.backoff.pause(error.reason(), fastrand::f64());
                login.due = Some(Instant::now() + pause);
            }
        }
        None
    }
}

impl From<CloseReason> for Ending {
    fn from(reason: CloseReason) -> Self {
        Self {
            cause: Some(GapCause::ConnectionLost(reason.to_string().into())),
            reason: Some(Reason::ConnectionLost),
        }
    }
}

impl From<Unusable> for Ending {
    fn from(unusable: Unusable) -> Self {
        let (why, reason) = match unusable {
            Unusable::Closed(reason) => return reason.into(),
            Unusable::NotNow(error) => {
                let why = format!(
                    "the server takes no subscriptions for now: {}",
                    error.code()
                );
                (why, Reason::Unresponsive)
            }
            Unusable::LoginRefused(error) => {
                let why = format!("the server refuses the new credentials: {}", error.code());
                (why, Reason::Rejected)
            }
        };
        Self {
            cause: Some(GapCause::ConnectionLost(why.into())),
            reason: Some(reason),
        }
    }
}
