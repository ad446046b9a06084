//! What callers are told when there is no reply.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::time::Instant;

use super::Dispatcher;
use crate::{
    error::{Error, Execution, Limit, Stage},
    events::Reason,
    net::{Failure, Full},
    policy::admission::Passage,
    sanitize,
    stats::count,
};

impl Dispatcher {
    pub(super) fn refused(&self, passage: Passage) -> Error {
        count(&self.counters.refused);
        let database = self.name();
        match passage {
            Passage::Open | Passage::Free | Passage::Trial => {
                let outage = self.outage.load();
                let now = Instant::now();
                Error::CircuitOpen {
                    database,
                    reason: outage.as_ref().map_or(Reason::Unreachable, |it| it.reason),
                    retry_after: outage
                        .as_ref()
                        .map_or(Duration::ZERO, |it| it.next_probe - now),
                }
            }
            Passage::ShuttingDown => Error::ShuttingDown {
                database,
                execution: Execution::NotSent,
            },
            Passage::Failed => Error::Failed { database },
        }
    }

    pub(super) fn overloaded(&self, limit: Limit) -> Error {
        count(&self.counters.refused);
        let (in_flight, in_flight_bytes) = self.load.now();
        Error::Overloaded {
            database: self.name(),
            in_flight,
            in_flight_bytes,
            parked: self.counters.parked.load(Relaxed),
            limit,
        }
    }

    pub(super) fn explain(&self, failure: Failure, timeout: Duration) -> Error {
        let database = self.name();
        match failure {
            Failure::TimedOut(stage) => Error::TimedOut {
                database,
                stage,
                execution: match stage {
                    Stage::Reply => Execution::Unknown,
                    Stage::Connect | Stage::Queue => Execution::NotSent,
                },
                timeout,
                last_error: match stage {
                    Stage::Connect => self.dial_error.load().as_deref().cloned(),
                    Stage::Queue | Stage::Reply => None,
                },
            },
            Failure::Lost(loss, execution) => Error::ConnectionLost {
                database,
                execution,
                cause: loss.to_string().into(),
            },
            Failure::TooManyParked => self.overloaded(Limit::Parked(self.settings.max_parked)),
            Failure::ShuttingDown(execution) => {
                count(&self.counters.lost);
                Error::ShuttingDown {
                    database,
                    execution,
                }
            }
            Failure::Abandoned(execution) => {
                count(&self.counters.lost);
                match self.gate.passage() {
                    Passage::ShuttingDown => Error::ShuttingDown {
                        database,
                        execution,
                    },
                    _ => Error::Restarted {
                        database,
                        execution,
                    },
                }
            }
        }
    }
}

impl From<Full> for Limit {
    fn from(full: Full) -> Self {
        match full {
            Full::Commands(limit) => Self::Commands(limit),
            Full::Bytes(limit) => Self::Bytes(limit),
        }
    }
}

/// An error that came back through the `redis` crate, as this crate's own.
pub(crate) fn from_redis(database: Arc<str>, error: RedisError) -> Error {
    if let Some(own) = Error::from_redis(&error) {
        return own.clone();
    }
    let is_reply = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
    match (is_reply, error.kind()) {
        (true, ErrorKind::Server(ServerErrorKind::ExecAbort)) => Error::Server {
            database,
            execution: Execution::NotExecuted,
            error,
        },
        (true, _) => Error::Server {
            database,
            execution: Execution::Executed,
            error,
        },
        (false, _) => Error::Conversion { database, error },
    }
}

/// The same reply with error texts that are safe to print.
pub(super) fn sanitized(value: Value) -> Value {
    match value {
        Value::ServerError(error) => Value::ServerError(sanitize::server_error(error)),
        // The replies of a transaction come in one array.
        Value::Array(values) if values.iter().any(is_error) => {
            Value::Array(values.into_iter().map(sanitized).collect())
        }
        other => other,
    }
}

fn is_error(value: &Value) -> bool {
    matches!(value, Value::ServerError(_))
}
