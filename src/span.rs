//! The span of a call, for traces.
//!
//! A subscriber of `tracing` is code of the application. It runs in the task of the caller that is traced, and nowhere
//! else: no actor and no connection enters a span.

use tracing::{Instrument as _, Level, Span, field::Empty};

use crate::{
    config::{Address, DatabaseSettings},
    error::Error,
};

/// By this target, a program chooses whether there are spans: `redis_steward::command=debug`.
const TARGET: &str = "redis_steward::command";

/// A command or a pipeline, as a trace tells of it: without keys and values.
#[derive(Debug)]
pub(crate) struct Operation {
    /// `GET`, or `PIPELINE GET` for a pipeline of this command alone.
    pub(crate) name: String,
    /// The commands of a pipeline, if there are several.
    pub(crate) batch_size: Option<u64>,
    /// The digest of the script that it runs.
    pub(crate) script: Option<String>,
}

/// Whether there are to be spans. Without a subscriber that wants them it costs a comparison.
#[inline]
pub(crate) fn is_wanted() -> bool {
    tracing::enabled!(target: TARGET, Level::DEBUG)
}

/// Runs a call in a span, with the names of OpenTelemetry's conventions for database clients.
pub(crate) async fn run<T>(
    settings: &DatabaseSettings,
    operation: Operation,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let span = span(settings, &operation);
    let result = call.instrument(span.clone()).await;
    if let Err(error) = &result {
        let code = error.code();
        span.record("error.type", code.unwrap_or(error.variant()));
        span.record("otel.status_code", "ERROR");
        if let Some(code) = code {
            span.record("db.response.status_code", code);
        }
    }
    result
}

fn span(settings: &DatabaseSettings, operation: &Operation) -> Span {
    let (kind, host, port) = match &settings.address {
        Address::Tcp { host, port } => ("client", Some(host.clone()), Some(u64::from(*port))),
        Address::Unix(path) => ("client", Some(path.display().to_string()), None),
        Address::Memory(_) => ("internal", None, None),
        // Each dial finds out.
        Address::Service(_) | Address::Sentinel(_) | Address::Cluster(_) => ("client", None, None),
    };
    tracing::span!(
        target: TARGET,
        Level::DEBUG,
        "redis",
        otel.name = operation.name,
        otel.kind = kind,
        otel.status_code = Empty,
        db.system.name = "redis",
        db.namespace = settings.number.to_string(),
        db.operation.name = operation.name,
        db.operation.batch.size = operation.batch_size,
        db.stored_procedure.name = operation.script,
        db.response.status_code = Empty,
        db.client.connection.pool.name = &*settings.name,
        server.address = host,
        server.port = port,
        "error.type" = Empty,
    )
}
