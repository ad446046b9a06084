//! A connection that one thread has for a while.

use std::{borrow::Borrow, fmt};

use redis::{Cmd, ConnectionLike, FromRedisValue, Pipeline, RedisResult, Value, aio};

use super::{packed, wait_for_reply};
use crate::{error::Error, lease::Lease};

/// A [`Lease`] for threads without a runtime: a connection that nobody else uses until this is dropped.
/// [`BlockingDatabase::lease`](crate::BlockingDatabase::lease) gives it.
///
/// It is a [`redis::ConnectionLike`]: `redis::Commands`, pipelines, scripts and `redis::transaction` work
/// on it. It may be called where a [`BlockingDatabase`](crate::BlockingDatabase) may.
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

    /// Runs one command and returns its reply as it came. An error reply is an error.
    ///
    /// # Errors
    ///
    /// As [`Lease::execute`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn execute(&mut self, command: &Cmd) -> Result<Value, Error> {
        let (engine, options) = self.lease.options();
        let patience = engine.longest([command], options);
        wait_for_reply(&engine, options, patience, || self.lease.execute(command))
    }

    /// Runs one command and converts its reply.
    ///
    /// # Errors
    ///
    /// As [`Lease::query`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn query<T: FromRedisValue>(&mut self, command: impl Borrow<Cmd>) -> Result<T, Error> {
        let (engine, options) = self.lease.options();
        let patience = engine.longest([command.borrow()], options);
        wait_for_reply(&engine, options, patience, || self.lease.query(command))
    }

    /// Runs a pipeline and converts its replies, one per command.
    ///
    /// # Errors
    ///
    /// As [`Lease::pipeline`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn pipeline<T: FromRedisValue>(
        &mut self,
        pipeline: impl Borrow<Pipeline>,
    ) -> Result<T, Error> {
        let (engine, options) = self.lease.options();
        let patience = engine.longest(pipeline.borrow().cmd_iter(), options);
        wait_for_reply(&engine, options, patience, || self.lease.pipeline(pipeline))
    }
}

impl fmt::Debug for BlockingLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingLease").field(&self.lease).finish()
    }
}

/// Commands run as with [`BlockingLease::execute`]; an [`Error`] becomes a [`redis::RedisError`]. Bytes
/// are taken apart into commands again, as with a [`BlockingDatabase`](crate::BlockingDatabase).
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
        let patience = engine.longest(pipeline.cmd_iter(), options);
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

    /// Whether a PING is answered.
    fn check_connection(&mut self) -> bool {
        self.execute(&redis::cmd("PING")).is_ok()
    }

    /// Whether the connection has not ended, as far as is known.
    fn is_open(&self) -> bool {
        self.lease.is_open()
    }
}
