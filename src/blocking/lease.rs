//! A connection leased to a thread.

use std::{borrow::Borrow, fmt};

use redis::{
    Cmd, ConnectionLike, FromRedisValue, HotkeysCommands, Pipeline, RedisResult, Value, aio,
};

use super::{longest, packed, wait_for_reply};
use crate::{error::Error, lease::Lease};

/// A [`Lease`] for threads without a runtime: a connection for one caller alone, until this is dropped.
/// [`BlockingDatabase::lease`](crate::BlockingDatabase::lease) returns it.
///
/// It is a [`redis::ConnectionLike`]: `redis::Commands`, pipelines, scripts and `redis::transaction` work
/// on it. The rules of [`Lease`] hold for permitted commands, for giving back, deadlines and failures,
/// and those of [`BlockingDatabase`](crate::BlockingDatabase#where-it-may-be-called) for the threads on
/// which it may be called. A call that has begun cannot be cancelled; it ends by its deadline.
///
/// ```no_run
/// # fn example(main: redis_steward::BlockingDatabase) -> redis::RedisResult<()> {
/// use redis::Commands;
///
/// let mut lease = main.lease()?;
/// // It begins anew whenever another client changes the key.
/// redis::transaction(&mut lease, &["stock"], |lease, pipe| {
///     let stock: i64 = lease.get("stock")?;
///     pipe.set("stock", stock - 1).query::<Option<()>>(lease)
/// })
/// # }
/// ```
#[must_use = "the connection is given back when this is dropped"]
pub struct BlockingLease {
    lease: Lease,
}

impl BlockingLease {
    pub(super) fn new(lease: Lease) -> Self {
        Self { lease }
    }

    /// The name under which the database was configured.
    pub fn name(&self) -> &str {
        self.lease.name()
    }

    /// Runs one command and returns its reply unconverted. An error reply is an error.
    ///
    /// # Errors
    ///
    /// As [`Lease::execute`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn execute(&mut self, command: &Cmd) -> Result<Value, Error> {
        let (engine, options) = self.lease.options();
        let patience = longest(&engine, options, || [command])?;
        wait_for_reply(&engine, options, patience, || self.lease.execute(command))
    }

    /// Runs one command and converts its reply.
    ///
    /// # Errors
    ///
    /// As [`Lease::query`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn query<T: FromRedisValue>(&mut self, command: impl Borrow<Cmd>) -> Result<T, Error> {
        let (engine, options) = self.lease.options();
        let patience = longest(&engine, options, || [command.borrow()])?;
        wait_for_reply(&engine, options, patience, || self.lease.query(command))
    }

    /// Runs a pipeline in one round trip and converts its replies, one per command.
    ///
    /// # Errors
    ///
    /// As [`Lease::pipeline`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn pipeline<T: FromRedisValue>(
        &mut self,
        pipeline: impl Borrow<Pipeline>,
    ) -> Result<T, Error> {
        let (engine, options) = self.lease.options();
        let patience = longest(&engine, options, || pipeline.borrow().cmd_iter())?;
        wait_for_reply(&engine, options, patience, || self.lease.pipeline(pipeline))
    }
}

impl fmt::Debug for BlockingLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingLease").field(&self.lease).finish()
    }
}

/// Commands run as with [`BlockingLease::execute`]; an [`Error`] becomes a [`redis::RedisError`]. Bytes
/// are parsed into commands, as with a [`BlockingDatabase`](crate::BlockingDatabase).
impl ConnectionLike for BlockingLease {
    fn req_packed_command(&mut self, bytes: &[u8]) -> RedisResult<Value> {
        self.req_command(&packed::command(bytes)?)
    }

    fn req_packed_commands(
        &mut self,
        bytes: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let pipeline = packed::pipeline(bytes, offset, count)?;
        let (engine, options) = self.lease.options();
        let patience = longest(&engine, options, || pipeline.cmd_iter())?;
        wait_for_reply(&engine, options, patience, || {
            aio::ConnectionLike::req_packed_commands(&mut self.lease, &pipeline, offset, count)
        })
    }

    fn req_command(&mut self, command: &Cmd) -> RedisResult<Value> {
        Ok(self.execute(command)?)
    }

    fn get_db(&self) -> i64 {
        aio::ConnectionLike::get_db(&self.lease)
    }

    /// Whether the server answers a `PING` on this connection within the
    /// [attempt timeout](crate::DatabaseConfig::attempt_timeout), the time of a healthy reply, or within
    /// the deadline of the lease, if that is shorter.
    fn check_connection(&mut self) -> bool {
        let (engine, options) = self.lease.options();
        let options = options.at_most(engine.state.settings.load().attempt_timeout);
        let ping = redis::cmd("PING");
        let answered = wait_for_reply(&engine, options, options.timeout, || {
            self.lease.execute_under(&ping, &options)
        });
        answered.is_ok()
    }

    /// Whether the connection is open, as far as is known without sending anything.
    fn is_open(&self) -> bool {
        self.lease.is_open()
    }
}

/// `START`, `STOP` and `RESET` concern the whole server, so they need
/// [`allow_admin`](crate::DatabaseConfig::allow_admin).
impl HotkeysCommands for BlockingLease {}
