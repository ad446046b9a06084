//! The supervisor as applications see it.

use std::{
    fmt,
    sync::{Arc, mpsc},
    time::Duration,
};

use actix::Recipient;
use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    call::CallEngine,
    config::{Config, Io, resolve},
    database::Database,
    error::{Error, StartError},
    events::HealthEvents,
    execution::Execution,
    lifeline::{Lifeline, ShutdownReport},
    messages::{AwaitReady, Operate, Operation, Revive, Subscribe, SweepAll},
    registry::Registry,
    state::DatabaseState,
    stats::SupervisorStats,
    thread::Starting,
};

/// Runs the connection manager, and hands out what applications use it by.
///
/// Its actors live on a thread of their own, so it works the same from tokio, from actix and
/// from a program with no runtime. It is cheap to clone. When the last supervisor and the last
/// [`Database`] are dropped, everything stops at once; [`shutdown`](Self::shutdown) gives what is
/// under way time to finish.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
///
/// use redis_steward::{Config, DatabaseConfig, Supervisor};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::new()
///     .database("main", DatabaseConfig::from_url("redis://localhost/0"))
///     .database("sessions", DatabaseConfig::from_url("redis://localhost/6"));
/// let supervisor = Supervisor::spawn(config).await?;
/// supervisor.ready(Duration::from_secs(5)).await?;
/// let sessions = supervisor.database("sessions")?;
/// let pong: String = sessions.query(redis::cmd("PING")).await?;
/// assert_eq!(pong, "PONG");
/// supervisor.shutdown(Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Supervisor {
    registry: Arc<Registry>,
    lifeline: Arc<Lifeline>,
}

impl Supervisor {
    /// Starts the actors and returns when they run, whether or not any server can be
    /// reached: handles start to work when it can. [`ready`](Self::ready) waits for that.
    ///
    /// Connections run on the tokio runtime that this is called in, unless
    /// [`Config::io`] says otherwise, and on one of the crate's own when there is none. The runtime
    /// must be driven for commands to progress: with a current-thread runtime that is only
    /// now and then in a `block_on`, choose [`Io::Dedicated`]. It needs tokio's I/O and time drivers
    /// (`enable_all`), as `#[tokio::main]` and actix have them.
    ///
    /// Dropping the future stops whatever it has started.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] with everything that is wrong with the configuration, and
    /// [`StartError::Io`] when the system refuses a thread.
    pub async fn spawn(config: Config) -> Result<Self, StartError> {
        let settings = resolve(config)?;
        let caller = match settings.io {
            Io::Dedicated => None,
            _ => Handle::try_current().ok(),
        };
        let (sender, started) = oneshot::channel();
        let starting =
            Starting::spawn(&settings, caller, |lifeline| sender.send(lifeline).is_ok())?;
        Ok(Self::running(starting.finish(started.await.ok())?))
    }

    /// [`spawn`](Self::spawn) for programs without a runtime: it blocks until the actors run, and
    /// connections run on a runtime of the crate's own.
    ///
    /// The futures of this crate need no particular runtime, so such a program can drive them with
    /// any `block_on`.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_blocking(config: Config) -> Result<Self, StartError> {
        let (sender, started) = mpsc::sync_channel(1);
        let settings = resolve(config)?;
        let starting = Starting::spawn(&settings, None, move |lifeline| {
            sender.send(lifeline).is_ok()
        })?;
        Ok(Self::running(starting.finish(started.recv().ok())?))
    }

    /// The handle of a named database. Ask once and keep it, or ask each time: both are cheap.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownDatabase`], which lists the names there are. There is no default
    /// database that an unknown name could fall back to.
    pub fn database(&self, name: &str) -> Result<Database, Error> {
        let engine = CallEngine::new(self.known(name)?);
        Ok(Database::new(engine, self.lifeline.clone()))
    }

    /// The names of all databases, sorted.
    pub fn databases(&self) -> Vec<Arc<str>> {
        self.registry.names()
    }

    /// The health of all databases: first their current states, then every change.
    pub fn subscribe(&self) -> HealthEvents {
        self.registry.hub.subscribe()
    }

    /// An address for other actix actors, which send it [`Subscribe`] to get the events of
    /// [`subscribe`](Self::subscribe) as messages. It does not keep the supervisor running.
    pub fn recipient(&self) -> Recipient<Subscribe> {
        self.lifeline.link.subscribe.clone()
    }

    /// Waits until every database is [`Healthy`](crate::HealthState::Healthy). It may be cancelled.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] after `within`, with the databases that are not healthy and their states.
    pub async fn ready(&self, within: Duration) -> Result<(), Error> {
        let asked = self.lifeline.link.ready.send(AwaitReady { within });
        match asked.await {
            Ok(answer) => answer,
            Err(_) => Err(Error::NotReady {
                waited: Duration::ZERO,
                pending: vec!["the supervisor has been shut down".into()],
            }),
        }
    }

    /// Takes a database out of use by hand, for instance before maintenance: its circuit is open until
    /// [`reset`](Self::reset), whatever its server does, and commands get [`Error::Isolated`] at
    /// once. When this returns, no command passes any more; those under way end as usual.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownDatabase`], and [`Error::ShuttingDown`] after a shutdown.
    pub async fn isolate(&self, name: &str) -> Result<(), Error> {
        self.operate(name, Operation::Isolate).await
    }

    /// Closes the circuit of a database by hand, whatever opened it, and lets commands through again
    /// when it returns. What fails then opens it again as usual. A database that was given up stays so
    /// until it is [revived](Self::revive), and is then not isolated any more.
    ///
    /// # Errors
    ///
    /// As [`isolate`](Self::isolate).
    pub async fn reset(&self, name: &str) -> Result<(), Error> {
        self.operate(name, Operation::Reset).await
    }

    /// Starts a database again that was given up because its pool crashed repeatedly
    /// ([`HealthState::Failed`](crate::HealthState::Failed)). Any other is left alone.
    ///
    /// # Errors
    ///
    /// As [`isolate`](Self::isolate).
    pub async fn revive(&self, name: &str) -> Result<(), Error> {
        let database = self.known(name)?.name();
        let revived = self.lifeline.link.revive.send(Revive(database.clone()));
        revived.await.map_err(|_| stopped(database))
    }

    /// Closes now what the janitor would close at its next sweep: connections that have been idle for
    /// longer than their [idle timeout](crate::DatabaseConfig::idle_timeout), or are older than their
    /// [lifetime](crate::DatabaseConfig::max_lifetime). Returns how many were taken out of service; after
    /// a shutdown there are none. A shared connection that is too old is not among them yet: it goes,
    /// and is [counted](crate::Evictions::lifetime), as soon as it has a successor.
    pub async fn sweep(&self) -> usize {
        let swept = self.lifeline.link.sweep.send(SweepAll);
        swept.await.unwrap_or_default()
    }

    /// What all databases did so far, without waiting for anybody.
    pub fn statistics(&self) -> SupervisorStats {
        self.registry.statistics()
    }

    /// Stops everything and returns when no task, thread or socket is left.
    ///
    /// New commands get [`Error::ShuttingDown`] at once. Those under way may finish within
    /// `grace`, of a year at most; the rest then learn truthfully whether they may have been executed.
    /// Calling it again, also at the same time, waits for the same end and gives the same report. It
    /// goes on when this future is dropped.
    ///
    /// If the runtime that connections run on is not driven at the time, their tasks and sockets go
    /// when it is again, or ends; this waits for them for a second or two only.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.lifeline.shutdown(grace).await
    }

    async fn operate(&self, name: &str, operation: Operation) -> Result<(), Error> {
        let database = self.known(name)?.name();
        let operated = self.lifeline.link.operate.send(Operate {
            database: database.clone(),
            operation,
        });
        operated.await.map_err(|_| stopped(database))
    }

    fn known(&self, name: &str) -> Result<Arc<DatabaseState>, Error> {
        match self.registry.databases.get(name) {
            Some(state) => Ok(state.clone()),
            None => Err(Error::UnknownDatabase {
                name: name.into(),
                known: self.databases(),
            }),
        }
    }

    fn running((registry, lifeline): (Arc<Registry>, Lifeline)) -> Self {
        Self {
            registry,
            lifeline: Arc::new(lifeline),
        }
    }
}

fn stopped(database: Arc<str>) -> Error {
    Error::ShuttingDown {
        database,
        execution: Execution::NotSent,
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("databases", &self.databases())
            .finish_non_exhaustive()
    }
}
