//! The supervisor, as applications see it.

#[cfg(feature = "status-page")]
mod weak;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

#[cfg(feature = "status-page")]
pub(crate) use weak::WeakSupervisor;

use actix::Recipient;
use futures_util::future::join_all;
use tokio::{
    runtime::Handle,
    sync::{broadcast, oneshot},
};
use tokio_util::sync::CancellationToken;

use crate::{
    applied::Applied,
    call::CallEngine,
    config::{Config, Io, resolve, resolve_change},
    database::Database,
    error::{ApplyError, Error, StartError},
    events::{HealthEvents, HealthState},
    execution::Execution,
    health_check::SupervisorHealth,
    lifeline::{Lifeline, ShutdownReport},
    messages::{
        Apply, AwaitReady, NotWatched, Operate, Operation, Revive, Subscribe, SweepAll, Watch,
    },
    name::DatabaseName,
    registry::Registry,
    state::DatabaseState,
    stats::SupervisorStats,
    thread::Starting,
    watching::ConfigWatch,
};

/// The connection manager of a program: it starts, watches, restarts and stops everything behind its
/// databases.
///
/// An application spawns one from a [`Config`] and takes its handles from it:
///
/// | for | use |
/// |---|---|
/// | commands | [`database`](Self::database), which returns a [`Database`] |
/// | changes of health | [`subscribe`](Self::subscribe), which returns [`HealthEvents`] |
/// | counters and the health of the moment | [`statistics`](Self::statistics), which returns [`SupervisorStats`] |
/// | waiting for healthy databases | [`ready`](Self::ready) |
/// | orders by hand | [`isolate`](Self::isolate), [`reset`](Self::reset), [`revive`](Self::revive), [`sweep`](Self::sweep) |
/// | another configuration while it runs | [`apply`](Self::apply), which returns [`Applied`] |
/// | the end | [`shutdown`](Self::shutdown) |
///
/// Its actors run on a thread of their own, so that it works alike in tokio, in actix and in a program
/// without a runtime. Commands do not pass through them.
///
/// A supervisor is cheap to clone. It runs as long as a clone of it, a [`Database`] or a
/// [`Lease`](crate::Lease) exists. When the last of them is dropped, everything stops at once, without a
/// grace; [`shutdown`](Self::shutdown) gives commands in flight time to finish.
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
    /// Starts the actors and returns when they run.
    ///
    /// It waits for no server. Handles work as soon as their server does, and
    /// [`ready`](Self::ready) waits for that.
    ///
    /// Connections run on the tokio runtime in which this is called, unless [`Config::io`] says otherwise.
    /// If there is none, they run on one of the crate's own. The runtime needs tokio's I/O and time drivers
    /// (`enable_all`), which `#[tokio::main]` and actix enable. Commands progress only while it is driven.
    /// For a current-thread runtime that is driven only now and then, choose [`Io::Dedicated`].
    ///
    /// Dropping the future stops everything that it has started.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] with all problems of the configuration, and [`StartError::Io`] if the system
    /// refuses a thread.
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

    /// [`spawn`](Self::spawn) for programs without a runtime. It blocks until the actors run, and
    /// connections always run on a runtime of the crate's own.
    ///
    /// Such a program uses [`Database::blocking`], or drives the futures of this crate with any
    /// `block_on`: they need no particular runtime.
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

    /// The handle of a named database, by its name, an [alias](Config::alias) or a
    /// [`RedisDatabase`](crate::RedisDatabase). It can be taken once and kept, or taken each time: both are cheap.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownDatabase`], which lists the configured names, unless a
    /// [default database](Config::default_database) stands in.
    pub fn database<'a>(&self, name: impl Into<DatabaseName<'a>>) -> Result<Database, Error> {
        let engine = CallEngine::new(self.known(name.into().as_str())?);
        Ok(Database::new(engine, self.lifeline.clone()))
    }

    /// The names of all databases, sorted.
    pub fn databases(&self) -> Vec<Arc<str>> {
        self.registry.names()
    }

    /// Subscribes to the health of all databases: first their current states, then every change. After a
    /// shutdown, the stream yields the last states and ends.
    pub fn subscribe(&self) -> HealthEvents {
        self.registry.hub.subscribe()
    }

    /// What is known of all databases now: no server is asked, and nothing is waited for.
    pub fn states(&self) -> BTreeMap<Arc<str>, HealthState> {
        let states = self.registry.configured().into_iter();
        let present = |state: &DatabaseState| self.registry.present_state(state).0;
        states
            .map(|state| (state.name(), present(&state)))
            .collect()
    }

    /// Asks the servers of all databases at the same time how they are, each as
    /// [`Database::health_check`] does. It takes no longer than `within`.
    pub async fn health(&self, within: Duration) -> SupervisorHealth {
        let states = self.registry.configured();
        let checks = states
            .iter()
            .map(|state| self.lifeline.check(state, within));
        let checks = join_all(checks).await.into_iter();
        SupervisorHealth {
            uptime: self.registry.uptime(),
            databases: checks
                .map(|check| (check.database.clone(), check))
                .collect(),
        }
    }

    /// An actix address for [`Subscribe`], by which actors get the events of
    /// [`subscribe`](Self::subscribe) as messages. It does not keep the supervisor running.
    pub fn recipient(&self) -> Recipient<Subscribe> {
        self.lifeline.link.subscribe.clone()
    }

    /// Waits until all databases are [`Healthy`](crate::HealthState::Healthy) at the same moment, at most
    /// for `within`.
    ///
    /// It is optional: commands wait for the first connection by themselves, until their deadline. It
    /// finds wrong addresses and passwords at the start of a program. The future may be dropped at any
    /// point.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] after `within`, or at once after a shutdown. It lists the databases that are not
    /// healthy, with their states and the last failures.
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

    /// Takes a database out of use by hand, for instance before maintenance. Commands fail at once with
    /// [`Error::Isolated`], until [`reset`](Self::reset), even while the server works.
    ///
    /// When this returns, no new command is let through; commands in flight end as usual. If the future is
    /// dropped earlier, the order may or may not take effect.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownDatabase`], and [`Error::ShuttingDown`] after a shutdown.
    pub async fn isolate<'a>(&self, name: impl Into<DatabaseName<'a>>) -> Result<(), Error> {
        self.operate(name.into().as_str(), Operation::Isolate).await
    }

    /// Closes the circuit of a database by hand, also if it was open because of failures. When this
    /// returns, commands are let through again. Later failures open it as usual.
    ///
    /// A database that was given up ([`HealthState::Failed`](crate::HealthState::Failed)) stays so until
    /// [`revive`](Self::revive), but is not isolated any more.
    ///
    /// # Errors
    ///
    /// As [`isolate`](Self::isolate).
    pub async fn reset<'a>(&self, name: impl Into<DatabaseName<'a>>) -> Result<(), Error> {
        self.operate(name.into().as_str(), Operation::Reset).await
    }

    /// Restarts the pool of a database that was given up because it crashed more than 5 times within 10 s
    /// ([`HealthState::Failed`](crate::HealthState::Failed)). It has no effect on any other database.
    ///
    /// # Errors
    ///
    /// As [`isolate`](Self::isolate).
    pub async fn revive<'a>(&self, name: impl Into<DatabaseName<'a>>) -> Result<(), Error> {
        let database = self.known(name.into().as_str())?;
        let revived = self.lifeline.link.revive.send(Revive(database.id.clone()));
        revived.await.map_err(|_| stopped(database.name()))
    }

    /// Changes the configuration while everything runs: adds, removes, resizes and moves databases, and changes their
    /// logins, limits and timeouts.
    ///
    /// The whole is checked first. An invalid configuration changes nothing. Databases are told apart by their names,
    /// so another name is a removal and an addition. A database whose settings are the same is not touched.
    ///
    /// | settings | take effect |
    /// |---|---|
    /// | timeouts of calls, `when_down`, `allow_admin`, `max_in_flight`, `max_parked` | for calls that begin later. Handles take them, unless their caller has [overridden](Database::with_timeout) them |
    /// | `max_connections`, `shared_connections`, `min_idle`, `idle_timeout`, `max_lifetime`, `sweep_interval`, `leak_warning` | at once. Connections beyond a lower maximum are closed when they are free. A `leak_warning` that is switched on tells of leases that are taken later |
    /// | `failure_threshold`, `recovery_timeout`, `health_check_interval` | from the next failure, success or check on |
    /// | `fallback` | at once. A store that stands in at the time goes on under its terms until the outage is over |
    /// | address, number, login, `client_name`, `protocol`, parts of the greeting, `attempt_timeout`, `relaxed_timeout`, `maintenance_notifications`, `keepalive`, `tcp_user_timeout`, `max_reply_bytes` | with new connections. So does the begin of growth, a maximum of shared connections above the minimum |
    ///
    /// **New connections** are opened before the old ones are taken out of service. Until the first of them is open, the
    /// old ones serve as before, and from then on they finish only what was sent on them. Commands keep their
    /// [order](Database#order). Leased connections are closed when they are given back. So a new password or
    /// address that does not work takes nothing from callers: the database is
    /// [`Degraded`](crate::HealthState::Degraded), with the reason, for as long as its old connections work, and is
    /// tried again until it does, or until another change. While connections are replaced, the pool may have one more
    /// than `max_connections`.
    ///
    /// **Removed databases** take no further command: their handles answer [`Error::UnknownDatabase`], for good, also if
    /// a database of the same name is added again. Commands in flight, and leases, have the
    /// [command timeout](crate::DatabaseConfig::command_timeout) of the database to finish, and end as in a
    /// [`shutdown`](Self::shutdown). What a [fallback](crate::Fallback) has kept for the server is dropped. Their
    /// statistics are gone; those of all other databases count on.
    ///
    /// It waits for removed databases to drain, and for no server: return means that everything is arranged. Subscribers
    /// get an event for each database that was [added](crate::HealthState::Starting),
    /// [removed](crate::HealthState::Removed) or [changed](crate::HealthEvent::changed). [`ready`](Self::ready) waits
    /// for the first connection of what was added.
    ///
    /// Two changes at the same time are made one after the other. A change goes on if the future is dropped after its
    /// first poll. It is not kept: the next start begins with the configuration that it is given.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Config`] with all problems, and [`ApplyError::ShuttingDown`]. [`Config::io`] cannot be changed.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use redis_steward::{Config, DatabaseConfig, Supervisor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let main = DatabaseConfig::from_url("memory://");
    /// let supervisor = Supervisor::spawn(Config::new().database("main", main.clone())).await?;
    ///
    /// let patient = main.command_timeout(Duration::from_secs(30));
    /// let cache = DatabaseConfig::from_url("memory://");
    /// let config = Config::new().database("main", patient).database("cache", cache);
    /// let applied = supervisor.apply(config).await?;
    /// assert_eq!(applied.to_string(), "cache: added\nmain: changed command_timeout");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn apply(&self, config: Config) -> Result<Applied, ApplyError> {
        let settings = resolve_change(config, self.registry.io)?;
        let applied = self.lifeline.link.apply.send(Apply(settings)).await;
        applied.ok().flatten().ok_or(ApplyError::ShuttingDown)
    }

    /// Makes the databases those of a YAML file, now and whenever the file changes.
    ///
    /// The file is read as by [`Config::load_from`], so variables of the environment are stronger than it, and is applied
    /// as by [`apply`](Self::apply). It is looked at every second, together with the files of passwords that it names
    /// (which connections also read themselves), and read once it has been the same for a second. A file that cannot be
    /// used changes nothing: the log and [`ConfigWatch::next`] tell why.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     supervisor: redis_steward::Supervisor,
    /// # ) -> Result<(), redis_steward::ApplyError> {
    /// supervisor.watch("config/redis-databases.yaml").await?.detach();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The watch does not keep the supervisor running. It costs a thread of tokio's for files.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply), if the file as it is cannot be used. It is not watched then.
    pub async fn watch(&self, path: impl Into<PathBuf>) -> Result<ConfigWatch, ApplyError> {
        self.watch_with(path, |config| config).await
    }

    /// As [`watch`](Self::watch), with changes in code: `adjust` gets each configuration that the file leads to before it
    /// is applied, for instance to set a [service registry](Config::service_registry).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As `adjust`, the first time. Later panics of it are logged, and change nothing.
    pub async fn watch_with(
        &self,
        path: impl Into<PathBuf>,
        adjust: impl Fn(Config) -> Config + Send + Sync + 'static,
    ) -> Result<ConfigWatch, ApplyError> {
        let (path, io) = (path.into(), self.registry.io);
        let file = path.clone();
        let read = move || {
            let (config, files) = Config::load_with_files(&file);
            (
                config.and_then(|config| resolve_change(adjust(config), io)),
                files,
            )
        };
        let (reports, receiver) = broadcast::channel(16);
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let watch = Watch {
            path,
            read: Arc::new(read),
            reports,
            stop,
        };
        let watched = self.lifeline.link.watch.send(watch).await;
        match watched.unwrap_or(Err(ApplyError::ShuttingDown.into())) {
            Ok(()) => {}
            Err(NotWatched::Refused(error)) => return Err(error),
            Err(NotWatched::Panicked(panic)) => std::panic::resume_unwind(panic),
        }
        Ok(ConfigWatch::new(receiver, guard))
    }

    /// Sweeps all databases now: closes connections that have been idle for longer than their [idle
    /// timeout](crate::DatabaseConfig::idle_timeout) or are older than their
    /// [lifetime](crate::DatabaseConfig::max_lifetime). Otherwise that happens every [sweep
    /// interval](crate::DatabaseConfig::sweep_interval), 60 s by default.
    ///
    /// Returns the number of connections that were taken out of service; 0 after a shutdown. An old shared
    /// connection is not among them: it is closed and [counted](crate::Evictions::lifetime) as soon as its
    /// successor is open.
    pub async fn sweep(&self) -> usize {
        let swept = self.lifeline.link.sweep.send(SweepAll);
        swept.await.unwrap_or_default()
    }

    /// The statistics for the `metrics` facade. It does not keep the supervisor running. Needs the feature `metrics`.
    #[cfg(feature = "metrics")]
    pub fn metrics(&self) -> crate::Metrics {
        crate::Metrics::new(self.registry.clone())
    }

    /// A snapshot of the health, the counters and the connections of all databases. It waits for no actor
    /// and no server.
    pub fn statistics(&self) -> SupervisorStats {
        self.registry.statistics()
    }

    /// Stops everything, and returns when no task, thread or socket is left.
    ///
    /// New commands fail at once with [`Error::ShuttingDown`]. Commands in flight, and leases, have `grace`
    /// to finish, at most a year. Commands that do not finish get an error that tells whether they may have
    /// run. With a grace of zero, they end at once.
    ///
    /// [Consumers](crate::Consumer#shutdown) of streams are to be stopped before.
    ///
    /// What would use up the grace for nothing does not:
    /// - Commands that block (`BLPOP`, `XREAD BLOCK` …) are unblocked by `CLIENT UNBLOCK`, and return as if
    ///   their own timeouts had passed, with nil. An element that is popped at that moment is delivered. On
    ///   servers before 6.2, and for users who may not run `CLIENT INFO` and `CLIENT UNBLOCK`, they have the
    ///   grace.
    /// - A lease without a command in flight is waited for one second, and then its connection is closed. Its
    ///   next command is refused, before and after that.
    ///
    /// Calling it again, also at the same time, waits for the same end and returns the same report; the
    /// first call sets the grace. The shutdown goes on if the future is dropped.
    ///
    /// The last lines of the log are written before it returns, for which it waits for a second at most.
    ///
    /// If the runtime of the connections is not driven at the time, their tasks and sockets end when it is
    /// driven again, or ends. This method waits for them for one or two seconds only.
    ///
    /// It does not wait for the look-up of a name, which cannot be interrupted. The thread of a look-up that is
    /// under way ends when the system's resolver returns, after up to a minute if no name server answers.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.lifeline.shutdown(grace).await
    }

    async fn operate(&self, name: &str, operation: Operation) -> Result<(), Error> {
        let database = self.known(name)?;
        let operated = self.lifeline.link.operate.send(Operate {
            database: database.id.clone(),
            operation,
        });
        operated.await.map_err(|_| stopped(database.name()))
    }

    fn known(&self, name: &str) -> Result<Arc<DatabaseState>, Error> {
        match self.registry.named(name) {
            Some(state) => Ok(state),
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
