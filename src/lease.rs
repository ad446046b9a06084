//! A connection that one caller has for a while.

use std::{borrow::Borrow, fmt, panic::Location, sync::Arc};

use redis::{Cmd, FromRedisValue, Pipeline, RedisFuture, Value, aio::ConnectionLike};

use crate::{
    call::{CallEngine, CallOptions, Overrides, PipelineRun},
    error::Error,
    lifeline::Lifeline,
    messages::Grant,
    state::clock,
};

/// A connection of a [`Database`](crate::Database) that nobody else uses until this is dropped; see
/// [`Database::lease`](crate::Database::lease).
///
/// It is a [`redis::aio::ConnectionLike`], so everything that the `redis` crate offers works on it, and
/// it may run what a shared connection may not: `SELECT`, `WATCH`, `MULTI`, `CLIENT TRACKING` ... Only
/// what would leave commands without replies (`MONITOR`, `CLIENT REPLY` ...) and, unless
/// [`allow_admin`](crate::DatabaseConfig::allow_admin) is set, what administers the server is refused.
/// `SUBSCRIBE` and its like are confirmed, one at a time and not in a pipeline, but there is no way to
/// read messages: they are dropped, and with RESP2 (servers before 6.0) the first ends the connection.
///
/// # Giving back
///
/// Dropping it gives the connection back. If something on it was changed that the next caller would
/// notice, a transaction is still open, or a command was given up before its reply came, the connection
/// is closed instead, and another is opened when one is needed. So nobody ever finds another caller's
/// `SELECT`, `WATCH` or reply.
///
/// A [shutdown](crate::Supervisor::shutdown) waits for it until its grace is over, and then closes the
/// connection.
///
/// # Deadlines, failures and cancellation
///
/// Each command has the deadline of the handle that leased the connection, blocking ones their own
/// timeout on top. Nothing is sent a second time, because what was done on a connection is gone with
/// it; only one that broke before its first command is replaced. Commands are refused while the circuit
/// of the database is open, and are evidence for it as those of a handle are, slow ones included, unless
/// they may block. A future of it may be dropped at any point.
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
        // It keeps the options that it began with.
        let options = engine.options(overrides);
        let grant = engine.acquire(options, Some(by)).await?;
        Ok(Self {
            engine,
            grant,
            options,
            _lifeline: lifeline,
        })
    }

    /// All that is done with it from now on has the timeout of the handle together.
    pub(crate) fn begin(&mut self) {
        self.options = self.options.counted_from(clock::now());
    }

    /// By whom commands are run, and how.
    pub(crate) fn options(&self) -> (CallEngine, CallOptions) {
        (self.engine.clone(), self.options)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.grant.is_open()
    }

    /// The name under which the database was configured.
    pub fn name(&self) -> &str {
        &self.engine.state.name
    }

    /// Runs one command and returns its reply as it came. An error reply is an error.
    ///
    /// # Errors
    ///
    /// Everything that [`Error`] lists for a command.
    pub async fn execute(&mut self, command: &Cmd) -> Result<Value, Error> {
        self.engine
            .execute_on(&mut self.grant, command, self.options)
            .await
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

    /// Runs a pipeline and converts its replies, one per command.
    ///
    /// # Errors
    ///
    /// As [`Database::pipeline`](crate::Database::pipeline).
    pub async fn pipeline<T: FromRedisValue>(
        &mut self,
        pipeline: impl Borrow<Pipeline>,
    ) -> Result<T, Error> {
        let mut run = PipelineRun::on(&self.engine, &mut self.grant, self.options);
        let replies = pipeline.borrow().query_async(&mut run).await;
        replies.map_err(|error| run.explain(error))
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

    /// The number of the database in the configuration; a `SELECT` on the lease does not change it.
    fn get_db(&self) -> i64 {
        self.engine.state.settings.load().number
    }
}
