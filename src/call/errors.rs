//! What callers are told when there is no reply.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Value};

use super::{CallEngine, args, attempts::Attempts};
use crate::{
    backend::Backend,
    error::{Error, Limit},
    events::{CircuitState, Reason},
    execution::{Execution, Stage},
    net::{Answered, AtLimit, CloseReason, Failure, Reply},
    policy::command::{self, Refusal},
    policy::gate_state::GateState,
    state::{clock, count},
};

/// A probe may be under way, and it takes a few to close a circuit. Whoever asks again as soon as it
/// is told to shall not do so in a tight loop meanwhile.
const MIN_RETRY_AFTER: Duration = Duration::from_millis(25);

impl<B: Backend> CallEngine<B> {
    pub(super) fn refused(&self, gate_state: GateState) -> Error {
        count(&self.state.counters.refused);
        let database = self.state.name();
        match gate_state {
            GateState::Open | GateState::Free | GateState::Trial => {
                let outage = self.state.outage.load();
                let outage = outage.as_ref();
                Error::CircuitOpen {
                    database,
                    reason: outage.map_or(Reason::Unreachable, |it| it.reason),
                    retry_after: outage.map_or(MIN_RETRY_AFTER, |it| {
                        let until = it.next_probe.saturating_duration_since(clock::now());
                        until.max(MIN_RETRY_AFTER)
                    }),
                    last_error: outage.and_then(|it| it.cause.clone()),
                }
            }
            GateState::ShuttingDown => Error::ShuttingDown {
                database,
                execution: Execution::NotSent,
            },
            GateState::Failed => Error::Failed { database },
            GateState::Isolated => Error::Isolated { database },
        }
    }

    /// A blocking call was made where it must not block.
    pub(crate) fn would_block_runtime(&self) -> Error {
        count(&self.state.counters.refused);
        let database = self.state.name();
        Error::WouldBlockRuntime { database }
    }

    /// A blocking call was given up because nobody has ended it. What became of its request, if it has
    /// made one, only its connection knows.
    pub(crate) fn stalled(&self, timeout: Duration, execution: Execution) -> Error {
        let tried = Attempts {
            count: 1,
            execution,
            timeout,
        };
        self.timed_out(Stage::Runtime, tried, None)
    }

    pub(super) fn overloaded(&self, limit: Limit) -> Error {
        self.overloaded_by(limit, &self.state.counters.parked)
    }

    /// With so many who wait.
    pub(super) fn overloaded_by(&self, limit: Limit, waiting: &AtomicUsize) -> Error {
        count(&self.state.counters.refused);
        let (in_flight, in_flight_bytes) = self.state.in_flight.now();
        Error::Overloaded {
            database: self.state.name(),
            in_flight,
            in_flight_bytes,
            parked: waiting.load(Relaxed),
            limit,
        }
    }

    /// A reply, unless it is the server's refusal of the one command there was.
    pub(super) fn unless_error(
        &self,
        answered: Answered,
        tried: Attempts,
    ) -> Result<(Answered, Attempts), Error> {
        match answered.reply {
            Reply::One(Value::ServerError(error)) => Err(Error::Server {
                database: self.state.name(),
                execution: tried.execution,
                attempts: tried.count,
                code: error.code().into(),
                error: error.into(),
            }),
            _ => Ok((answered, tried)),
        }
    }

    /// A reply in the type that was asked for.
    pub(crate) fn convert<T: FromRedisValue>(&self, reply: Value) -> Result<T, Error> {
        // A script can return errors inside of its reply.
        let reply = reply
            .extract_error()
            .map_err(|error| nested(self.state.name(), error))?;
        T::from_redis_value(reply).map_err(|error| conversion(self.state.name(), error.into()))
    }

    pub(super) fn timed_out(
        &self,
        stage: Stage,
        tried: Attempts,
        last_error: Option<Arc<str>>,
    ) -> Error {
        Error::TimedOut {
            database: self.state.name(),
            stage,
            execution: tried.execution,
            attempts: tried.count,
            timeout: tried.timeout,
            in_flight: self.state.in_flight.now().0,
            parked: self.state.counters.parked.load(Relaxed),
            pool: Box::new(self.state.pool_stats()),
            circuit: match self.state.gate.state() {
                GateState::Trial => CircuitState::HalfOpen,
                GateState::Open | GateState::Isolated => CircuitState::Open,
                GateState::Free | GateState::ShuttingDown | GateState::Failed => {
                    CircuitState::Closed
                }
            },
            last_error,
        }
    }

    /// What may not run here. It was not sent.
    pub(super) fn forbidden(&self, command: &Cmd, refusal: Refusal) -> Error {
        count(&self.state.counters.refused);
        Error::CommandRefused {
            database: self.state.name(),
            command: command::display_name(args(command)).into(),
            refusal,
        }
    }

    pub(super) fn explain(&self, failure: Failure, tried: Attempts) -> Error {
        let database = self.state.name();
        let Attempts {
            count: attempts,
            execution,
            ..
        } = tried;
        match failure {
            Failure::TimedOutEarly => self.explain(Failure::TimedOut(Stage::Reply), tried),
            Failure::TimedOut(stage) => {
                let last_error = match stage {
                    Stage::Connect => self.state.dial_error.load().as_deref().cloned(),
                    Stage::Acquire | Stage::Queue | Stage::Reply | Stage::Runtime => None,
                };
                self.timed_out(stage, tried, last_error)
            }
            Failure::Lost(loss, _) if matches!(*loss, CloseReason::Stopped) => {
                Error::ShuttingDown {
                    database,
                    execution,
                }
            }
            Failure::Lost(loss, _) => Error::ConnectionLost {
                database,
                execution,
                attempts,
                cause: loss.to_string().into(),
            },
            Failure::TooManyParked => {
                self.overloaded(Limit::Parked(self.state.settings.load().max_parked))
            }
            Failure::CircuitOpened => self.refused(GateState::Open),
            Failure::ShuttingDown(_) => Error::ShuttingDown {
                database,
                execution,
            },
            Failure::Abandoned(_) => {
                count(&self.state.counters.lost);
                match self.state.gate.state() {
                    GateState::ShuttingDown => Error::ShuttingDown {
                        database,
                        execution,
                    },
                    _ => Error::Abandoned {
                        database,
                        execution,
                    },
                }
            }
        }
    }
}

impl From<AtLimit> for Limit {
    fn from(full: AtLimit) -> Self {
        match full {
            AtLimit::Commands(limit) => Self::Commands(limit),
            AtLimit::Bytes(limit) => Self::Bytes(limit),
        }
    }
}

/// An error inside the reply to one command, which a script can return. The command ran.
fn nested(database: Arc<str>, error: RedisError) -> Error {
    Error::Server {
        database,
        execution: Execution::Executed,
        attempts: 1,
        code: error.code().unwrap_or_default().into(),
        error,
    }
}

/// A reply that could not be converted. The `redis` crate's error shows the value, which may be
/// a secret, so only what comes before it is kept.
pub(super) fn conversion(database: Arc<str>, error: RedisError) -> Error {
    let text = error.to_string();
    let mut reason = &*text;
    for shown in ["(value was", "(response was"] {
        reason = reason.split(shown).next().unwrap_or_default();
    }
    let reason = reason.trim_end().to_owned();
    let error = (ErrorKind::UnexpectedReturnType, "conversion failed", reason).into();
    Error::Conversion { database, error }
}
