//! A pipeline on its way through the `redis` crate, which converts its replies.

use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value, aio::ConnectionLike};

use super::{
    CallEngine, CallOptions, Overrides, aborted::aborted, attempts::Attempts, errors::conversion,
};
use crate::{
    backend::{Backend, Server},
    error::Error,
    execution::Source,
    messages::Grant,
    policy::reading::Reading,
};

/// Runs one pipeline for [`Pipeline::query_async`]. The errors of that function do not tell the execution
/// state, so this keeps it.
pub(crate) struct PipelineRun<'a, B = Server> {
    engine: &'a CallEngine<B>,
    at: At<'a>,
    /// The attempts that the replies took, or the error for which there are none.
    ended: Option<Result<Attempts, Error>>,
}

/// Where it runs.
enum At<'a> {
    Shared(CallOptions),
    Leased(&'a mut Grant, CallOptions),
    /// On replicas, if they may serve it.
    Replicas(&'a Reading, Overrides),
}

impl<'a, B: Backend> PipelineRun<'a, B> {
    pub(crate) fn new(engine: &'a CallEngine<B>, options: CallOptions) -> Self {
        Self::at(engine, At::Shared(options))
    }

    /// On a leased connection.
    pub(crate) fn on(
        engine: &'a CallEngine<B>,
        grant: &'a mut Grant,
        options: CallOptions,
    ) -> Self {
        Self::at(engine, At::Leased(grant, options))
    }

    /// Of commands that only read, on a replica if one may serve them.
    pub(crate) fn reading(
        engine: &'a CallEngine<B>,
        reading: &'a Reading,
        overrides: Overrides,
    ) -> Self {
        Self::at(engine, At::Replicas(reading, overrides))
    }

    fn at(engine: &'a CallEngine<B>, at: At<'a>) -> Self {
        let ended = None;
        Self { engine, at, ended }
    }

    /// Where the replies come from.
    pub(crate) fn source(&self) -> Source {
        match &self.ended {
            Some(Ok(attempts)) => attempts.source,
            Some(Err(_)) | None => Source::Redis,
        }
    }

    /// This crate's error for one that came back through the `redis` crate.
    pub(crate) fn explain(&self, error: RedisError) -> Error {
        let attempts = match &self.ended {
            Some(Ok(attempts)) => Some(*attempts),
            Some(Err(own)) => return own.clone(),
            None => None,
        };
        let database = self.engine.state.name();
        match (error.clone().into_server_errors(), attempts) {
            (Some(replies), Some(attempts)) => {
                let first = replies.first().map(|(_, error)| error.code());
                let error = Error::Server {
                    database,
                    execution: attempts.execution,
                    attempts: attempts.count,
                    // An aborted transaction has a code of its own.
                    code: error.code().or(first).unwrap_or_default().into(),
                    error,
                };
                self.engine.state.counters.note_error(&error);
                error
            }
            _ => conversion(database, error),
        }
    }
}

impl<B: Backend> ConnectionLike for PipelineRun<'_, B> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let engine = self.engine;
        Box::pin(async move {
            Ok(match &mut self.at {
                At::Shared(options) => engine.execute(command, options).await?,
                At::Leased(grant, options) => engine.execute_on(grant, command, options).await?,
                At::Replicas(reading, overrides) => {
                    engine.read(command, reading, *overrides).await?
                }
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
            let engine = self.engine;
            let ended = match &mut self.at {
                At::Shared(options) => engine.execute_pipeline(pipeline, *options).await,
                At::Leased(grant, options) => {
                    engine.execute_pipeline_on(grant, pipeline, *options).await
                }
                At::Replicas(reading, overrides) => {
                    engine.read_pipeline(pipeline, reading, *overrides).await
                }
            };
            match ended {
                Ok((replies, attempts)) => {
                    self.ended = Some(Ok(attempts));
                    requested_replies(replies, offset, count)
                }
                Err(error) => {
                    self.ended = Some(Err(error.clone()));
                    Err(error.into())
                }
            }
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
