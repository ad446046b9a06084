//! The supervisor as applications see it, and the thread that its actors run on.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use actix::Recipient;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{oneshot, watch},
};

use crate::{
    actors::{SupervisorActor, SupervisorLink},
    config::{Config, Io, Settings, resolve},
    database::Database,
    dispatch::Dispatcher,
    error::{Error, Execution, StartError},
    events::HealthEvents,
    messages::{AwaitReady, Operate, Operation, Revive, Shutdown, Subscribe, SweepAll},
    net::{Executor, SocketConnector},
    registry::Registry,
    stats::SupervisorStats,
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

const ACTOR_THREAD: &str = "redis-steward";

/// What a shutdown found and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Commands that were under way and got their reply within the grace.
    pub completed: u64,
    /// Commands that were under way and did not, though their callers waited. Each caller was told
    /// whether its command may have been executed.
    pub unfinished: u64,
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
        let starting = Self::start(settings, caller, |lifeline| sender.send(lifeline).is_ok())?;
        starting.finish(started.await.ok())
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
        let starting = Self::start(settings, None, move |lifeline| {
            sender.send(lifeline).is_ok()
        })?;
        starting.finish(started.recv().ok())
    }

    /// The handle of a named database. Ask once and keep it, or ask each time: both are cheap.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownDatabase`], which lists the names there are. There is no default
    /// database that an unknown name could fall back to.
    pub fn database(&self, name: &str) -> Result<Database, Error> {
        let dispatcher = self.known(name)?;
        Ok(Database::new(dispatcher, self.lifeline.clone()))
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

    fn known(&self, name: &str) -> Result<Arc<Dispatcher>, Error> {
        match self.registry.databases.get(name) {
            Some(dispatcher) => Ok(dispatcher.clone()),
            None => Err(Error::UnknownDatabase {
                name: name.into(),
                known: self.databases(),
            }),
        }
    }

    fn start(
        settings: Settings,
        caller: Option<Handle>,
        started: impl FnOnce(Lifeline) -> bool + Send + 'static,
    ) -> Result<Starting, StartError> {
        let executor = Executor::new(caller);
        let registry = Registry::new(&settings, executor, Arc::new(SocketConnector));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name(ACTOR_THREAD.into()).spawn({
            let registry = registry.clone();
            move || run_actors(runtime, &registry, started)
        })?;
        Ok(Starting { registry, thread })
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

/// A supervisor whose thread was spawned and whose actors may not run yet.
struct Starting {
    registry: Arc<Registry>,
    thread: JoinHandle<()>,
}

impl Starting {
    fn finish(self, lifeline: Option<Lifeline>) -> Result<Supervisor, StartError> {
        // Without it the thread has panicked, and has said so.
        let mut lifeline =
            lifeline.ok_or_else(|| io::Error::other("the thread of the actors has ended"))?;
        lifeline.thread = Mutex::new(Some(self.thread));
        Ok(Supervisor {
            registry: self.registry,
            lifeline: Arc::new(lifeline),
        })
    }
}

/// Keeps the supervisor running as long as any handle lives.
#[derive(Debug)]
pub(crate) struct Lifeline {
    link: SupervisorLink,
    report: watch::Receiver<Option<ShutdownReport>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lifeline {
    async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.link.shutdown.do_send(Shutdown { grace });
        let mut report = self.report.clone();
        let report = match report.wait_for(Option::is_some).await {
            Ok(report) => report.unwrap_or_default(),
            // The thread has panicked; it has nothing to report.
            Err(_) => ShutdownReport::default(),
        };
        // Held while it is joined, so that whoever returns from here finds the thread gone. It has
        // reported as its last act, so that takes no longer than its exit.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
        report
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        // Nobody is left to wait for a reply.
        let grace = Duration::ZERO;
        self.link.shutdown.do_send(Shutdown { grace });
    }
}

/// Runs the actors until the supervisor has stopped.
fn run_actors(runtime: Runtime, registry: &Arc<Registry>, started: impl FnOnce(Lifeline) -> bool) {
    let (sender, report) = watch::channel(None);
    let mut exit = Exit {
        registry: registry.clone(),
        sender,
        report: ShutdownReport::default(),
    };
    let system = actix_rt::System::with_tokio_rt(|| runtime);
    exit.report = system.block_on(async {
        let (link, stopped) = SupervisorActor::launch(registry.clone());
        let lifeline = Lifeline {
            link,
            report,
            thread: Mutex::new(None),
        };
        // Whoever asked for the supervisor may have gone; then dropping the lifeline, here or on
        // its way, stops it.
        started(lifeline);
        stopped.await.unwrap_or_default()
    });
}

/// What the thread does at its end, also when it panics: it is dropped after the actors.
struct Exit {
    registry: Arc<Registry>,
    sender: watch::Sender<Option<ShutdownReport>>,
    report: ShutdownReport,
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.registry.close();
        self.registry.executor.shutdown();
        self.sender.send_replace(Some(self.report));
    }
}
