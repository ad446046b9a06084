//! The handle of one database.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use actix::Recipient;
use redis::{Cmd, FromRedisValue, Pipeline, RedisFuture, Value, aio::ConnectionLike};

use crate::{
    call::{CallEngine, CallOptions, Overrides, PipelineRun},
    error::Error,
    lease::Lease,
    lifeline::Lifeline,
    messages::Execute,
    policy::retry::Idempotence,
};

/// A handle of one named database: cheap to clone, safe to share, and never in need of
/// being replaced. It works as soon as the server does, and again when the server is back.
///
/// It is a [`redis::aio::ConnectionLike`], so everything that the `redis` crate offers works on
/// it: `redis::AsyncCommands`, [`Pipeline::query_async`], `redis::Script::invoke_async`. Its own
/// [`query`](Self::query), [`pipeline`](Self::pipeline) and [`execute`](Self::execute) give this
/// crate's [`Error`], which tells whether a failed command may have run.
///
/// Commands of all handles share pipelined connections. Those that may block (`BLPOP`, `XREAD BLOCK`
/// ...) run on a connection of their own, by themselves: they delay nobody, and have their own
/// timeout on top of the deadline. (`WAIT` and `WAITAOF` ask about the writes before them on the same
/// connection, and so they run in a pipeline behind those, or on a lease.) Commands that would change
/// the state of a shared connection are refused with [`Error::CommandRefused`]; a
/// [`lease`](Self::lease) may run them, and a [`transaction`](Self::transaction) watches keys.
///
/// # Deadlines and cancellation
///
/// Every command ends by the [command timeout](crate::DatabaseConfig::command_timeout) of the
/// database, counted from its call and with waiting for a connection included;
/// [`with_timeout`](Self::with_timeout) gives a handle with another one. A future may be dropped
/// at any point: a command that was not written yet is never sent, and the reply of one that was
/// is consumed and reaches nobody else. The futures need no particular runtime.
///
/// # Retries
///
/// A command that failed is sent again, within its deadline, where that is safe and may help: when
/// the server provably did not run it and may soon accept it (`LOADING`, `BUSY`, `MASTERDOWN`,
/// `CLUSTERDOWN`, `TRYAGAIN`, `NOREPLICAS`; over a new connection `READONLY` and `NOAUTH`), or when
/// the connection broke before the reply came and the command only reads, or the caller has said
/// that it is [`idempotent`](Self::idempotent). An error reply with a code that this crate does not
/// know, or of a script, is treated like a lost connection. There are at most three attempts, with
/// full jitter between them (8 and 16 ms at most), two after a lost connection or over a new one,
/// only while the circuit is closed, and on average only for a
/// fifth of the calls of the last ten seconds and ten a second, so that retries never multiply the
/// load on a server in trouble. (Waiting until a server has loaded is not rationed: nothing is sent
/// to it meanwhile.) The error tells how many attempts there were, and whether any of
/// them may have run.
///
/// Blocking commands, and those on a lease, are never sent again.
///
/// # Example
///
/// ```no_run
/// use redis::AsyncCommands;
/// use redis_steward::{Config, Supervisor};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let supervisor = Supervisor::spawn(Config::single("redis://localhost")).await?;
/// let mut main = supervisor.database("main")?;
/// main.set::<_, _, ()>("visits", 41).await?;
/// let visits: i64 = main.query(redis::cmd("INCR").arg("visits")).await?;
/// assert_eq!(visits, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    pub(crate) engine: CallEngine,
    pub(crate) overrides: Overrides,
    // The supervisor runs as long as a handle lives.
    lifeline: Arc<Lifeline>,
}

impl Database {
    pub(crate) fn new(engine: CallEngine, lifeline: Arc<Lifeline>) -> Self {
        Self {
            overrides: Overrides::default(),
            engine,
            lifeline,
        }
    }

    /// The name under which the database was configured.
    pub fn name(&self) -> &str {
        &self.engine.state.name
    }

    /// The same database with another deadline for each command, counted from its call.
    ///
    /// It holds for everything that is done with that handle: for blocking commands too, which
    /// otherwise may take as long as their own timeout says, and for waiting for a lease, unless the
    /// [acquire timeout](crate::DatabaseConfig::acquire_timeout) is shorter. A timeout of zero lets no
    /// command through; there is no "for ever", and more than a year is taken as a year.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.with_overrides(self.overrides.with_timeout(timeout))
    }

    /// The same database for commands that may run twice: they are sent again also when nobody knows
    /// whether they ran, because the connection broke before the reply came.
    ///
    /// Commands that only read are taken as such anyway. Writes that merely set something may seem to
    /// be, too, but others may have written in between, and a reply such as that of `SET NX` or `DEL`
    /// is another the second time; so it is the caller's decision.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let heartbeats = main.idempotent();
    /// heartbeats.query::<()>(redis::cmd("SET").arg("alive").arg(1).arg("EX").arg(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn idempotent(&self) -> Self {
        self.with_overrides(self.overrides.with_idempotence(Idempotence::Yes))
    }

    /// The same database for commands that must not run twice, also if they only read. What the
    /// server has certainly not run is sent again all the same.
    #[must_use]
    pub fn not_idempotent(&self) -> Self {
        self.with_overrides(self.overrides.with_idempotence(Idempotence::No))
    }

    /// How a call is run under the present settings.
    pub(crate) fn options(&self) -> CallOptions {
        self.engine.options(self.overrides)
    }

    fn with_overrides(&self, overrides: Overrides) -> Self {
        Self {
            overrides,
            ..self.clone()
        }
    }

    /// Runs one command and returns its reply as it came. An error reply is an error.
    ///
    /// # Errors
    ///
    /// Everything that [`Error`] lists for a command.
    pub async fn execute(&self, command: &Cmd) -> Result<Value, Error> {
        self.engine.execute(command, self.options()).await
    }

    /// Runs one command and converts its reply.
    ///
    /// # Errors
    ///
    /// Everything that [`Error`] lists for a command; [`Error::Conversion`] when the reply has
    /// another type.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let length: usize = main.query(redis::cmd("STRLEN").arg("greeting")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn query<T: FromRedisValue>(
        &self,
        command: impl std::borrow::Borrow<Cmd>,
    ) -> Result<T, Error> {
        let value = self.execute(command.borrow()).await?;
        self.engine.convert(value)
    }

    /// Runs a pipeline in one round trip and converts its replies, one per command. The commands
    /// are written contiguously; with [`Pipeline::atomic`] they are a transaction.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when a command of the pipeline failed: its
    /// [`into_server_errors`](redis::RedisError::into_server_errors) tells which, and the others
    /// ran. To get at their replies use [`Pipeline::ignore_errors`] with a
    /// `Vec<redis::RedisResult<_>>`. Otherwise as [`query`](Self::query).
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let (hits, misses): (i64, i64) = main
    ///     .pipeline(redis::pipe().atomic().incr("hits", 1).incr("misses", 0))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: impl std::borrow::Borrow<Pipeline>,
    ) -> Result<T, Error> {
        let mut run = PipelineRun::new(&self.engine, self.options());
        let replies = pipeline.borrow().query_async(&mut run).await;
        replies.map_err(|error| run.explain(error))
    }

    /// A connection that nobody else uses until the lease is dropped: for `WATCH`, `SELECT`, `CLIENT
    /// TRACKING`, and whatever else concerns a connection. Blocking commands need none; they get one by
    /// themselves.
    ///
    /// It waits at most the [acquire timeout](crate::DatabaseConfig::acquire_timeout) of the database,
    /// or the timeout of a handle that has [one of its own](Self::with_timeout), whichever is shorter;
    /// first come, first served. At most
    /// [`max_connections`](crate::DatabaseConfig::max_connections) less the shared ones are leased at a
    /// time. Dropping the future is safe: a connection that is on its way goes to the
    /// next who waits.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] at [`Stage::Acquire`](crate::Stage::Acquire), with the state of the pool and
    /// why the last attempt to connect failed; [`Error::Overloaded`] when too many wait already;
    /// [`Error::CircuitOpen`] and the like as for a command.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let mut lease = main.lease().await?;
    /// lease.query::<()>(redis::cmd("SELECT").arg(3)).await?;
    /// let keys: usize = lease.query(redis::cmd("DBSIZE")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn lease(&self) -> impl Future<Output = Result<Lease, Error>> + Send + 'static {
        self.lease_for(Location::caller())
    }

    pub(crate) fn lease_for(
        &self,
        by: &'static Location<'static>,
    ) -> impl Future<Output = Result<Lease, Error>> + Send + 'static {
        let (engine, lifeline) = (self.engine.clone(), self.lifeline.clone());
        Lease::acquire(engine, self.overrides, lifeline, by)
    }

    /// An address for other actix actors, which send it [`Execute`] and get the reply. It is the
    /// pool's, so a command takes one hop more than a call on the handle. Who drops the request gives
    /// the command up, as with a future of the handle; what was sent with `do_send` runs to its end.
    ///
    /// It does not keep the supervisor running. It is closed once the pool has ended: after a
    /// shutdown, and after a crash of the pool, where asking again gives the address of its successor.
    pub fn recipient(&self) -> Recipient<Execute> {
        let pool = self.engine.state.pool.load();
        let pool = pool.as_ref().expect("BUG: a handle exists before its pool");
        pool.execute.clone()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.name())
            .field("timeout", &self.options().timeout)
            .field("idempotence", &self.overrides.idempotence)
            .finish_non_exhaustive()
    }
}

/// Commands run as with [`Database::execute`]; an [`Error`] becomes a [`redis::RedisError`].
impl ConnectionLike for Database {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        // Without the layer of a future that `execute` is.
        Box::pin(async move { Ok(self.engine.execute(command, self.options()).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut run = PipelineRun::new(&self.engine, self.options());
            run.req_packed_commands(pipeline, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        self.engine.state.settings.load().number
    }
}
