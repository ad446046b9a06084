//! What callers are told when there is no reply.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind};
use tokio::time::Instant;

use super::Dispatcher;
use crate::{
    error::{Error, Execution, Limit, Stage},
    events::Reason,
    net::{Failure, Full, Loss},
    policy::{admission::Passage, outcome::execution_of_error},
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
            Failure::Lost(loss, execution) if matches!(*loss, Loss::Stopped) => {
                Error::ShuttingDown {
                    database,
                    execution,
                }
            }
            Failure::Lost(loss, execution) => Error::ConnectionLost {
                database,
                execution,
                cause: loss.to_string().into(),
            },
            Failure::TooManyParked => self.overloaded(Limit::Parked(self.settings.max_parked)),
            Failure::ShuttingDown(execution) => Error::ShuttingDown {
                database,
                execution,
            },
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

/// An error that came back through the `redis` crate, as this crate's own. It was asked to run so many
/// commands.
pub(crate) fn from_redis(database: Arc<str>, error: RedisError, commands: usize) -> Error {
    if let Some(own) = Error::from_redis(&error) {
        return own.clone();
    }
    let Some(replies) = error.clone().into_server_errors() else {
        return conversion(database, error);
    };
    let refused = |it: &ServerError| execution_of_error(it.code(), false) == Execution::NotExecuted;
    let is_aborted = error.kind() == ErrorKind::Server(ServerErrorKind::ExecAbort);
    let all_refused = replies.len() == commands && replies.iter().all(|(_, it)| refused(it));
    Error::Server {
        database,
        execution: match is_aborted || all_refused {
            true => Execution::NotExecuted,
            false => Execution::Executed,
        },
        code: replies.first().map_or("", |(_, it)| it.code()).into(),
        error,
    }
}

/// A reply that could not be converted. The `redis` crate's error shows the value, which may be
/// a secret, so only what comes before it is kept.
pub(crate) fn conversion(database: Arc<str>, error: RedisError) -> Error {
    let text = error.to_string();
    let reason = text.split("(value was").next().unwrap_or_default();
    let reason = reason.trim_end().to_owned();
    let error = (
        ErrorKind::UnexpectedReturnType,
        "the value does not fit",
        reason,
    )
        .into();
    Error::Conversion { database, error }
}
