//! Pipelines of a cluster: a transaction runs at one node, and the commands of any other pipeline at the nodes of their
//! keys, those for one node in one write.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all};
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::{
    super::{CallEngine, CallOptions, args, attempts::Attempts, work::Batch},
    refusal,
    several::Ended,
    way::{Stop, Way, handing_over, sends_away},
};
use crate::{
    backend::Backend,
    error::Error,
    execution::Execution,
    net::Reply,
    policy::{
        cluster::{Atomic, KeyPlace, Route},
        command::{Block, Class, Refusal},
        slots::Slot,
    },
    state::{SlotTable, clock},
};

/// A command of a pipeline: its position, and where it goes.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) at: usize,
    pub(super) command: &'a Cmd,
    pub(super) class: Class,
    pub(super) slot: Slot,
}

/// Commands that run at once, and one that follows them at several nodes.
#[derive(Default)]
struct Stage<'a> {
    sent: Vec<Sent<'a>>,
    apart: Option<(usize, &'a Cmd)>,
}

/// The commands of one part, with their replies.
pub(super) type Replied = Vec<(usize, Value)>;
/// The replies of commands at a node.
type Run = Result<(Vec<Value>, Attempts), Error>;

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
                last.sent.push(Sent {
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

    /// Runs commands at their nodes: first those for one node in one write, and then those that are at another node after
    /// all, by their slots.
    pub(super) async fn scatter(
        &self,
        sent: &[Sent<'_>],
        block: Option<Block>,
        options: CallOptions,
    ) -> Vec<Ended<Replied>> {
        let one_slot = sent.first().map(|first| first.slot);
        let is_of_one = |slot: Slot| sent.iter().all(|sent| sent.slot == slot);
        if let Some(slot) = one_slot.filter(|slot| is_of_one(*slot)) {
            return self.batch_at(slot, sent.to_vec(), block, options).await;
        }
        let deadline = options.deadline(clock::now(), options.time_limit(block));
        let table = match self.table(deadline, &options).await {
            Ok(table) => table,
            Err(_) if sent.is_empty() => return Vec::new(),
            Err(error) => return vec![self.part(positions(sent), Err(error))],
        };
        let mut by_node = BTreeMap::<usize, Vec<Sent<'_>>>::new();
        let (mut apart, mut ended) = (Vec::new(), Vec::new());
        for sent in sent {
            // Each waits for the calls before it, or says what is wrong with its slot.
            let at = table.settled_position(sent.slot);
            match table.node(at) {
                Some(_) => by_node.entry(at).or_default().push(*sent),
                None => apart.push(*sent),
            }
        }
        let running = by_node.into_iter().map(|(at, group)| {
            let node = table.node(at).expect("BUG: a node has gone from its table");
            let engine = CallEngine::on(node.state.clone(), self.backend.clone());
            self.group_at((engine, &*table, at), group, block, options, deadline)
        });
        let apart = self.by_slot(apart, block, options);
        let (groups, apart) = join(join_all(running.collect::<Vec<_>>()), apart).await;
        groups.into_iter().for_each(|group| ended.extend(group));
        ended.extend(apart);
        ended
    }

    /// Runs commands at their node in one write, and those that are at another one after all there.
    async fn group_at(
        &self,
        (node, table, at): (Self, &SlotTable, usize),
        group: Vec<Sent<'_>>,
        block: Option<Block>,
        options: CallOptions,
        deadline: Instant,
    ) -> Vec<Ended<Replied>> {
        let at_node = options.at_node().ending_unless(deadline, block.is_some());
        let look_back = || {
            for sent in &group {
                self.look_back(table, sent.slot, at, &node);
            }
        };
        let run = node.run(&group, false, block, at_node);
        let (replies, attempts) = match handing_over(run, look_back).await {
            Ok(run) => run,
            Err(error) if error.has_not_run() => {
                return self.by_slot(group, block, options).await;
            }
            Err(error) => {
                return vec![Ended {
                    node: node.state.name(),
                    positions: positions(&group),
                    result: Err(error),
                }];
            }
        };
        let (away, here): (Vec<_>, Vec<_>) = group
            .into_iter()
            .zip(replies)
            .partition(|(_, reply)| sends_away(reply));
        let here: Replied = here
            .into_iter()
            .map(|(sent, reply)| (sent.at, reply))
            .collect();
        let mut by_slot = BTreeMap::<Slot, (Vec<Sent<'_>>, Vec<Value>)>::new();
        for (sent, reply) in away {
            let (group, replies) = by_slot.entry(sent.slot).or_default();
            group.push(sent);
            replies.push(reply);
        }
        // At once, and not when other nodes have answered: calls that are made later wait for these.
        let rest = by_slot.into_iter().map(|(slot, (group, replies))| {
            let run = Ok((replies, attempts));
            self.batch_from(slot, &node, run, group, block, options)
        });
        let rest = join_all(rest.collect::<Vec<_>>()).await;
        let here = (!here.is_empty()).then(|| self.replied(here));
        here.into_iter().chain(rest.into_iter().flatten()).collect()
    }

    /// Runs commands at the nodes of their slots, those of each slot on their own.
    async fn by_slot(
        &self,
        sent: Vec<Sent<'_>>,
        block: Option<Block>,
        options: CallOptions,
    ) -> Vec<Ended<Replied>> {
        let mut by_slot = BTreeMap::<Slot, Vec<Sent<'_>>>::new();
        for sent in sent {
            by_slot.entry(sent.slot).or_default().push(sent);
        }
        let running = by_slot
            .into_iter()
            .map(|(slot, group)| self.batch_at(slot, group, block, options));
        let ended = join_all(running.collect::<Vec<_>>()).await;
        ended.into_iter().flatten().collect()
    }

    /// Runs commands of one slot at its node, wherever that is by then.
    async fn batch_at(
        &self,
        slot: Slot,
        sent: Vec<Sent<'_>>,
        block: Option<Block>,
        options: CallOptions,
    ) -> Vec<Ended<Replied>> {
        let way = Way::new(self, Some(slot), &batch(&sent), block, options);
        let stop = match way.first().await {
            Ok(stop) => stop,
            Err(error) => return vec![self.part(positions(&sent), Err(error))],
        };
        let run = stop.engine.run(&sent, false, block, stop.options);
        let run = stop.run(self, run).await;
        self.batch_on(way, stop, run, sent, block).await
    }

    /// Goes on with commands of one slot that have run at this node.
    async fn batch_from(
        &self,
        slot: Slot,
        node: &Self,
        run: Run,
        sent: Vec<Sent<'_>>,
        block: Option<Block>,
        options: CallOptions,
    ) -> Vec<Ended<Replied>> {
        let way = Way::new(self, Some(slot), &batch(&sent), block, options);
        match way.begun_at(node.clone()) {
            Some(stop) => self.batch_on(way, stop, run, sent, block).await,
            None => self.batch_at(slot, sent, block, options).await,
        }
    }

    /// Goes on with commands of one slot after this run. Those that have moved are sent again, and no others.
    async fn batch_on(
        &self,
        mut way: Way<'_, B>,
        mut stop: Stop<B>,
        mut run: Run,
        mut sent: Vec<Sent<'_>>,
        block: Option<Block>,
    ) -> Vec<Ended<Replied>> {
        let mut replied = Vec::new();
        loop {
            let node = stop.engine.state.name();
            let (error, last) = match run {
                Ok((replies, attempts)) => {
                    let answered = sent.iter().map(|sent| sent.at).zip(replies);
                    let (away, here): (Replied, Replied) =
                        answered.partition(|(_, reply)| sends_away(reply));
                    replied.extend(here);
                    let Some((_, first)) = away.first() else {
                        return vec![self.replied(replied)];
                    };
                    let first = Reply::One(first.clone());
                    // Others may have run, and these have not.
                    let attempts = Attempts {
                        execution: Execution::NotExecuted,
                        ..attempts
                    };
                    let Err(error) = stop.engine.unless_error(first, attempts) else {
                        unreachable!("BUG: no error sends a client away")
                    };
                    sent.retain(|sent| away.iter().any(|(at, _)| *at == sent.at));
                    (error, away)
                }
                Err(error) => (error, Vec::new()),
            };
            match way.after(stop, error).await {
                Ok(next) => stop = next,
                // The caller is told of each command what its last answer was.
                Err(_) if !last.is_empty() => {
                    replied.extend(last);
                    return vec![self.replied(replied)];
                }
                Err(error) => {
                    let failed = Ended {
                        node,
                        positions: positions(&sent),
                        result: Err(error),
                    };
                    let replied = (!replied.is_empty()).then(|| self.replied(replied));
                    return replied.into_iter().chain([failed]).collect();
                }
            }
            let again = stop.engine.run(&sent, stop.is_asking, block, stop.options);
            run = stop.run(self, again).await;
        }
    }

    /// Runs commands at this node in one write.
    pub(super) async fn run(
        &self,
        sent: &[Sent<'_>],
        is_asking: bool,
        block: Option<Block>,
        options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        let batch = batch(sent).asking(is_asking);
        self.run_batch(&batch, block, options).await
    }

    pub(super) async fn run_batch(
        &self,
        batch: &Batch<'_>,
        block: Option<Block>,
        options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        let commands = batch.commands().map(|(command, _)| command);
        let _write = options.has_near_cache.then(|| self.writes(commands));
        let options = options.without_near_cache();
        let (reply, attempts) = match block {
            None => self.call(batch, &options).await?,
            Some(block) => Box::pin(self.call_leased(batch, block, &options)).await?,
        };
        Ok((batch.without_asking(reply.into_many()), attempts))
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

    pub(super) fn replied(&self, replied: Replied) -> Ended<Replied> {
        let positions = replied.iter().map(|(at, _)| *at).collect();
        self.part(positions, Ok(replied))
    }

    pub(super) fn part(
        &self,
        positions: Vec<usize>,
        result: Result<Replied, Error>,
    ) -> Ended<Replied> {
        Ended {
            node: self.state.name(),
            positions,
            result,
        }
    }
}

fn batch<'a>(sent: &[Sent<'a>]) -> Batch<'a> {
    Batch::of(sent.iter().map(|sent| (sent.command, sent.class)).collect())
}

pub(super) fn positions(sent: &[Sent<'_>]) -> Vec<usize> {
    sent.iter().map(|sent| sent.at).collect()
}

fn is_error(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(_))
}
