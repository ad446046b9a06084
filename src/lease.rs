//! A connection leased to one caller.

use std::{borrow::Borrow, fmt, panic::Location, sync::Arc};

use redis::{
    AsyncHotkeysCommands, Cmd, FromRedisValue, Pipeline, RedisFuture, Value, aio::ConnectionLike,
    cmd,
};

use crate::{
    call::{CallEngine, CallOptions, Overrides, PipelineRun},
    error::Error,
    lifeline::Lifeline,
    messages::Grant,
    net::PushSink,
    state::clock,
};

/// A connection of a [`Database`](crate::Database) for one caller alone, until this is dropped.
///
/// [`Database::lease`](crate::Database::lease) returns it, and a
/// [`transaction`](crate::Database::transaction) lends one to its body. Leases and blocking commands
/// share the connections that [`max_connections`](crate::DatabaseConfig::max_connections) leaves beside
/// the shared ones.
///
/// It is a [`redis::aio::ConnectionLike`], so that typed commands, pipelines and scripts of the `redis` crate
/// work on it. Functions of that crate that clone their connection, such as `redis::aio::transaction_async`,
/// take a [`SharedLease`](crate::SharedLease), which [`into_shared`](Self::into_shared) makes of it.
///
/// # Permitted commands
///
/// A lease may run commands that are refused on a shared connection: `SELECT`, `WATCH`, `MULTI`, `CLIENT
/// TRACKING` … Still refused are commands after which replies could not be matched (`MONITOR`, `CLIENT
/// REPLY` …), and commands that administer the server, unless
/// [`allow_admin`](crate::DatabaseConfig::allow_admin) is set.
///
/// `SUBSCRIBE` and its like are confirmed, but only as single commands and not in a pipeline. There is
/// no way to read messages: they are dropped; [`Database::subscribe`](crate::Database::subscribe) reads them. In RESP2 a connection with subscriptions runs next to no
/// other commands.
///
/// # Giving back
///
/// Dropping a lease gives its connection back. The connection is closed instead if the next caller would
/// notice a difference: its state was changed (`SELECT`), a transaction is open, or a command was given
/// up before its reply. Another connection is opened when one is needed. So no caller finds the `SELECT`,
/// the `WATCH` or a reply of another caller. The price is that a lease for each `SELECT` opens a
/// connection each time.
///
/// A server that refuses a command because it has become a replica (`READONLY`) may not be the right one any more. When the lease is
/// dropped, all leased connections are then replaced: at once, and if that goes on, at most every 100 ms to 2 s. The connection to one
/// that is loading is closed.
///
/// A lease that is never dropped keeps its connection.
/// [`leak_warning`](crate::DatabaseConfig::leak_warning), off by default, logs leases that are held for
/// long. A [shutdown](crate::Supervisor::shutdown) refuses further commands. It waits for a command in
/// flight until its grace is over, and for a lease without one for a second, and then closes the connection.
///
/// # Deadlines, failures and cancellation
///
/// Each command has the timeout of the handle that leased the connection, and a blocking command its own
/// timeout on top. The lease keeps the options that it began with, also if settings change meanwhile.
///
/// Commands on a lease are never retried, because the state of a lost connection is lost with it. One
/// exception is invisible: a connection that turns out to be broken before its first command is replaced.
///
/// Commands are refused while the circuit of the database is open, unless the connection was leased from a
/// [patient](crate::Database::patient) handle. They are evidence for the circuit, as those of a handle are,
/// except for blocking ones.
///
/// A future of a lease may be dropped at any point. The connection is then closed when the lease is
/// dropped, if a reply is outstanding.
#[must_use = "the connection is given back when this is dropped"]
pub struct Lease {
    engine: CallEngine,
    grant: Grant,
    options: CallOptions,
    // Never read: the supervisor runs as long as a lease lives.
    _lifeline: Arc<Lifeline>,
}

impl Lease {
    pub(crate) async fn acquire(
        engine: CallEngine,
        overrides: Overrides,
        lifeline: Arc<Lifeline>,
        by: &'static Location<'static>,
    ) -> Result<Self, Error> {
        let grant = engine.acquire(engine.options(overrides), Some(by)).await?;
        Ok(Self::of(engine, grant, overrides, lifeline))
    }

    /// A connection that was granted. The lease keeps the options that it begins with.
    pub(crate) fn of(
        engine: CallEngine,
        grant: Grant,
        overrides: Overrides,
        lifeline: Arc<Lifeline>,
    ) -> Self {
        Self {
            options: engine.options(overrides).at_node(),
            engine,
            grant,
            _lifeline: lifeline,
        }
    }

    /// The same under these options.
    pub(crate) fn under(self, options: CallOptions) -> Self {
        Self { options, ..self }
    }

    /// From now on, all commands together have the timeout of the handle.
    pub(crate) fn begin(&mut self) {
        self.options = self.options.counted_from(clock::now());
    }

    /// The engine and the options of its calls.
    pub(crate) fn options(&self) -> (CallEngine, CallOptions) {
        (self.engine.clone(), self.options)
    }

    /// Hands all later pushes of the connection to this sink, in order with the replies, the confirmations of
    /// subscriptions included. The sink is dropped when the connection ends.
    pub(crate) async fn listen(&mut self, sink: Box<dyn PushSink>) -> Result<(), Error> {
        // A connection that turns out to be broken before its first command is replaced, and the other one
        // would lack the sink.
        self.execute(&cmd("PING")).await?;
        self.grant.listen(sink);
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.grant.is_open()
    }

    /// The name under which the database was configured.
    pub fn name(&self) -> &str {
        &self.engine.state.name
    }

    /// Runs one command and returns its reply unconverted. An error reply is an error.
    ///
    /// The reply to `SUBSCRIBE` and its like is an array with one confirmation per channel. A command with
    /// [`Cmd::set_no_response`] is sent, and the call returns `Nil` at once; without a later command that is
    /// answered, the connection is closed with the lease.
    ///
    /// # Errors
    ///
    /// As [`Database::execute`](crate::Database::execute), except that fewer commands are refused. After
    /// [`Error::ConnectionLost`] or [`Error::Abandoned`] all later commands fail: take another lease.
    pub async fn execute(&mut self, command: &Cmd) -> Result<Value, Error> {
        let options = self.options;
        self.execute_under(command, &options).await
    }

    /// [`execute`](Self::execute) with other options.
    pub(crate) async fn execute_under(
        &mut self,
        command: &Cmd,
        options: &CallOptions,
    ) -> Result<Value, Error> {
        let grant = &mut self.grant;
        self.engine.execute_on(grant, command, options).await
    }

    /// Runs one command and converts its reply.
    ///
    /// # Errors
    ///
    /// As [`Database::query`](crate::Database::query).
    pub async fn query<T: FromRedisValue>(
        &mut self,
        command: impl Borrow<Cmd>,
    ) -> Result<T, Error> {
        let value = self.execute(command.borrow()).await?;
        self.engine.convert(value)
    }

    /// Runs a pipeline in one round trip and converts its replies, one per command.
    ///
    /// # Errors
    ///
    /// As [`Database::pipeline`](crate::Database::pipeline). Subscriptions are refused in a pipeline.
    pub async fn pipeline<T: FromRedisValue>(
        &mut self,
        pipeline: impl Borrow<Pipeline>,
    ) -> Result<T, Error> {
        let mut run = PipelineRun::on(&self.engine, &mut self.grant, self.options);
        let replies = pipeline.borrow().query_async(&mut run).await;
        replies.map_err(|error| run.explain(error))
    }

    /// Runs an atomic pipeline, and returns all its replies.
    pub(crate) async fn transact(&mut self, transaction: &Pipeline) -> Result<Vec<Value>, Error> {
        let grant = &mut self.grant;
        self.engine
            .transact_on(grant, transaction, self.options)
            .await
    }

    pub(crate) fn grant(&mut self) -> &mut Grant {
        &mut self.grant
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("database", &self.name())
            .finish_non_exhaustive()
    }
}

/// Commands run as with [`Lease::execute`]; an [`Error`] becomes a [`redis::RedisError`].
impl ConnectionLike for Lease {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.execute(command).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut run = PipelineRun::on(&self.engine, &mut self.grant, self.options);
            run.req_packed_commands(pipeline, offset, count).await
        })
    }

    /// The configured number of the database. A `SELECT` on the lease does not change it.
    fn get_db(&self) -> i64 {
        self.engine.state.settings.load().number
    }
}

/// `START`, `STOP` and `RESET` concern the whole server, so they need
/// [`allow_admin`](crate::DatabaseConfig::allow_admin).
impl AsyncHotkeysCommands for Lease {}
