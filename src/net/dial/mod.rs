//! Opens a connection: transport, greeting, and the proof that the server runs commands.
//!
//! - `greeting`: one greeting, and the meaning of its answers · `step`: its commands · `login`: the forms of
//!   AUTH · `login_cell`: credentials that change · `refusal`: errors that are about a command itself · `handshake`: its bytes
//! - `securing`: TLS, before the greeting · `diagnosis`: what a peer speaks that understands nothing
//! - `moved`: where a server has said that it goes · `moving_endpoint`: in which form it is to say it · `places`: the
//!   addresses that one dial tries
//! - `allowance`: the time of a dial · `attempt`: one connection and the greeting on it
//! - `course`: the greetings that one dial tries · `memory`: the one that works

mod allowance;
mod attempt;
mod course;
mod diagnosis;
mod error;
mod established;
mod greeting;
mod handshake;
mod login;
mod login_cell;
mod memory;
mod moved;
mod moving_endpoint;
mod places;
mod refusal;
mod securing;
mod step;

pub(crate) use error::DialError;
pub(crate) use established::{Established, ServerInfo, ServerProgram};
pub(crate) use login_cell::LoginNote;
pub(crate) use moved::WhileMoving;

use std::{io, sync::Arc, time::Duration};

use redis::{Cmd, cmd};
use tokio::time::{Instant, sleep, timeout_at};

use self::{
    allowance::Allowance,
    course::Course,
    diagnosis::answers_with_tls,
    greeting::{Failed, Greeted, Greeting, courtesies},
    handshake::Handshake,
    login::Login,
    login_cell::{LoginCell, logged_in},
    memory::{Manner, Memory},
    moved::Moved,
    places::PlacesToTry,
};
use super::{locate::Locate, transport::Connector};
use crate::{
    config::{Address, DatabaseSettings, Protocol},
    rounded::Rounded,
    tls::TlsError,
};

/// The interval at which a server that is loading its dataset is asked whether it has finished.
const LOADING_POLL: Duration = Duration::from_millis(20);

/// The interval at which sentinels are asked while they name a server that is no primary.
const SENTINELS_POLL: Duration = Duration::from_millis(50);
/// The pause doubles up to this.
const SENTINELS_LONGEST_POLL: Duration = Duration::from_millis(500);

/// The treatment of a server that is loading its dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhileLoading {
    /// Wait for it, up to the timeout of the dial.
    Wait,
    /// Report it at once.
    Report,
}

/// The way to the server of a database.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    locator: Arc<dyn Locate>,
    connector: Arc<dyn Connector>,
    memory: Arc<Memory>,
    logins: Arc<LoginCell>,
    moved: Arc<Moved>,
    while_moving: WhileMoving,
    /// The database by whose name a provider is asked for credentials; `None` for that of the settings.
    whole: Option<Arc<str>>,
    /// It leads to a replica of a cluster, which sends reads to its primary unless it is asked to serve them.
    is_replica: bool,
}

impl Dialler {
    pub(crate) fn new(locator: impl Locate, connector: Arc<dyn Connector>) -> Self {
        Self {
            locator: Arc::new(locator),
            connector,
            memory: Arc::default(),
            logins: Arc::default(),
            moved: Arc::default(),
            while_moving: WhileMoving::default(),
            whole: None,
            is_replica: false,
        }
    }

    /// The same for a part of this database.
    pub(crate) fn of_part(self, whole: Arc<str>) -> Self {
        Self {
            whole: Some(whole),
            ..self
        }
    }

    /// The same for a replica of a cluster, which is to serve reads.
    pub(crate) fn of_replica(self) -> Self {
        Self {
            is_replica: true,
            ..self
        }
    }

    /// The same for a dial that takes these addresses while the server moves.
    pub(crate) fn while_moving(&self, while_moving: WhileMoving) -> Self {
        Self {
            while_moving,
            ..self.clone()
        }
    }

    /// The same way for connections with another greeting. What is learnt of the greetings of one kind is of no use to
    /// the other.
    pub(crate) fn apart(&self) -> Self {
        Self {
            memory: Arc::default(),
            ..self.clone()
        }
    }

    /// Opens a connection within the connect timeout of `settings`.
    ///
    /// A peer that does not accept the greeting gets a shorter one, on another connection. At no time is there
    /// more than one connection.
    pub(crate) async fn dial(
        &self,
        settings: &DatabaseSettings,
        while_loading: WhileLoading,
    ) -> Result<Established, DialError> {
        let time = Allowance::of(settings);
        let logged_in = self.log_in(settings, time).await?;
        let (settings, note) = match &logged_in {
            Some((settings, note)) => (settings, Some(*note)),
            None => (settings, None),
        };
        let mut pause = SENTINELS_POLL;
        let mut places = PlacesToTry::of(self, settings);
        loop {
            let address = places.next(time).await?;
            let time_here = places.share(time);
            let dialled = self.dial_at(&address, settings, while_loading, time_here);
            let dialled = dialled.await;
            if dialled.is_err() {
                self.locator.doubt(settings, &address);
            }
            let is_early = Instant::now() + pause < time.deadline;
            match dialled {
                // It may be well at another one.
                Err(_) if places.has_more() => {}
                // A failover is under way, or a sentinel lags behind.
                Err(DialError::NotPrimary(_)) if is_early => {
                    sleep(pause).await;
                    pause = (2 * pause).min(SENTINELS_LONGEST_POLL);
                }
                dialled => {
                    return dialled.map(|established| Established {
                        login: note,
                        ..established
                    });
                }
            }
        }
    }

    /// The server of an open connection may be gone from this address: the next dial finds out where it is.
    pub(crate) fn doubt(&self, settings: &DatabaseSettings, address: &Address) {
        self.locator.doubt(settings, address);
    }

    /// Whether a connection to this address leads to the present server, as far as is known.
    pub(crate) fn is_present(&self, settings: &DatabaseSettings, address: &Address) -> bool {
        self.locator.is_present(settings, address)
    }

    /// The server goes to this address, or to the present one if there is none. Until then dials
    /// may [lead there](WhileMoving).
    pub(crate) fn move_to(&self, from: &Address, to: Option<Address>, until: Instant) {
        self.moved.set(from, to, until);
    }

    /// Whether the server of this address moves, and nothing has answered at the new one yet.
    pub(crate) fn is_moving(&self, address: &Address) -> bool {
        self.moved.places(address, WhileMoving::NewFirst).len() > 1
    }

    /// A connection to the new address of a server that moves is open.
    pub(crate) fn has_moved(&self) {
        self.moved.confirm();
    }

    /// A dial has failed, while other connections serve or not. Where the server has said that it moves, the next one may
    /// take the other address.
    pub(crate) fn failed_beside(&self, serves: bool) {
        self.moved.failed(serves);
    }

    async fn dial_at(
        &self,
        address: &Address,
        settings: &DatabaseSettings,
        while_loading: WhileLoading,
        time: Allowance,
    ) -> Result<Established, DialError> {
        let is_probe = while_loading == WhileLoading::Report;
        let (mut course, mut manner) = self.plan(address, settings, is_probe);
        loop {
            manner.asked = course.asked();
            let greeting = Greeting::new(settings, manner, self.is_replica);
            let is_last = !course.has_another();
            match self.attempt(address, &greeting, is_last, time).await {
                Ok((handshake, greeted)) => {
                    let is_named = settings.address.is_of_sentinels();
                    if is_named && greeted.seen.is_replica == Some(true) {
                        return Err(DialError::NotPrimary(address.clone()));
                    }
                    manner.login = greeted.login;
                    if course.succeeded() {
                        let manner = manner.refusing(greeted.refused);
                        let wanted = courtesies(settings);
                        if course.is_to_be_remembered() {
                            let is_learnt = !course.is_from_memory();
                            self.memory.keep(address, wanted, manner, is_learnt);
                        } else {
                            self.memory.note(manner);
                        }
                        let opened = (address, handshake, greeted);
                        return finish(greeting, opened, while_loading, time).await;
                    }
                }
                Err(Failed {
                    stumble: Some((at, stumble)),
                    ..
                }) if course.failed(at, stumble) => {}
                Err(Failed { error, .. }) => {
                    self.memory.forget();
                    return Err(self.explain(error, address, settings, time).await);
                }
            }
        }
    }

    /// A peer that hangs up at a greeting may wait for TLS.
    async fn explain(
        &self,
        error: DialError,
        address: &Address,
        settings: &DatabaseSettings,
        time: Allowance,
    ) -> DialError {
        let is_tcp = matches!(address, Address::Tcp { .. });
        if settings.tls.is_some() || !is_tcp || !error.is_about_the_greeting() {
            return error;
        }
        let asked = async {
            let transport = self.connector.connect(address, settings).await?;
            io::Result::Ok(answers_with_tls(transport).await)
        };
        match timeout_at(time.half_of_rest(), asked).await {
            Ok(Ok(true)) => TlsError::Wanted.into(),
            _ => error,
        }
    }

    /// The settings with the present credentials, where a provider tells them.
    async fn log_in(
        &self,
        settings: &DatabaseSettings,
        time: Allowance,
    ) -> Result<Option<(DatabaseSettings, LoginNote)>, DialError> {
        let Some(source) = &settings.credentials else {
            return Ok(None);
        };
        let name = self.whole.as_ref().unwrap_or(&settings.name);
        let fetching = self.logins.fetch(source, name);
        let late = |_| {
            let limit = Rounded(time.limit);
            Err(format!("no answer of their provider within {limit}"))
        };
        let fetched = timeout_at(time.deadline, fetching).await;
        let last = fetched
            .unwrap_or_else(late)
            .map_err(DialError::Credentials)?;
        Ok(Some((logged_in(settings, last.credentials), last.note)))
    }

    /// Asks the provider, and gives the command by which an open connection authenticates; `None` if there is no
    /// provider.
    pub(crate) async fn authentication(
        &self,
        settings: &DatabaseSettings,
    ) -> Result<Option<(Cmd, LoginNote)>, DialError> {
        let logged_in = self.log_in(settings, Allowance::of(settings)).await?;
        Ok(logged_in.and_then(|(settings, note)| {
            let login = Login::of(&settings)?;
            Some((login.command(&settings), note))
        }))
    }

    /// The greetings to try, and the rest of the manner that worked the last time. Only a probe, for which
    /// no caller waits, finds out whether a peer accepts more by now.
    fn plan(
        &self,
        address: &Address,
        settings: &DatabaseSettings,
        is_probe: bool,
    ) -> (Course, Manner) {
        let wanted = courtesies(settings);
        let needs_hello = settings.protocol == Protocol::Resp3;
        let Some(manner) = self.memory.recall(address, wanted) else {
            return (Course::new(wanted, None, needs_hello), Manner::default());
        };
        let more = manner.worth_trying(wanted, needs_hello);
        let course = if is_probe && more != manner.asked && self.memory.is_old() {
            Course::new(more, None, needs_hello)
        } else {
            Course::new(wanted, Some(manner.asked), needs_hello)
        };
        (course, manner)
    }

    /// Checks whether a peer that speaks the protocol answers at the address, within the timeout of a dial.
    ///
    /// Any answer will do: whether the credentials are right, for instance, is another question. The check
    /// greets the peer as a dial does, since some peers answer nothing else.
    pub(crate) async fn check_endpoint(
        &self,
        settings: &DatabaseSettings,
    ) -> Result<(), DialError> {
        let time = Allowance::of(settings);
        let mut places = PlacesToTry::of(self, settings);
        loop {
            let address = places.next(time).await?;
            let manner = self.memory.for_check(courtesies(settings));
            let greeting = Greeting::new(settings, manner, self.is_replica);
            let attempted = self.attempt(&address, &greeting, true, places.share(time));
            match attempted.await {
                Err(Failed { error, .. }) if !error.is_an_answer() => {
                    self.locator.doubt(settings, &address);
                    self.failed_beside(false);
                    // Another address may answer.
                    if !places.has_more() {
                        return Err(error);
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// A command that reads nothing, for a connection that is open already: the PING, except for servers that
    /// did not accept it or refused it.
    pub(crate) fn question(&self) -> Cmd {
        if self.memory.answers_ping() {
            cmd("PING")
        } else {
            let nonce = format!("{:016x}", fastrand::u64(..));
            cmd("GET").arg(nonce).take()
        }
    }
}

/// Waits for a server that is loading its dataset, and hands the connection over.
async fn finish(
    greeting: Greeting<'_>,
    (address, mut handshake, mut greeted): (&Address, Handshake, Greeted),
    while_loading: WhileLoading,
    time: Allowance,
) -> Result<Established, DialError> {
    while let Some(step) = greeted.loading {
        let wait = while_loading == WhileLoading::Wait;
        if !wait || Instant::now() + LOADING_POLL >= time.deadline {
            return Err(DialError::Loading);
        }
        sleep(LOADING_POLL).await;
        let asked = greeting.ask_again(step, &mut handshake, &mut greeted);
        match timeout_at(time.deadline, asked).await {
            Ok(answered) => answered.map_err(|failed| failed.error)?,
            Err(_) => return Err(time.over(step.phase())),
        }
    }
    let max_reply_bytes = greeting.settings().max_reply_bytes;
    let (seen, announces) = (greeted.seen, greeted.announces);
    handshake.established(address.clone(), seen, announces, max_reply_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Config, DatabaseConfig, resolve},
        events::Reason,
        net::{
            SocketConnector, hanging_names::HangingNames, locate::FixedAddress,
            transport::Connecting,
        },
    };

    /// A name that never resolves, or a network that swallows everything.
    #[derive(Debug)]
    struct Nowhere;

    impl Connector for Nowhere {
        fn connect<'a>(&'a self, _: &'a Address, _: &'a DatabaseSettings) -> Connecting<'a> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_that_never_connects_is_unreachable() {
        let settings = resolve(Config::single("redis://nowhere")).expect("settings");
        let settings = &settings.databases[0];
        let dialler = Dialler::new(FixedAddress, Arc::new(Nowhere));
        let checked = dialler
            .check_endpoint(settings)
            .await
            .expect_err("no answer");
        assert_eq!(checked.reason(), Reason::Unreachable, "{checked}");
        let dialled = dialler.dial(settings, WhileLoading::Wait).await;
        let error = dialled.err().expect("no answer");
        assert_eq!(error.reason(), Reason::Unreachable, "{error}");
    }

    #[tokio::test]
    async fn a_dial_that_waits_for_a_name_says_so() {
        let names = HangingNames::default();
        let limit = Duration::from_millis(50);
        let main = DatabaseConfig::from_url("redis://hangs").connect_timeout(limit);
        let settings = resolve(Config::new().database("main", main)).expect("settings");
        let resolver = names.resolver();
        let dialler = Dialler::new(FixedAddress, Arc::new(SocketConnector { resolver }));
        let checked = dialler.check_endpoint(&settings.databases[0]).await;
        let error = checked.expect_err("no address");
        assert_eq!(error.reason(), Reason::Unreachable);
        let expected = "no answer within 50ms while looking up the name of the server";
        assert_eq!(error.to_string(), expected);
    }
}
