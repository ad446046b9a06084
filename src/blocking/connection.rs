//! The blocking handle as a connection of the `redis` crate.

use redis::{Cmd, ConnectionLike, HotkeysCommands, RedisResult, Value, aio};

use super::{BlockingDatabase, packed};

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

    /// Whether the server answers a `PING` within the
    /// [attempt timeout](crate::DatabaseConfig::attempt_timeout), the time of a healthy reply, or within
    /// the deadline of the handle, if that is shorter. Without a connection to a server that could not be
    /// reached just now, the answer is `false` at once.
    fn check_connection(&mut self) -> bool {
        let state = &self.database.engine.state;
        if state.is_unreachable() {
            return false;
        }
        let limit = state.settings.load().attempt_timeout;
        let brief = self.with_timeout(limit.min(self.database.options().timeout));
        brief.execute(&redis::cmd("PING")).is_ok()
    }

    /// Whether a command would find an open connection, as far as is known without sending anything. While
    /// the server is away it is `false`. The handle need not be replaced then: it works again as soon as
    /// the server is back.
    fn is_open(&self) -> bool {
        self.database.engine.state.is_connected()
    }
}

/// `START`, `STOP` and `RESET` concern the whole server, so they need
/// [`allow_admin`](crate::DatabaseConfig::allow_admin).
impl HotkeysCommands for BlockingDatabase {}
