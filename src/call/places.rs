//! The places where a read may run: replicas, and after them the primary.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, Pipeline, Value};

use super::{CallEngine, CallOptions, Overrides, attempts::Attempts};
use crate::{
    backend::Backend,
    error::Error,
    policy::{
        cluster::is_away,
        command::{Class, Refusal},
        gate_state::GateState,
        outcome::{AttemptEnd, RetryAdvice, Verdict, classify},
    },
    reply_code::ErrorReply,
    state::{DatabaseState, clock, count, is_of_none},
};

/// What the caller of a replica handle wants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// The data may be so old.
    pub(crate) max_staleness: Option<Duration>,
    /// The primary serves no reads.
    pub(crate) without_primary: bool,
}

/// A call that reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) reading: Reading,
    pub(super) overrides: Overrides,
    pub(super) deadline: tokio::time::Instant,
    may_block: bool,
}

/// The places of one read, one after the other: two replicas at most, and the primary unless that is not wanted.
#[derive(Debug)]
pub(super) struct Places<B> {
    replicas: [Option<Arc<DatabaseState>>; 2],
    primary: Option<CallEngine<B>>,
    backend: B,
    read: Read,
    /// Keys move from server to server, so that a replica may say of one that there is none, and that is to be checked.
    keys_move: bool,
}

impl<B: Backend> CallEngine<B> {
    /// Runs a command that only reads, on a replica if one may serve it.
    pub(crate) async fn read(
        &self,
        command: &Cmd,
        reading: Reading,
        overrides: Overrides,
    ) -> Result<Value, Error> {
        let (read, options) = self.begin_read([command], reading, overrides)?;
        if options.is_in_cluster {
            return Box::pin(self.read_in_cluster(command, read)).await;
        }
        let mut places = self.places(&self.state, read).await?;
        places.execute(command).await
    }

    /// The same for a pipeline of commands that only read.
    pub(super) async fn read_pipeline(
        &self,
        pipeline: &Pipeline,
        reading: Reading,
        overrides: Overrides,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        let (read, options) = self.begin_read(pipeline.cmd_iter(), reading, overrides)?;
        if options.is_in_cluster {
            return Box::pin(self.read_pipeline_in_cluster(pipeline, read)).await;
        }
        let mut places = self.places(&self.state, read).await?;
        places.execute_pipeline(pipeline).await
    }

    /// Refuses commands that do not only read.
    fn begin_read<'a>(
        &self,
        commands: impl IntoIterator<Item = &'a Cmd>,
        reading: Reading,
        overrides: Overrides,
    ) -> Result<(Read, CallOptions), Error> {
        let mut may_block = false;
        for command in commands {
            let class = self.class(command);
            if class != Class::Empty && !class.only_reads() {
                return Err(self.forbidden(command, Refusal::Writes));
            }
            may_block |= class.block().is_some();
        }
        let gate_state = self.state.gate.state();
        if gate_state.is_final() || gate_state == GateState::Isolated {
            return Err(self.refused(gate_state));
        }
        let options = self.options(overrides);
        let read = Read {
            reading,
            overrides,
            deadline: options.end(clock::now()),
            may_block,
        };
        Ok((read, options))
    }

    /// The places where a read may run: replicas of this server, and after them here. Without one, it waits for a replica
    /// where the options want that.
    pub(super) async fn places(
        &self,
        server: &Arc<DatabaseState>,
        read: Read,
    ) -> Result<Places<B>, Error> {
        let places = |replicas| Places {
            replicas,
            primary: (!read.reading.without_primary).then(|| self.clone()),
            backend: self.backend.clone(),
            read,
            keys_move: false,
        };
        let server = Self::on(server.clone(), self.backend.clone());
        let chosen = server.replicas(read.reading, clock::now().into_std());
        if !read.reading.without_primary || chosen[0].is_some() {
            return Ok(places(chosen));
        }
        let is_patient = self.options(read.overrides).is_patient;
        // Boxed, so that the future of this rare case does not enlarge that of every call.
        let waited = Box::pin(server.wait_for_replica(read.reading, read.deadline, is_patient));
        waited.await.map(places)
    }

    /// The only place of a read that no replica may serve.
    pub(super) fn only_here(&self, read: Read) -> Places<B> {
        Places {
            replicas: [None, None],
            primary: Some(self.clone()),
            backend: self.backend.clone(),
            read,
            keys_move: false,
        }
    }

    fn replicas(&self, reading: Reading, now: Instant) -> [Option<Arc<DatabaseState>>; 2] {
        match &*self.state.replicas.view.present() {
            Some(view) => {
                let chosen = view.choose(reading.oldest(now));
                chosen.map(|replica| Some(replica?.state.clone()))
            }
            None => [None, None],
        }
    }

    /// Waits for the first look at the replicas, and if it `is_patient`, until one can serve.
    async fn wait_for_replica(
        &self,
        reading: Reading,
        deadline: tokio::time::Instant,
        is_patient: bool,
    ) -> Result<[Option<Arc<DatabaseState>>; 2], Error> {
        loop {
            let seen = self.state.replicas.view.present().clone();
            let now = clock::now();
            let chosen = self.replicas(reading, now.into_std());
            if chosen[0].is_some() {
                return Ok(chosen);
            }
            let gate_state = self.state.gate.state();
            if gate_state.is_final() {
                return Err(self.refused(gate_state));
            }
            if now >= deadline || seen.is_some() && !is_patient {
                let now = now.into_std();
                let why = match seen {
                    Some(view) => view.explain(reading.oldest(now), now),
                    None => "they have not been looked at yet".to_owned(),
                };
                count(&self.state.counters.refused);
                return Err(Error::NoReplica {
                    database: self.state.name(),
                    why: why.into(),
                });
            }
            self.state.replicas.view.next(seen.as_ref(), deadline).await;
        }
    }
}

impl Reading {
    /// The oldest moment up to which a replica has to have everything.
    fn oldest(self, now: Instant) -> Option<Instant> {
        let max_staleness = self.max_staleness?;
        // Data from before the clock began is always new enough.
        now.checked_sub(max_staleness)
    }
}

impl Read {
    /// Whether a bound of age is to hold, and the primary may serve where a replica cannot prove it.
    pub(super) fn is_proven_by_primary(&self) -> bool {
        self.reading.max_staleness.is_some() && !self.reading.without_primary
    }

    /// The options of a call for this read on a server, with this time for it at most.
    fn options_at<B: Backend>(
        &self,
        engine: &CallEngine<B>,
        overrides: Overrides,
        until: tokio::time::Instant,
    ) -> CallOptions {
        let options = engine.options(overrides);
        options.ending_unless(until.min(self.deadline), self.may_block)
    }
}

impl<B: Backend> Places<B> {
    /// Replies about nothing are no proof, since the keys of these servers move to others.
    pub(super) fn where_keys_move(self) -> Self {
        Self {
            keys_move: self.read.is_proven_by_primary(),
            ..self
        }
    }

    /// The next place. There is always one, as long as the one before [leads on](Self::lead_on).
    pub(super) fn next(&mut self) -> (CallEngine<B>, CallOptions) {
        let [first, second] = &mut self.replicas;
        let Some(replica) = first.take().or_else(|| second.take()) else {
            let primary = self.primary.take();
            let primary = primary.expect("BUG: a read has no place left");
            let Read {
                overrides,
                deadline,
                ..
            } = self.read;
            let options = self.read.options_at(&primary, overrides, deadline);
            return (primary, options);
        };
        let engine = CallEngine::on(replica, self.backend.clone());
        let mut until = self.read.deadline;
        if self.has_next() {
            // So that time is left for the next one.
            let now = clock::now();
            let rest = until.saturating_duration_since(now);
            until = now + engine.state.settings.load().attempt_timeout.min(rest / 2);
        }
        let overrides = self.read.overrides.with_patience(false);
        let options = self.read.options_at(&engine, overrides, until);
        (engine, options)
    }

    /// Whether a read that has failed in this way is to run at the next place. A read may run twice.
    pub(super) fn lead_on(&self, failed: &Error) -> bool {
        let is_doubtful = || self.is_checked() && matches!(failed, Error::Server { .. });
        self.has_next() && (is_fault_of_server(failed) || is_doubtful())
    }

    /// Whether a read with this reply is to run at the next place.
    pub(super) fn lead_on_after(&mut self, reply: &Value) -> bool {
        if !self.has_next() {
            return false;
        }
        if let Value::ServerError(error) = reply {
            let text = error.details().unwrap_or_default();
            return is_fault(error.code(), text) || self.is_checked();
        }
        let is_doubtful = self.is_checked() && has_gaps(reply);
        if is_doubtful {
            // The other replica would say the same.
            self.replicas = [None, None];
        }
        is_doubtful
    }

    /// Whether replies about nothing are asked for once more at the primary.
    fn is_checked(&self) -> bool {
        self.keys_move && self.primary.is_some()
    }

    /// Runs a command at one place after the other.
    pub(super) async fn execute(&mut self, command: &Cmd) -> Result<Value, Error> {
        loop {
            let (engine, options) = self.next();
            match engine.execute(command, &options).await {
                Ok(reply) if self.lead_on_after(&reply) => {}
                Err(error) if self.lead_on(&error) => {}
                ended => return ended,
            }
        }
    }

    /// Runs a pipeline at one place after the other.
    pub(super) async fn execute_pipeline(
        &mut self,
        pipeline: &Pipeline,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        loop {
            let (engine, options) = self.next();
            match engine.execute_pipeline(pipeline, options).await {
                Ok((replies, _)) if replies.iter().any(|reply| self.lead_on_after(reply)) => {}
                Err(error) if self.lead_on(&error) => {}
                ended => return ended,
            }
        }
    }

    fn has_next(&self) -> bool {
        self.replicas.iter().any(Option::is_some) || self.primary.is_some()
    }
}

/// Whether a reply may say of a key that there is none, or of one of several: the values of `MGET` have nothing in one place,
/// `TTL` answers with a negative number, and `HSCAN` with an empty page.
fn has_gaps(reply: &Value) -> bool {
    let is_gap = |item: &Value| match item {
        Value::Nil => true,
        Value::Int(number) => *number < 0,
        Value::Array(items) | Value::Set(items) => items.is_empty(),
        Value::Map(pairs) => pairs.is_empty(),
        _ => false,
    };
    match reply {
        Value::Array(items) => items.is_empty() || items.iter().any(is_gap),
        reply => is_of_none(reply) || is_gap(reply),
    }
}

/// Whether another server may serve the read.
fn is_fault_of_server(failed: &Error) -> bool {
    match failed {
        Error::CircuitOpen { .. }
        | Error::Overloaded { .. }
        | Error::TimedOut { .. }
        | Error::ConnectionLost { .. }
        | Error::ShuttingDown { .. }
        | Error::Abandoned { .. }
        | Error::Failed { .. }
        | Error::Isolated { .. }
        // The replica was removed.
        | Error::UnknownDatabase { .. } => true,
        Error::Server { code, error, .. } => is_fault(code, error.detail().unwrap_or_default()),
        _ => false,
    }
}

/// Whether an error reply is about the server, or about the place of a key.
fn is_fault(code: &str, text: &str) -> bool {
    let outcome = classify(AttemptEnd::ErrorReply(ErrorReply { code, text }));
    let is_failing = matches!(outcome.verdict, Verdict::Failing(_));
    let advises = matches!(
        outcome.again,
        RetryAdvice::Always | RetryAdvice::Elsewhere | RetryAdvice::OnceReady
    );
    is_failing || advises || is_away(code, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_about_a_key_that_may_be_elsewhere_have_gaps() {
        let text = |text: &str| Value::BulkString(text.into());
        let (empty, page) = (Value::Array(vec![]), Value::Array(vec![text("a")]));
        let with_gaps = [
            Value::Nil,
            Value::Int(0),
            Value::Int(-2),
            empty.clone(),
            Value::Map(vec![]),
            Value::Array(vec![text("a"), Value::Nil]),
            Value::Array(vec![Value::Int(-2)]),
            Value::Array(vec![text("0"), empty]),
            Value::SimpleString("none".into()),
        ];
        for reply in with_gaps {
            assert!(has_gaps(&reply), "{reply:?}");
        }
        let whole = [
            Value::Int(1),
            text("a"),
            Value::Array(vec![text("0"), page]),
            Value::Map(vec![(text("a"), text(""))]),
            Value::SimpleString("string".into()),
        ];
        for reply in whole {
            assert!(!has_gaps(&reply), "{reply:?}");
        }
    }
}
