//! Pipelines of a cluster: a transaction runs at one node, and the commands of any other pipeline at the nodes of their
//! keys.

use std::collections::BTreeSet;

use redis::{Cmd, Pipeline, Value};

use super::{
    super::{CallEngine, CallOptions, args, attempts::Attempts, work::Batch},
    refusal,
    scatter::Placed,
    way::{Way, sends_away},
};
use crate::{
    backend::Backend,
    error::Error,
    net::Reply,
    policy::{
        cluster::{Atomic, KeyPlace, Route},
        command::Refusal,
        slots::Slot,
    },
    state::clock,
};

/// Commands that run at once, and one that follows them at several nodes.
#[derive(Default)]
struct Stage<'a> {
    sent: Vec<Placed<'a>>,
    apart: Option<(usize, &'a Cmd)>,
}

impl<B: Backend> CallEngine<B> {
    /// As [`execute_pipeline`](Self::execute_pipeline), in a cluster.
    pub(in crate::call) async fn execute_pipeline_in_cluster(
        &self,
        pipeline: &Pipeline,
        options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        if options.is_to_be_traced() {
            let call = self.execute_pipeline_in_cluster(pipeline, options.traced());
            return Box::pin(self.in_span_of(pipeline, call)).await;
        }
        let place = |command: &Cmd, class| self.place(command, class, &options);
        let (work, block, options) = self.prepare(pipeline, options, place).await?;
        if pipeline.is_transaction() {
            return self.transact_at_slot(&work, options).await;
        }
        let began = clock::now();
        let options = options.ending_unless(options.end(began), block.is_some());
        let mut stages = vec![Stage::default()];
        // Commands without keys go along with the others.
        let mut slot = Slot::default();
        let mut slots = BTreeSet::new();
        for (at, (command, class)) in work.commands().enumerate() {
            match self.route(command) {
                // It asks about the writes before it.
                _ if class.looks_back() => {}
                Route::Slot(of_key) => slot = of_key,
                Route::Any => {}
                Route::Split(_) | Route::EachPrimary(_) => {
                    if let Some(last) = stages.last_mut() {
                        last.apart = Some((at, command));
                    }
                    stages.push(Stage::default());
                    slots.insert(Slot::default());
                    continue;
                }
                Route::Crossed(first, other) => {
                    let at = |key| KeyPlace { command: at, ..key };
                    return Err(self.crossed(command, at(first), at(other)));
                }
                Route::Refused(why) => return Err(self.forbidden(command, refusal(why))),
            }
            slots.insert(slot);
            if class.looks_back() && slots.len() > 1 {
                return Err(self.forbidden(command, Refusal::Alone));
            }
            if let Some(last) = stages.last_mut() {
                last.sent.push(Placed {
                    at,
                    command,
                    class,
                    slot,
                });
            }
        }
        let mut ended = Vec::new();
        for Stage { sent, apart } in stages {
            if !sent.is_empty() {
                ended.extend(self.scatter(&sent, block, options).await);
            }
            if let Some((at, command)) = apart {
                let run = Box::pin(self.execute_in_cluster(command, options)).await;
                ended.push(self.part(vec![at], run.map(|(reply, _)| vec![(at, reply)])));
            }
        }
        let mut replies = vec![Value::Nil; work.replies()];
        for (at, reply) in self.joined(ended)?.into_iter().flatten() {
            replies[at] = reply;
        }
        Ok((replies, Attempts::first_try(&options)))
    }

    /// Runs a transaction at the node of its keys.
    async fn transact_at_slot(
        &self,
        work: &Batch<'_>,
        options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        let slot = self.slot_of(work)?;
        let mut way = Way::new(self, Some(slot), work, None, options);
        let mut stop = way.first().await?;
        loop {
            let batch = work.clone().asking(stop.is_asking);
            let run = stop.engine.run_batch(&batch, None, stop.options);
            let error = match stop.run(self, run).await {
                Ok((replies, attempts)) => {
                    let is_discarded = replies.last().is_some_and(is_error);
                    let away = replies.iter().find(|reply| sends_away(reply));
                    let Some(away) = away.filter(|_| is_discarded) else {
                        return Ok((replies, attempts));
                    };
                    let away = Reply::One(away.clone());
                    match stop.engine.unless_error(away, attempts) {
                        Err(error) => error,
                        Ok(_) => return Ok((replies, attempts)),
                    }
                }
                Err(error) => error,
            };
            stop = way.after(stop, error).await?;
        }
    }

    /// The slot of all commands of a transaction. Those without keys go along.
    pub(super) fn slot_of(&self, work: &Batch<'_>) -> Result<Slot, Error> {
        let command = |at: usize| {
            let command = work.commands().nth(at).map(|(command, _)| command);
            command.expect("BUG: a command beyond all")
        };
        let words = work.commands().map(|(command, _)| args(command));
        match Atomic::of(words, |name| self.state.survey.keys(name)) {
            Atomic::Slot(slot) => Ok(slot),
            // Any node will do.
            Atomic::Any => Ok(Slot::default()),
            Atomic::Crossed(first, other) => {
                Err(self.crossed(command(other.command), first, other))
            }
            Atomic::Refused {
                command: at,
                reason,
            } => Err(self.forbidden(command(at), refusal(reason))),
        }
    }
}

fn is_error(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(_))
}
