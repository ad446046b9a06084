//! The handle of a database for threads without a runtime.
//!
//! A blocking call runs the async call of [`Database`] on the calling thread.
//!
//! - this file: [`BlockingDatabase`] · `lease`: [`BlockingLease`] · `connection`: the handle as a
//!   connection of the `redis` crate
//! - `context`: whether a thread may be blocked · `wait`: `block_on` · `packed`: commands from bytes

mod connection;
mod context;
mod lease;
mod packed;
mod subscription;
mod wait;

use std::{borrow::Borrow, fmt, future::Future, panic::Location, pin::pin, time::Duration};

use redis::{Cmd, FromRedisValue, Pipeline, Value};

pub use lease::BlockingLease;
pub use subscription::BlockingSubscription;

use crate::{
    call::{CallEngine, CallOptions},
    database::Database,
    error::Error,
    events::HealthState,
    execution::{Execution, Source},
};

/// A handle of one named database for threads without a runtime: every call blocks its thread until
/// it ends.
///
/// [`Database::blocking`] returns it. It is cheap to clone, safe to share, and never has to be replaced.
///
/// It is a [`redis::ConnectionLike`], so that the `redis` crate's commands, pipelines and scripts work on it:
/// `redis::Commands`, [`Cmd::query`], [`Pipeline::query`], `redis::Script::invoke`, iterators of scans.
/// Its own [`query`](Self::query), [`pipeline`](Self::pipeline) and [`execute`](Self::execute) return
/// this crate's [`Error`], which tells whether a failed command may have run.
///
/// Commands run as on the [`Database`], over the same connections. Deadlines, the circuit, retries and
/// refusals are the same. Threads that share a database share its pipelined connections and need no
/// pool. Commands that are refused here may run on a [`lease`](Self::lease). One example is
/// `redis::transaction`, which begins with `WATCH`.
///
/// # Where it may be called
///
/// On any thread that does not run an async task: plain threads, tokio's `spawn_blocking` and
/// `block_in_place`, actix' `web::block`. In an async task, a call would block all tasks of the thread.
/// It therefore fails at once with [`Error::WouldBlockRuntime`]. That includes local tasks and the root
/// future of a `block_on`. Tasks of other runtimes than tokio, and futures in
/// `tokio::task::unconstrained`, look like plain threads and are not recognised.
///
/// # Deadlines
///
/// A call ends by the deadline of its handle, as on the [`Database`]. The connection enforces it. If
/// the runtime of the connection makes no progress, the call gives up one second after the deadline
/// with [`Stage::Runtime`](crate::Stage::Runtime) in its [`Error::TimedOut`]. That happens with a
/// current-thread runtime that is not driven, or one whose threads are all blocked. A call cannot be
/// cancelled otherwise.
///
/// # Example
///
/// ```no_run
/// use std::thread;
///
/// use redis::Commands;
/// use redis_steward::{Config, Supervisor};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Connections run on a thread of the crate's own: nothing here is async.
/// let supervisor = Supervisor::spawn_blocking(Config::single("redis://localhost"))?;
/// let main = supervisor.database("main")?.blocking();
/// thread::scope(|scope| {
///     for _ in 0..4 {
///         let mut main = main.clone();
///         scope.spawn(move || main.incr::<_, _, i64>("visits", 1));
///     }
/// });
/// let visits: i64 = main.query(redis::cmd("GET").arg("visits"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BlockingDatabase {
    database: Database,
}

impl Database {
    /// The same database for threads without a runtime, with the deadline and the idempotence of this
    /// handle. It works on plain threads and in `spawn_blocking`. In an async task its calls fail with
    /// [`Error::WouldBlockRuntime`].
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), Box<dyn std::error::Error>> {
    /// use redis::Commands;
    ///
    /// let mut main = main.blocking();
    /// std::thread::spawn(move || main.incr::<_, _, i64>("visits", 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn blocking(&self) -> BlockingDatabase {
        BlockingDatabase::new(self.clone())
    }
}

/// The time beyond its deadline after which a call ends by itself. Normally the connection ends the
/// call, because only the connection knows whether the command was written. A second is enough for
/// that on a machine under load; a runtime that needs longer is not driven.
const PATIENCE: Duration = Duration::from_secs(1);

impl BlockingDatabase {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The name under which the database was configured.
    pub fn name(&self) -> &str {
        self.database.name()
    }

    /// What is known of the database now: see [`Database::state`]. It blocks for nothing.
    pub fn state(&self) -> HealthState {
        self.database.state()
    }

    /// The same database with another timeout for each call: see [`Database::with_timeout`].
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self::new(self.database.with_timeout(timeout))
    }

    /// The same database, whose calls wait while it is down: see [`Database::patient`].
    #[must_use]
    pub fn patient(&self) -> Self {
        Self::new(self.database.patient())
    }

    /// The same database, whose calls fail at once while it is down: see [`Database::impatient`].
    #[must_use]
    pub fn impatient(&self) -> Self {
        Self::new(self.database.impatient())
    }

    /// The same database for commands that may run twice: see [`Database::idempotent`].
    #[must_use]
    pub fn idempotent(&self) -> Self {
        Self::new(self.database.idempotent())
    }

    /// The same database for commands that must not run twice: see [`Database::not_idempotent`].
    #[must_use]
    pub fn not_idempotent(&self) -> Self {
        Self::new(self.database.not_idempotent())
    }

    /// Runs one command and returns its reply unconverted. An error reply is an error.
    ///
    /// # Errors
    ///
    /// As [`Database::execute`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn execute(&self, command: &Cmd) -> Result<Value, Error> {
        let patience = self.longest(|| [command])?;
        self.wait(patience, || self.database.execute(command))
    }

    /// Runs one command and converts its reply.
    ///
    /// # Errors
    ///
    /// As [`Database::query`], and [`Error::WouldBlockRuntime`] in an async task.
    ///
    /// ```no_run
    /// # fn example(main: redis_steward::BlockingDatabase) -> Result<(), redis_steward::Error> {
    /// let length: usize = main.query(redis::cmd("STRLEN").arg("greeting"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn query<T: FromRedisValue>(&self, command: impl Borrow<Cmd>) -> Result<T, Error> {
        let patience = self.longest(|| [command.borrow()])?;
        self.wait(patience, || self.database.query(command))
    }

    /// Runs one command, and tells where its reply comes from: see [`Database::query_with_source`].
    ///
    /// # Errors
    ///
    /// As [`Database::query_with_source`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn query_with_source<T: FromRedisValue>(
        &self,
        command: impl Borrow<Cmd>,
    ) -> Result<(T, Source), Error> {
        let patience = self.longest(|| [command.borrow()])?;
        self.wait(patience, || self.database.query_with_source(command))
    }

    /// Runs a pipeline in one round trip and converts its replies, one per command. The commands
    /// are written contiguously; with [`Pipeline::atomic`] they are a transaction.
    ///
    /// # Errors
    ///
    /// As [`Database::pipeline`], and [`Error::WouldBlockRuntime`] in an async task.
    ///
    /// ```no_run
    /// # fn example(main: redis_steward::BlockingDatabase) -> Result<(), redis_steward::Error> {
    /// let (hits, misses): (i64, i64) = main
    ///     .pipeline(redis::pipe().atomic().incr("hits", 1).incr("misses", 0))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pipeline<T: FromRedisValue>(&self, pipeline: impl Borrow<Pipeline>) -> Result<T, Error> {
        let patience = self.longest(|| pipeline.borrow().cmd_iter())?;
        self.wait(patience, || self.database.pipeline(pipeline))
    }

    /// Leases a connection for this caller alone, until the lease is dropped: see [`Database::lease`].
    ///
    /// # Errors
    ///
    /// As [`Database::lease`], and [`Error::WouldBlockRuntime`] in an async task.
    ///
    /// ```no_run
    /// # fn example(main: redis_steward::BlockingDatabase) -> Result<(), redis_steward::Error> {
    /// let mut lease = main.lease()?;
    /// lease.query::<()>(redis::cmd("SELECT").arg(3))?;
    /// let keys: usize = lease.query(redis::cmd("DBSIZE"))?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn lease(&self) -> Result<BlockingLease, Error> {
        let by = Location::caller();
        let engine = &self.database.engine;
        let usual = engine.state.settings.load().acquire_timeout;
        let patience = self.database.options().acquire_timeout(usual);
        let stalled = || engine.stalled(patience, Execution::NotSent);
        let lease = wait(engine, patience, stalled, || self.database.lease_by(by))?;
        Ok(BlockingLease::new(lease))
    }

    /// Makes an async call on the handle and waits for its end.
    fn wait<T, E, F>(&self, patience: Duration, call: impl FnOnce() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let database = &self.database;
        wait_for_reply(&database.engine, database.options(), patience, call)
    }

    fn longest<'a, I>(&self, commands: impl Fn() -> I) -> Result<Duration, Error>
    where
        I: IntoIterator<Item = &'a Cmd>,
    {
        let database = &self.database;
        longest(&database.engine, database.options(), commands)
    }
}

/// The longest time that commands may take. The server is asked first about unknown ones: they may block.
fn longest<'a, I>(
    engine: &CallEngine,
    options: CallOptions,
    commands: impl Fn() -> I,
) -> Result<Duration, Error>
where
    I: IntoIterator<Item = &'a Cmd>,
{
    for command in commands() {
        if engine.is_unknown(command) {
            wait_for_reply(engine, options, options.timeout, || {
                engine.learn(command, &options)
            })?;
        }
    }
    Ok(engine.longest(commands(), options))
}

/// Makes an async call that sends commands, and waits for its end.
fn wait_for_reply<T, E, F>(
    engine: &CallEngine,
    options: CallOptions,
    patience: Duration,
    call: impl FnOnce() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: From<Error>,
{
    let stalled = || engine.stalled(options.timeout, Execution::Unknown);
    wait(engine, patience, stalled, call)
}

/// Makes an async call and waits for its end, unless that would block a runtime. If it has not ended a
/// second after `patience`, its result is `stalled`.
fn wait<T, E, F>(
    engine: &CallEngine,
    patience: Duration,
    stalled: impl FnOnce() -> Error,
    call: impl FnOnce() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: From<Error>,
{
    if context::is_async() {
        return Err(engine.would_block_runtime().into());
    }
    // A call that is given up is dropped here. If it was not written yet, it never is.
    wait::block_on(pin!(call()), patience.saturating_add(PATIENCE))
        .unwrap_or_else(|| Err(stalled().into()))
}

impl fmt::Debug for BlockingDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = &self.database;
        f.debug_tuple("BlockingDatabase").field(database).finish()
    }
}
