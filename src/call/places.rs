//! The places where a read may run, one after the other: replicas and the primary.

use std::{sync::Arc, time::Instant};

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
        reading::{PrimaryRole, Reading},
    },
    reply_code::ErrorReply,
    state::{DatabaseState, ReadPlace, clock, count, is_of_none},
};

/// A call that reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a> {
    pub(super) reading: &'a Reading,
    pub(super) overrides: Overrides,
    pub(super) deadline: tokio::time::Instant,
    may_block: bool,
    /// It may block, and the caller has set no timeout that holds for that as well.
    is_unbounded: bool,
}

/// The places of one read, one after the other: two replicas at most, and the primary unless that is not wanted.
#[derive(Debug)]
pub(super) struct Places<'a, B> {
    left: [Option<ReadPlace>; 4],
    /// What runs a read at the primary.
    primary: &'a CallEngine<B>,
    read: Read<'a>,
    is_at_replica: bool,
    /// Keys move from server to server, so that a replica may say of one that there is none, and that is to be checked.
    keys_move: bool,
}

impl<B: Backend> CallEngine<B> {
    /// Runs a command that only reads, on a replica if one may serve it.
    pub(crate) async fn read(
        &self,
        command: &Cmd,
        reading: &Reading,
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
        reading: &Reading,
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
    fn begin_read<'a, 'r>(
        &self,
        commands: impl IntoIterator<Item = &'a Cmd>,
        reading: &'r Reading,
        overrides: Overrides,
    ) -> Result<(Read<'r>, CallOptions), Error> {
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
            is_unbounded: may_block && !options.is_strict(),
        };
        Ok((read, options))
    }

    /// The places where a read may run: replicas of this server, and its primary, which is reached by this engine. Without one,
    /// it waits for a replica where the options want that.
    pub(super) async fn places<'a>(
        &'a self,
        server: &Arc<DatabaseState>,
        read: Read<'a>,
    ) -> Result<Places<'a, B>, Error> {
        let left = places_by_view(server, read.reading, clock::now().into_std());
        if left.iter().any(Option::is_some) {
            return Ok(self.places_in(left, read));
        }
        let is_patient = self.options(read.overrides).is_patient;
        let server = Self::on(server.clone(), self.backend.clone());
        // Boxed, so that the future of this rare case does not enlarge that of every call.
        let waited = Box::pin(server.wait_for_replica(read.reading, read.deadline, is_patient));
        Ok(self.places_in(waited.await?, read))
    }

    /// The only place of a read that no replica may serve.
    pub(super) fn only_here<'a>(&'a self, read: Read<'a>) -> Places<'a, B> {
        self.places_in([Some(ReadPlace::Primary), None, None], read)
    }

    fn places_in<'a>(&'a self, chosen: [Option<ReadPlace>; 3], read: Read<'a>) -> Places<'a, B> {
        let last = chosen.iter().rev().find_map(Option::as_ref);
        // After all others have failed, a patient read waits for the primary, and the store that stands in for it may serve.
        let waits = matches!(last, Some(ReadPlace::Replica(_)))
            && read.reading.primary != PrimaryRole::Excluded
            && (self.options(read.overrides).is_patient || self.state.local.is_wanted());
        let [first, second, third] = chosen;
        Places {
            left: [first, second, third, waits.then_some(ReadPlace::Primary)],
            primary: self,
            read,
            is_at_replica: false,
            keys_move: false,
        }
    }

    /// Waits for the first look at the replicas, and if it `is_patient`, until one can serve.
    async fn wait_for_replica(
        &self,
        reading: &Reading,
        deadline: tokio::time::Instant,
        is_patient: bool,
    ) -> Result<[Option<ReadPlace>; 3], Error> {
        loop {
            let seen = self.state.replicas.view.present().clone();
            let now = clock::now();
            let places = places_by_view(&self.state, reading, now.into_std());
            if places.iter().any(Option::is_some) {
                return Ok(places);
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

/// The places where a read of a server runs, by what was found of its replicas.
fn places_by_view(
    server: &Arc<DatabaseState>,
    reading: &Reading,
    now: Instant,
) -> [Option<ReadPlace>; 3] {
    match &*server.replicas.view.present() {
        Some(view) => view.places(server, reading, now),
        None if reading.primary == PrimaryRole::Excluded => [None, None, None],
        None => [Some(ReadPlace::Primary), None, None],
    }
}

impl Read<'_> {
    /// Whether a bound of age is to hold, and the primary may serve where a replica cannot prove it.
    pub(super) fn is_proven_by_primary(&self) -> bool {
        self.reading.max_staleness.is_some() && self.reading.primary != PrimaryRole::Excluded
    }

    /// The options of a call for this read on a server, with this time for it at most.
    fn options_at<B: Backend>(
        &self,
        engine: &CallEngine<B>,
        overrides: Overrides,
        until: tokio::time::Instant,
    ) -> CallOptions {
        let options = engine.options(overrides);
        // A part of the time would end the wait of a command that blocks.
        let until = if self.may_block { self.deadline } else { until };
        options.ending_unless(until.min(self.deadline), self.is_unbounded)
    }
}

impl<B: Backend> Places<'_, B> {
    /// Replies about nothing are no proof, since the keys of these servers move to others.
    pub(super) fn where_keys_move(self) -> Self {
        Self {
            keys_move: self.read.is_proven_by_primary(),
            ..self
        }
    }

    /// The next place. There is always one, as long as the one before [leads on](Self::lead_on).
    pub(super) fn next(&mut self) -> (CallEngine<B>, CallOptions) {
        let place = self.left.iter_mut().find_map(Option::take);
        let place = place.expect("BUG: a read has no place left");
        let is_last = !self.has_next();
        self.is_at_replica = matches!(place, ReadPlace::Replica(_));
        let engine = match place {
            ReadPlace::Replica(replica) => CallEngine::on(replica, self.primary.backend.clone()),
            ReadPlace::Primary => self.primary.clone(),
        };
        let mut until = self.read.deadline;
        if !is_last {
            // So that time is left for the next one.
            let now = clock::now();
            let rest = until.saturating_duration_since(now);
            until = now + engine.state.settings.load().attempt_timeout.min(rest / 2);
        }
        let mut overrides = self.read.overrides;
        if self.is_at_replica || !is_last {
            overrides = overrides.with_patience(false);
        }
        let mut options = self.read.options_at(&engine, overrides, until);
        options.has_other_place = !is_last;
        (engine, options)
    }

    /// Whether a read that has failed in this way is to run at the next place. A read may run twice.
    pub(super) fn lead_on(&mut self, failed: &Error) -> bool {
        let is_out_of_time = !self.read.is_unbounded && clock::now() >= self.read.deadline;
        if matches!(failed, Error::TimedOut { .. }) && is_out_of_time {
            return false;
        }
        let is_reply = matches!(failed, Error::Server { .. });
        self.has_next() && is_fault_of_server(failed) || is_reply && self.is_confirmed_next()
    }

    /// Whether a read with this reply is to run at the next place.
    pub(super) fn lead_on_after(&mut self, reply: &Value) -> bool {
        if let Value::ServerError(error) = reply {
            let text = error.details().unwrap_or_default();
            let is_fault = self.has_next() && is_fault(error.code(), text);
            return is_fault || self.is_confirmed_next();
        }
        has_gaps(reply) && self.is_confirmed_next()
    }

    /// Leads a read to the primary if its reply comes from a replica and may be wrong because keys move. Another replica would
    /// say the same.
    fn is_confirmed_next(&mut self) -> bool {
        let is_unproven = self.keys_move && self.is_at_replica;
        if is_unproven {
            self.left = [Some(ReadPlace::Primary), None, None, None];
        }
        is_unproven
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
        self.left.iter().any(Option::is_some)
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
    use std::{pin::pin, time::Duration};

    use futures_util::poll;
    use redis::cmd;

    use super::*;
    use crate::call::tests::{Script, answered};

    fn reading(max_staleness: Option<Duration>) -> Reading {
        Reading {
            max_staleness,
            primary: PrimaryRole::Candidate,
            zone: None,
        }
    }

    /// What a read answers that finds a primary which is down, and then a replica that knows no such key. Keys move.
    async fn read_after_primary(reading: &Reading) -> Result<Value, Error> {
        let (_, primary) = Script::of([answered(Value::Nil)]);
        primary.state.set_gate(GateState::Open);
        let (_, replica) = Script::of([]);
        let read = primary.begin_read([], reading, Overrides::default());
        let (read, _) = read.expect("nothing is refused");
        let replica = Some(ReadPlace::Replica(replica.state));
        let places = primary.places_in([Some(ReadPlace::Primary), replica, None], read);
        let get = cmd("GET").arg("k").take();
        places.where_keys_move().execute(&get).await
    }

    #[tokio::test]
    async fn a_patient_read_waits_for_the_primary_when_all_servers_have_failed() {
        let (_, primary) = Script::of([answered(Value::Okay)]);
        let (_, replica) = Script::of([]);
        for engine in [&primary, &replica] {
            engine.state.set_gate(GateState::Open);
        }
        let read = |is_patient| {
            let overrides = Overrides::default().with_patience(is_patient);
            let (primary, replica) = (&primary, replica.state.clone());
            async move {
                let reading = reading(None);
                let read = primary.begin_read([], &reading, overrides);
                let (read, _) = read.expect("nothing is refused");
                let replica = Some(ReadPlace::Replica(replica));
                let mut places = primary.places_in([Some(ReadPlace::Primary), replica, None], read);
                places.execute(cmd("GET").arg("k")).await
            }
        };
        let refused = read(false).await;
        assert!(
            matches!(refused, Err(Error::CircuitOpen { .. })),
            "{refused:?}"
        );
        let mut waiting = pin!(read(true));
        assert!(poll!(&mut waiting).is_pending());
        primary.state.set_gate(GateState::Free);
        assert_eq!(waiting.await.expect("a reply"), Value::Okay);
    }

    #[tokio::test]
    async fn a_replica_proves_nothing_of_keys_that_move_also_after_the_primary() {
        let reply = read_after_primary(&reading(None)).await;
        assert_eq!(reply.expect("a reply"), Value::Nil, "no bound of age");
        let reply = read_after_primary(&reading(Some(Duration::from_secs(9)))).await;
        assert!(matches!(reply, Err(Error::CircuitOpen { .. })), "{reply:?}");
    }

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
