//! Commands of a pipeline at the nodes of their keys: those for one node in one write, and those that have moved again at their
//! new node, and no others.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};
use redis::{Cmd, Value};
use tokio::time::Instant;

use super::{
    super::{CallEngine, CallOptions, attempts::Attempts, work::Batch},
    several::Ended,
    way::{Stop, Way, handing_over, sends_away},
};
use crate::{
    backend::Backend,
    error::Error,
    execution::Execution,
    net::Reply,
    policy::{
        command::{Block, Class},
        slots::Slot,
    },
    state::{SlotTable, clock},
};

/// A command of a pipeline: its position, and where it goes.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) at: usize,
    pub(super) command: &'a Cmd,
    pub(super) class: Class,
    pub(super) slot: Slot,
}

/// The commands of one part, with their replies.
pub(super) type Replied = Vec<(usize, Value)>;
/// The replies of commands at a node.
type Run = Result<(Vec<Value>, Attempts), Error>;

impl<B: Backend> CallEngine<B> {
    /// Runs commands at their nodes: first those for one node in one write, and then those that are at another node after
    /// all, by their slots.
    pub(super) async fn scatter(
        &self,
        sent: &[Placed<'_>],
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
        let mut by_node = BTreeMap::<usize, Vec<Placed<'_>>>::new();
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
        group: Vec<Placed<'_>>,
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
        let mut by_slot = BTreeMap::<Slot, (Vec<Placed<'_>>, Vec<Value>)>::new();
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
        sent: Vec<Placed<'_>>,
        block: Option<Block>,
        options: CallOptions,
    ) -> Vec<Ended<Replied>> {
        let mut by_slot = BTreeMap::<Slot, Vec<Placed<'_>>>::new();
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
        sent: Vec<Placed<'_>>,
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
        sent: Vec<Placed<'_>>,
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
        mut sent: Vec<Placed<'_>>,
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
        sent: &[Placed<'_>],
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

fn batch<'a>(sent: &[Placed<'a>]) -> Batch<'a> {
    Batch::of(sent.iter().map(|sent| (sent.command, sent.class)).collect())
}

pub(super) fn positions(sent: &[Placed<'_>]) -> Vec<usize> {
    sent.iter().map(|sent| sent.at).collect()
}
