//! A handle as a connection of the `redis` crate.

use redis::{AsyncHotkeysCommands, Cmd, Pipeline, RedisFuture, Value, aio::ConnectionLike};

use super::Database;
use crate::call::PipelineRun;

/// Commands run as with [`Database::execute`]; an [`Error`](crate::Error) becomes a [`redis::RedisError`], and
/// [`Error::from_redis`](crate::Error::from_redis) returns it.
impl ConnectionLike for Database {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        // Not by way of `execute`, whose future would be one more layer.
        Box::pin(async move { Ok(self.engine.execute(command, &self.options()).await?) })
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

/// `START`, `STOP` and `RESET` concern the whole server, so they need
/// [`allow_admin`](crate::DatabaseConfig::allow_admin). The server keeps the keys for all of its clients, so
/// every connection of the handle finds them.
impl AsyncHotkeysCommands for Database {}
