//! The blocking handle as a connection of the `redis` crate.

use redis::{Cmd, ConnectionLike, RedisResult, Value, aio};

use super::{BlockingDatabase, packed};
use crate::policy::gate_state::GateState;

/// Commands run as with [`BlockingDatabase::execute`]; an [`Error`](crate::Error) becomes a
/// [`redis::RedisError`], and [`Error::from_redis`](crate::Error::from_redis) returns it.
///
/// The `redis` crate passes pipelines as bytes. They are parsed into commands, so that the same checks
/// apply as to any command. Bytes that are not exactly the expected commands are an error of
/// [`ErrorKind::Client`](redis::ErrorKind::Client), and nothing is sent.
impl ConnectionLike for BlockingDatabase {
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
        let mut database = self.database.clone();
        let patience = self.longest(|| pipeline.cmd_iter())?;
        self.wait(patience, || {
            aio::ConnectionLike::req_packed_commands(&mut database, &pipeline, offset, count)
        })
    }

    fn req_command(&mut self, command: &Cmd) -> RedisResult<Value> {
        Ok(self.execute(command)?)
    }

    fn get_db(&self) -> i64 {
        aio::ConnectionLike::get_db(&self.database)
    }

    /// Whether the server answers a `PING` within the deadline of the handle.
    fn check_connection(&mut self) -> bool {
        self.execute(&redis::cmd("PING")).is_ok()
    }

    /// Whether the supervisor still runs. A handle outlives its connections, so a generic pool of
    /// handles never has to replace one.
    fn is_open(&self) -> bool {
        let gate = &self.database.engine.state.gate;
        gate.state() != GateState::ShuttingDown
    }
}
