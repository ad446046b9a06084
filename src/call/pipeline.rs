//! A pipeline on its way through the `redis` crate, which converts its replies.

use redis::{
    Cmd, Pipeline, RedisError, RedisFuture, RedisResult, ServerError, Value, aio::ConnectionLike,
};

use super::{CallEngine, CallOptions, attempts::Attempts, errors::conversion};
use crate::{
    backend::{Backend, Server},
    error::Error,
    messages::Grant,
    sanitize,
};

/// Runs one pipeline for [`Pipeline::query_async`]. The errors of that function do not tell the execution
/// state, so this keeps it.
pub(crate) struct PipelineRun<'a, B = Server> {
    engine: &'a CallEngine<B>,
    /// The leased connection to run it on; `None` for a shared one.
    grant: Option<&'a mut Grant>,
    options: CallOptions,
    /// The attempts that the replies took.
    attempts: Option<Attempts>,
}

impl<'a, B: Backend> PipelineRun<'a, B> {
    pub(crate) fn new(engine: &'a CallEngine<B>, options: CallOptions) -> Self {
        Self {
            engine,
            grant: None,
            options,
            attempts: None,
        }
    }

    pub(crate) fn on(
        engine: &'a CallEngine<B>,
        grant: &'a mut Grant,
        options: CallOptions,
    ) -> Self {
        Self {
            grant: Some(grant),
            ..Self::new(engine, options)
        }
    }

    /// This crate's error for one that came back through the `redis` crate.
    pub(crate) fn explain(&self, error: RedisError) -> Error {
        if let Some(own) = Error::from_redis(&error) {
            return own.clone();
        }
        let database = self.engine.state.name();
        match (error.clone().into_server_errors(), self.attempts) {
            (Some(replies), Some(attempts)) => Error::Server {
                database,
                execution: attempts.execution,
                attempts: attempts.count,
                code: replies.first().map_or("", |(_, error)| error.code()).into(),
                error,
            },
            _ => conversion(database, error),
        }
    }
}

impl<B: Backend> ConnectionLike for PipelineRun<'_, B> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let (engine, options) = (self.engine, self.options);
        Box::pin(async move {
            Ok(match &mut self.grant {
                Some(grant) => engine.execute_on(grant, command, options).await?,
                None => engine.execute(command, options).await?,
            })
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (engine, options) = (self.engine, self.options);
            let (replies, attempts) = match &mut self.grant {
                Some(grant) => engine.execute_pipeline_on(grant, pipeline, options).await?,
                None => engine.execute_pipeline(pipeline, options).await?,
            };
            self.attempts = Some(attempts);
            requested_replies(replies, offset, count)
        })
    }

    fn get_db(&self) -> i64 {
        self.engine.state.settings.load().number
    }
}

/// The replies that the `redis` crate asked for. The replies before `offset` confirm that the server has
/// queued the commands of a transaction.
fn requested_replies(
    mut replies: Vec<Value>,
    offset: usize,
    count: usize,
) -> RedisResult<Vec<Value>> {
    if offset == 0 {
        return Ok(replies);
    }
    let mut results = replies.split_off(offset.min(replies.len()));
    results.truncate(count);
    match results.first() {
        Some(Value::ServerError(error)) => Err(aborted(error, &replies)),
        _ => Ok(results),
    }
}

/// The error of a transaction that was not executed: the server's error for EXEC, with that of the first
/// command that could not be queued.
fn aborted(error: &ServerError, queueing: &[Value]) -> RedisError {
    let details = error.details().unwrap_or_default();
    let first = queueing
        .iter()
        .enumerate()
        .find_map(|(index, reply)| match reply {
            // MULTI itself comes first.
            Value::ServerError(error) if index > 0 => Some((index - 1, error)),
            _ => None,
        });
    let Some((index, cause)) = first else {
        return error.clone().into();
    };
    let cause_text = cause.details().unwrap_or_default();
    let line = format!(
        "{} {details} (command {index}: {} {cause_text})",
        error.code(),
        cause.code()
    );
    sanitize::from_line(&line).into()
}
