//! The handle of a database.

mod cached;
mod connection;
mod health;
mod leasing;

use std::{fmt, sync::Arc, time::Duration};

use actix::Recipient;
use redis::{Cmd, FromRedisValue, Pipeline, Value};

use crate::{
    call::{CallEngine, CallOptions, Overrides, PipelineRun},
    error::Error,
    execution::Source,
    lifeline::Lifeline,
    messages::Execute,
    policy::retry::Idempotence,
};

/// A handle of one named database.
///
/// [`Supervisor::database`](crate::Supervisor::database) returns it. It is cheap to clone, safe to
/// share, and never has to be replaced: it works as soon as the server does, and again when the server
/// is back after an outage. The supervisor runs as long as a handle exists.
///
/// It is a [`redis::aio::ConnectionLike`], so that the `redis` crate's typed commands, pipelines and scripts
/// work on it: `redis::AsyncCommands`, [`Pipeline::query_async`], `redis::Script::invoke_async`. Its own
/// methods return this crate's [`Error`], which tells whether a failed command may have run.
///
/// | to run | use | connection |
/// |---|---|---|
/// | a command | [`query`](Self::query), [`execute`](Self::execute), or `redis::AsyncCommands` | shared |
/// | several commands in one round trip | [`pipeline`](Self::pipeline) | shared |
/// | a command that blocks (`BLPOP`, `XREAD BLOCK` …) | the same | one of its own, automatically |
/// | `WATCH`, reads and writes as one | [`transaction`](Self::transaction) | leased |
/// | commands that change a connection (`SELECT` …) | [`lease`](Self::lease) | leased |
/// | a handler for each entry of a stream | [`consumer`](Self::consumer) | shared; leased while it waits |
/// | commands on threads without a runtime | [`blocking`](Self::blocking) | the same |
/// | all keys | [`scan`](Self::scan) | shared |
/// | messages of channels | [`subscribe`](Self::subscribe) and its like | one for all subscribers |
/// | commands of other actix actors | [`recipient`](Self::recipient) | the same |
///
/// # Connections
///
/// The commands of all handles share pipelined connections: one by default, more if
/// [configured](crate::DatabaseConfig::shared_connections). Blocking commands move to a connection of
/// their own automatically, and delay no other command. `WAIT` and `WAITAOF` ask about the writes before
/// them on the same connection; run them in a pipeline behind these writes, or on a lease. Commands that
/// would change the state of a shared connection are refused with [`Error::CommandRefused`] before a
/// byte is written. Commands that only state how each of them is anyway run: `UNWATCH`, which pools of
/// other crates send with a `PING` whenever they lend a connection, `READWRITE`, `HELLO` without a version,
/// `CLIENT NO-EVICT OFF`, `CLIENT NO-TOUCH OFF`, `CLIENT TRACKING OFF`, `CLIENT REPLY ON`, and `SELECT` of the
/// number of this database.
///
/// A command with [`Cmd::set_no_response`] is sent, and its call returns `Nil` at once. Errors after that
/// reach no caller, and it is not retried. A command that blocks is waited for all the same.
///
/// # Order
///
/// With one shared connection, commands are written in the order in which their calls were made, that is: in
/// which their futures were first polled. That holds while the connection is opened, lost or replaced, and
/// through a restart of the server, so a caller may make several calls before it awaits the first. Retries,
/// blocking commands, and calls that waited at an open or half-open circuit are outside of this order. With several shared connections there is none; use a
/// [`pipeline`](Self::pipeline) there. While an old connection does not finish within 250 ms, its
/// successor does not wait for it.
///
/// In a cluster, all of that holds for the calls of one task for one slot, where nodes have [one shared
/// connection](crate::DatabaseConfig::shared_connections) each. They also keep their order while the slot moves to another node:
/// calls that are made in that moment wait until the old node has answered the earlier ones, for at most the attempt
/// timeout, and until their tasks have followed its redirects. A future that is kept and not polled holds later calls for
/// its slot up for 1 s.
///
/// # Deadlines and cancellation
///
/// Every call ends by its deadline: the [command
/// timeout](crate::DatabaseConfig::command_timeout) of the database, 5 s by default, counted from the
/// call. It includes the wait for a connection and all retries. [`with_timeout`](Self::with_timeout)
/// returns a handle with another timeout. A blocking command may take its own timeout on top, and waits
/// for its connection at most for the [acquire
/// timeout](crate::DatabaseConfig::acquire_timeout).
///
/// A future may be dropped at any point. A command that was not written is never sent. A command that
/// was written may run, and its reply is discarded. The futures need no particular runtime.
///
/// Impatient callers do not hide a server that is down. A command that is unanswered at 0.8 times the
/// [attempt timeout](crate::DatabaseConfig::attempt_timeout) counts against the server, even if its
/// caller has given up by then.
///
/// # Retries
///
/// A failed command is sent again if that is safe and may help:
/// - Its connection broke before it was written.
/// - The server provably did not run it and may soon accept it: `BUSY`, `MASTERDOWN`, `CLUSTERDOWN`,
///   `TRYAGAIN`, `NOREPLICAS`; `LOADING`, once the server has loaded; `READONLY` and `NOAUTH`, over a
///   new connection.
/// - The connection broke before the reply, or the error code is unknown. Then the command may have run, so
///   it must be read-only or marked [`idempotent`](Self::idempotent).
///
/// An error of a script (`EVAL`, `FCALL` …) is never a reason: its author chooses the code. Nor is `ERR`,
/// with which proxies also answer after a command has run.
///
/// There are at most three attempts, and two after a lost connection or over a new one. They stay inside
/// the deadline, need a closed circuit (or a [`patient`](Self::patient) handle), and are taken from a retry budget. The pauses between them are
/// random, up to 8 ms and up to 16 ms ([full
/// jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)). The budget is a
/// fifth of the calls of the last ten seconds, plus ten per second (the defaults of Finagle and tower). So
/// retries add little load to a server in trouble. Waiting for a server that is loading costs no budget,
/// because nothing is sent meanwhile.
///
/// A blocking command is sent again only if its connection was lost, under the same conditions. `XREAD BLOCK`
/// only reads; `BLPOP` and its like may have popped an element whose reply was lost, so their callers get the
/// error. Commands on a lease are never retried. [`Error`] tells the number of attempts, and whether any of
/// them may have run.
///
/// # Commands that wait
///
/// A command may block for hours while its server, or the host of its server, vanishes without a word. Its
/// connection has a stricter [keepalive](crate::Keepalive) than others, so it is found dead within about ten
/// seconds. Besides, after the shared connections were lost and one is open again, the server is asked by
/// `CLIENT LIST ID` which of the other connections it still knows, until it answers, and the others are closed.
/// For that, a
/// connection asks by `CLIENT INFO` for its own id, in the same write as its first blocking command. Servers
/// before 6.2, and servers that refuse these questions, leave it to the keepalive.
///
/// # Unknown commands
///
/// This crate has reviewed all commands of redis-server 7.0, and those of later servers and modules. The
/// first use of any other name asks the server for the properties of the command, with `COMMAND INFO`:
/// - A blocking command gets a connection of its own, like `BLPOP`.
/// - A command that changes its connection is refused, and may run on a lease. A publish/subscribe
///   command is refused there, too.
/// - An error of a module's command tells nothing of its execution, as that of a script: it may have called
///   other commands before.
/// - Any other command runs as usual. So does every unknown command if the server may not be asked, for
///   instance because an ACL forbids `COMMAND INFO`.
///
/// The answer is remembered for the database, for up to 256 names, until a new connection is opened: that
/// may lead to another server. The question counts as a command in the
/// [statistics](crate::DatabaseStats), and shares the deadline of the command.
///
/// # Settings
///
/// A call reads its deadline and permissions once, when it begins. So handles follow a change of the configuration
/// ([`Supervisor::apply`](crate::Supervisor::apply)), also to another server. A handle stores only the overrides
/// made by [`with_timeout`](Self::with_timeout), [`patient`](Self::patient),
/// [`idempotent`](Self::idempotent) and their opposites.
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

    /// A handle of the same database with another timeout for each call, counted from the call.
    ///
    /// Default: the [command timeout](crate::DatabaseConfig::command_timeout). Range: up to 1 year; more
    /// counts as a year. With zero, every command times out and none is sent.
    ///
    /// The timeout is strict: it also limits blocking commands, which otherwise may take their own timeout
    /// on top, and the wait for a lease, unless the [acquire
    /// timeout](crate::DatabaseConfig::acquire_timeout) is shorter.
    ///
    /// A short timeout does not harm other callers. A call that times out counts against the server only
    /// if its reply is still missing at 0.8 times the [attempt
    /// timeout](crate::DatabaseConfig::attempt_timeout).
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// use std::time::Duration;
    ///
    /// let quick = main.with_timeout(Duration::from_millis(50));
    /// let cached: Option<String> = quick.query(redis::cmd("GET").arg("page:1")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.with_overrides(self.overrides.with_timeout(timeout))
    }

    /// A handle of the same database for commands that may run twice. They are retried even if they may
    /// have run, for instance because the connection broke before the reply.
    ///
    /// By default, only read-only commands are. A plain `SET` may seem idempotent, but another client may
    /// write between its two runs, and the second reply of `SET NX` or `DEL` differs from the first. So
    /// this is the caller's decision.
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

    /// A handle of the same database for commands that must not run twice, read-only ones included.
    ///
    /// Commands that the server provably did not run are still retried. Use it for commands that are
    /// read-only by name but expensive.
    #[must_use]
    pub fn not_idempotent(&self) -> Self {
        self.with_overrides(self.overrides.with_idempotence(Idempotence::No))
    }

    /// A handle of the same database whose calls wait while the database is down, each until its deadline,
    /// instead of failing at once. The default is [`when_down`](crate::DatabaseConfig::when_down).
    ///
    /// At most [`max_parked`](crate::DatabaseConfig::max_parked) calls wait for the circuit; further ones fail with
    /// [`Error::Overloaded`]. When the circuit is half-open, some pass as trials, the oldest first, and when it
    /// closes, all do. A call whose command may have run is not repeated because of this: see
    /// [Retries](Self#retries). A lease waits for recovery until its [acquire
    /// timeout](crate::DatabaseConfig::acquire_timeout). A database that was
    /// [isolated](crate::Supervisor::isolate) or given up refuses these calls, too.
    ///
    /// ```no_run
    /// # async fn example(jobs: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// use std::time::Duration;
    ///
    /// // It survives an outage of up to a minute.
    /// let jobs = jobs.patient().with_timeout(Duration::from_secs(60));
    /// jobs.query::<()>(redis::cmd("LPUSH").arg("jobs").arg("resize:42")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn patient(&self) -> Self {
        self.with_overrides(self.overrides.with_patience(true))
    }

    /// A handle of the same database whose calls fail at once while the database is down, whatever
    /// [`when_down`](crate::DatabaseConfig::when_down) says.
    #[must_use]
    pub fn impatient(&self) -> Self {
        self.with_overrides(self.overrides.with_patience(false))
    }

    /// Whether its keys are at the nodes of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        let settings = self.engine.state.settings.load();
        settings.address.is_cluster()
    }

    /// A handle whose errors keep the texts of the server: for a front, which sends them to whoever sent the
    /// command.
    pub(crate) fn with_texts(&self) -> Self {
        self.with_overrides(self.overrides.with_texts())
    }

    /// A handle of the same database for a part of this crate, which has options of its own.
    pub(crate) fn without_overrides(&self) -> Self {
        self.with_overrides(Overrides::default())
    }

    /// Runs an atomic pipeline, and returns all its replies.
    pub(crate) async fn transact(&self, transaction: &Pipeline) -> Result<Vec<Value>, Error> {
        self.engine.transact(transaction, self.options()).await
    }

    /// What keeps the supervisor running.
    pub(crate) fn lifeline(&self) -> &Arc<Lifeline> {
        &self.lifeline
    }

    /// The options of a call under the present settings.
    pub(crate) fn options(&self) -> CallOptions {
        self.engine.options(self.overrides)
    }

    fn with_overrides(&self, overrides: Overrides) -> Self {
        Self {
            overrides,
            ..self.clone()
        }
    }

    /// Runs one command and returns its reply unconverted. An error reply is an error.
    ///
    /// # Errors
    ///
    /// - [`Error::CircuitOpen`], [`Error::Isolated`], [`Error::Failed`], [`Error::ShuttingDown`]: the
    ///   database is out of use.
    /// - [`Error::Overloaded`]: a limit of this process was reached.
    /// - [`Error::CommandRefused`]: the command may not run on a shared connection.
    /// - [`Error::TimedOut`], [`Error::ConnectionLost`], [`Error::Abandoned`]: the call was interrupted;
    ///   [`Error::execution`] tells whether the command may have run.
    /// - [`Error::Server`]: the server answered with an error.
    pub async fn execute(&self, command: &Cmd) -> Result<Value, Error> {
        self.engine.execute(command, &self.options()).await
    }

    /// Runs one command and converts its reply.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), and [`Error::Conversion`] if the reply does not fit the type.
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

    /// Runs one command as [`query`](Self::query) does, and tells where its reply comes from: from the server, or
    /// from the store of a [`Fallback`](crate::Fallback).
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query). Of an error of a command that the store has run, such as one for a value of another
    /// type, the execution is [`NotSent`](crate::Execution::NotSent): the server knows nothing of it.
    ///
    /// ```no_run
    /// # async fn example(chats: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// use redis_steward::Source;
    ///
    /// let (state, source): (Option<String>, _) = chats
    ///     .query_with_source(redis::cmd("GET").arg("thread_state:7"))
    ///     .await?;
    /// if state.is_none() && source == Source::Memory {
    ///     // The server may have it, and is away.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn query_with_source<T: FromRedisValue>(
        &self,
        command: impl std::borrow::Borrow<Cmd>,
    ) -> Result<(T, Source), Error> {
        let (value, source) = self
            .engine
            .execute_from(command.borrow(), &self.options())
            .await?;
        Ok((self.engine.convert(value)?, source))
    }

    /// Runs a pipeline in one round trip and converts its replies, one per command.
    ///
    /// The commands are written contiguously, and run in their order. Other clients' commands may run
    /// between them, unless [`Pipeline::atomic`] makes them a transaction. The pipeline has one deadline
    /// and counts as one command, and is retried only as a whole.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] if a command of the pipeline failed. Its
    /// [`into_server_errors`](redis::RedisError::into_server_errors) tells which; the others ran. To get
    /// their replies, use [`Pipeline::ignore_errors`] with a `Vec<redis::RedisResult<_>>`. Otherwise as
    /// [`query`](Self::query); a single command that may not run refuses the whole pipeline.
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
        Ok(self.pipeline_with_source(pipeline).await?.0)
    }

    /// Runs a pipeline as [`pipeline`](Self::pipeline) does, and tells where its replies come from. All of them come
    /// from the same place.
    ///
    /// # Errors
    ///
    /// As [`pipeline`](Self::pipeline).
    pub async fn pipeline_with_source<T: FromRedisValue>(
        &self,
        pipeline: impl std::borrow::Borrow<Pipeline>,
    ) -> Result<(T, Source), Error> {
        let mut run = PipelineRun::new(&self.engine, self.options());
        match pipeline.borrow().query_async(&mut run).await {
            Ok(replies) => Ok((replies, run.source())),
            Err(error) => Err(run.explain(error)),
        }
    }

    /// An actix address that runs [`Execute`] messages. Other actors can hold it without knowing the type
    /// of an actor of this crate.
    ///
    /// A message takes one hop more than a call on the handle. Dropping the request cancels the command,
    /// as dropping a future of the handle does. A command sent with `do_send` runs to its end.
    ///
    /// At most [`max_in_flight`](crate::DatabaseConfig::max_in_flight) messages are under way at a time. One
    /// more is answered with [`Error::Overloaded`], and with `do_send` it is dropped and counted as
    /// [refused](crate::DatabaseStats::refused). Commands of messages run at the same time, in no order.
    ///
    /// The address does not keep the supervisor running. It closes at a shutdown.
    pub fn recipient(&self) -> Recipient<Execute> {
        let relay = self.engine.state.relay.load();
        let relay = relay
            .as_deref()
            .expect("BUG: a handle exists before its relay");
        relay.clone()
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
