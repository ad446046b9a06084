//! The errors of calls without a good reply.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Value};

use super::{CallEngine, args, attempts::Attempts};
use crate::{
    backend::Backend,
    error::{Error, Limit},
    events::{CircuitState, Reason},
    execution::{Execution, Source, Stage},
    net::{AtLimit, CloseReason, Failure, Full, Reply},
    policy::{
        command::{self, Refusal},
        gate_state::GateState,
    },
    state::{clock, count},
};

/// Closing a circuit takes a few probes, and the next may be under way. A caller that retries after
/// `retry_after` must not spin in a tight loop meanwhile.
const MIN_RETRY_AFTER: Duration = Duration::from_millis(25);

impl<B: Backend> CallEngine<B> {
    pub(super) fn refused(&self, gate_state: GateState) -> Error {
        count(&self.state.counters.refused);
        self.explain_gate(gate_state)
    }

    pub(super) fn explain_gate(&self, gate_state: GateState) -> Error {
        let database = self.state.name();
        match gate_state {
            GateState::Open | GateState::Free | GateState::Trial { .. } => {
                let outage = self.state.outage.load();
                let outage = outage.as_ref();
                Error::CircuitOpen {
                    database,
                    reason: outage.map_or(Reason::Unreachable, |outage| outage.reason),
                    retry_after: outage.map_or(MIN_RETRY_AFTER, |outage| {
                        let until = outage.next_probe.saturating_duration_since(clock::now());
                        until.max(MIN_RETRY_AFTER)
                    }),
                    last_error: outage.and_then(|outage| outage.cause.clone()),
                }
            }
            GateState::ShuttingDown | GateState::Removed => self.over(Execution::NotSent, 1),
            GateState::Failed => Error::Failed { database },
            GateState::Isolated => Error::Isolated { database },
        }
    }

    /// The error of a call that was cut short by the end of the supervisor, or of its database.
    pub(super) fn over(&self, execution: Execution, attempts: u32) -> Error {
        let database = self.state.name();
        match execution {
            _ if !self.state.is_removed() => Error::ShuttingDown {
                database,
                execution,
            },
            Execution::NotSent => Error::UnknownDatabase {
                name: (&*database).into(),
                known: self.state.known(),
            },
            _ => Error::ConnectionLost {
                database,
                execution,
                attempts,
                cause: "the database was removed".into(),
            },
        }
    }

    /// The error of a blocking call on a thread that must not block.
    pub(crate) fn would_block_runtime(&self) -> Error {
        count(&self.state.counters.refused);
        let database = self.state.name();
        Error::WouldBlockRuntime { database }
    }

    /// The error of a blocking call that was given up because its runtime did not end it. Only its
    /// connection knows the fate of its request, if there is one.
    pub(crate) fn stalled(&self, timeout: Duration, execution: Execution) -> Error {
        let attempts = Attempts {
            count: 1,
            execution,
            timeout,
            source: Source::Redis,
        };
        self.timed_out(Stage::Runtime, attempts, None)
    }

    /// The error of a message beyond the bound of commands in flight.
    pub(crate) fn too_many_messages(&self) -> Error {
        self.overloaded(Limit::Commands(self.state.settings.load().max_in_flight))
    }

    pub(super) fn overloaded(&self, limit: Limit) -> Error {
        self.overloaded_by(limit, self.state.parked())
    }

    /// The error of a call for which there is no room, at this server or in the cluster.
    pub(super) fn full(
        &self,
        Full {
            limit,
            now,
            is_of_whole,
        }: Full,
    ) -> Error {
        count(&self.state.counters.refused);
        let part_of = self.state.part_of.as_ref().filter(|_| is_of_whole);
        Error::Overloaded {
            database: part_of.map_or_else(|| self.state.name(), |part| part.whole().name().clone()),
            in_flight: now.0,
            in_flight_bytes: now.1,
            parked: self.state.parked(),
            limit: limit.into(),
        }
    }

    /// The error of a limit that was reached with so many callers waiting.
    pub(super) fn overloaded_by(&self, limit: Limit, waiting: usize) -> Error {
        count(&self.state.counters.refused);
        self.explain_limit(limit, waiting)
    }

    pub(super) fn explain_limit(&self, limit: Limit, waiting: usize) -> Error {
        let (in_flight, in_flight_bytes) = self.state.in_flight.now();
        Error::Overloaded {
            database: self.state.name(),
            in_flight,
            in_flight_bytes,
            parked: waiting,
            limit,
        }
    }

    /// The reply, or an error if the only command was answered with an error.
    pub(super) fn unless_error(
        &self,
        reply: Reply,
        attempts: Attempts,
    ) -> Result<(Reply, Attempts), Error> {
        match reply {
            Reply::One(Value::ServerError(error)) => Err(Error::Server {
                database: self.state.name(),
                execution: attempts.execution,
                attempts: attempts.count,
                code: error.code().into(),
                error: error.into(),
            }),
            reply => Ok((reply, attempts)),
        }
    }

    /// The reply converted to the requested type.
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
        attempts: Attempts,
        last_error: Option<Arc<str>>,
    ) -> Error {
        Error::TimedOut {
            database: self.state.name(),
            stage,
            execution: attempts.execution,
            attempts: attempts.count,
            timeout: attempts.timeout,
            in_flight: self.state.in_flight.now().0,
            parked: self.state.parked(),
            pool: Box::new(self.state.pool_stats()),
            circuit: match self.state.gate.state() {
                GateState::Trial { .. } => CircuitState::HalfOpen,
                GateState::Open | GateState::Isolated => CircuitState::Open,
                GateState::Free
                | GateState::ShuttingDown
                | GateState::Failed
                | GateState::Removed => CircuitState::Closed,
            },
            last_error,
        }
    }

    /// The error of a command that may not run here. It was not sent.
    pub(super) fn forbidden(&self, command: &Cmd, refusal: Refusal) -> Error {
        count(&self.state.counters.refused);
        Error::CommandRefused {
            database: self.state.name(),
            command: command::display_name(args(command)).into(),
            refusal,
        }
    }

    /// The error of an attempt without a reply, after so many attempts.
    pub(super) fn explain(&self, failure: Failure, attempts: Attempts) -> Error {
        let database = self.state.name();
        let execution = attempts.execution;
        match failure {
            Failure::ReplyTooLarge(limit) => Error::ReplyTooLarge {
                database,
                limit: limit.to_string().into(),
            },
            Failure::TimedOutEarly => self.explain(Failure::TimedOut(Stage::Reply), attempts),
            Failure::TimedOut(stage) => {
                let last_error = match stage {
                    Stage::Connect => self.state.dial_error.load().as_deref().cloned(),
                    Stage::Acquire | Stage::Queue | Stage::Reply | Stage::Runtime => None,
                };
                self.timed_out(stage, attempts, last_error)
            }
            Failure::Lost(loss, _) if matches!(*loss, CloseReason::Stopped) => {
                self.over(execution, attempts.count)
            }
            Failure::Lost(loss, _) => Error::ConnectionLost {
                database,
                execution,
                attempts: attempts.count,
                cause: loss.to_string().into(),
            },
            // These two are counted where the request was refused.
            Failure::TooManyParked => {
                let limit = Limit::Parked(self.state.settings.load().max_parked);
                self.explain_limit(limit, self.state.parked())
            }
            Failure::CircuitOpened => self.explain_gate(GateState::Open),
            Failure::ShuttingDown(_) => self.over(execution, attempts.count),
            Failure::Abandoned(_) => {
                count(&self.state.counters.lost);
                match self.state.gate.state() {
                    GateState::ShuttingDown | GateState::Removed => {
                        self.over(execution, attempts.count)
                    }
                    GateState::Failed if execution == Execution::NotSent => {
                        Error::Failed { database }
                    }
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
    fn from(reached: AtLimit) -> Self {
        match reached {
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

/// The error of a reply that could not be converted. The `redis` crate's error shows the value, which
/// may be a secret, so only the text before it is kept.
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
