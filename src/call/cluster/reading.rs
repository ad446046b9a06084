//! Reads that replicas of a cluster may serve: each runs at a replica of the node that has its slot, and otherwise as any
//! other call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use redis::{Cmd, Pipeline, Value};

use super::{
    super::{
        CallEngine, CallOptions, args,
        attempts::Attempts,
        places::{Places, Read},
    },
    refusal,
    scatter::{Placed, Replied, positions},
    several::{Ended, at_node, ended, parts},
    way::{Way, sends_away},
};
use crate::{
    backend::Backend,
    error::Error,
    policy::{
        cluster::{KeyPlace, Route, Split},
        command::{Block, Class, keys},
        reading::PrimaryRole,
        slots::Slot,
    },
    state::{DatabaseState, clock},
};

/// The wait for the answer of the nodes when replicas have sent a read away.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

impl<B: Backend> CallEngine<B> {
    /// As [`read`](Self::read), in a cluster.
    pub(in crate::call) async fn read_in_cluster(
        &self,
        command: &Cmd,
        read: Read<'_>,
    ) -> Result<Value, Error> {
        match self.route(command) {
            Route::Slot(slot) => self.read_at(Some(slot), command, read).await,
            Route::Any => self.read_at(None, command, read).await,
            Route::Split(split) => {
                let (parts, commands) = parts(split, command);
                let running = parts.iter().zip(&commands).map(|(part, command)| async {
                    let node = self.name_of(part.slot);
                    let run = self.read_at(Some(part.slot), command, read).await;
                    ended(node, part, run)
                });
                self.put_together(split, &parts, join_all(running).await)
            }
            Route::EachPrimary(merge) => {
                let options = self.options(read.overrides);
                let table = self.table(read.deadline, &options).await?;
                let running = table.serving().map(|node| async {
                    let engine = Self::on(node.state.clone(), self.backend.clone());
                    let run = match engine.places(&node.state, read).await {
                        Ok(mut places) => places.execute(command).await,
                        Err(error) => Err(error),
                    };
                    at_node(&node.state, run)
                });
                self.merged(merge, join_all(running).await)
            }
            Route::Crossed(first, other) => Err(self.crossed(command, first, other)),
            Route::Refused(why) => Err(self.forbidden(command, refusal(why))),
        }
    }

    async fn read_at(
        &self,
        slot: Option<Slot>,
        command: &Cmd,
        read: Read<'_>,
    ) -> Result<Value, Error> {
        if self.needs_primary(command, read) {
            return self.only_here(read).execute(command).await;
        }
        loop {
            let mut places = self.places_of(slot, read).await?;
            match places.execute(command).await {
                Err(Error::Server { code, .. }) if self.may_go_on(&code, read).await => {}
                ended => return ended,
            }
        }
    }

    /// Whether the replicas of another node may serve a read that the last replica has sent away, as no primary was left. Waits
    /// for what the cluster says of its nodes by now.
    async fn may_go_on(&self, code: &str, read: Read<'_>) -> bool {
        if code != "MOVED" || read.reading.primary == PrimaryRole::LastResort {
            return false;
        }
        let cluster = &self.state.cluster;
        let table = cluster.table.present().clone();
        let until = read.deadline.min(clock::now() + LONGEST_WAIT);
        cluster.ask_again(&self.state.id);
        cluster.table.next(table.as_ref(), until).await;
        clock::now() < read.deadline
    }

    /// Whether no replica may serve a command: while its keys move, a replica has only some of them, and does not say so. The
    /// values of `MGET` show which. A script may make anything of keys that it does not find.
    fn needs_primary(&self, command: &Cmd, read: Read<'_>) -> bool {
        if !read.is_proven_by_primary() {
            return false;
        }
        let has_several = || {
            let mut keys = keys(args(command), |name| self.state.survey.keys(name));
            keys.nth(1).is_some()
        };
        let shows_gaps = Split::of(args(command)) == Some(Split::Values);
        Class::of(args(command)).runs_script() || has_several() && !shows_gaps
    }

    /// The places of a read of this slot: replicas of its node, and the node that has it by then.
    async fn places_of<'a>(
        &'a self,
        slot: Option<Slot>,
        read: Read<'a>,
    ) -> Result<Places<'a, B>, Error> {
        let options = self.options(read.overrides);
        let mut before: Option<Arc<DatabaseState>> = None;
        loop {
            let way = Way::until(self, slot, read.deadline, options);
            let node = way.first().await?.engine.state;
            let is_same = before.is_some_and(|before| Arc::ptr_eq(&before, &node));
            match self.places(&node, read).await {
                Ok(places) => return Ok(places.where_keys_move()),
                // Another node has the slot by now.
                Err(_) if node.is_removed() && !is_same => before = Some(node),
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`read_pipeline`](Self::read_pipeline), in a cluster. Reads have no order among each other, so all run at once: those
    /// of one node in one write, and those of several nodes on their own.
    pub(in crate::call) async fn read_pipeline_in_cluster(
        &self,
        pipeline: &Pipeline,
        read: Read<'_>,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        let options = self.options(read.overrides).ending(read.deadline);
        if options.is_to_be_traced() {
            let call = self.read_at_nodes(pipeline, read, options.traced());
            return Box::pin(self.in_span_of(pipeline, call)).await;
        }
        self.read_at_nodes(pipeline, read, options).await
    }

    async fn read_at_nodes(
        &self,
        pipeline: &Pipeline,
        read: Read<'_>,
        options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        let place = |command: &Cmd, class| self.place(command, class, &options);
        let (work, block, options) = self.prepare(pipeline, options, place).await?;
        if pipeline.is_transaction() {
            let slot = self.slot_of(&work)?;
            // Its replies are within one.
            let mut places = if read.is_proven_by_primary() {
                self.only_here(read)
            } else {
                self.places_of(Some(slot), read).await?
            };
            return places.execute_pipeline(pipeline).await;
        }
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        // Commands without keys go along with the others.
        let mut slot = Slot::default();
        for (at, (command, class)) in work.commands().enumerate() {
            match self.route(command) {
                _ if self.needs_primary(command, read) => {
                    alone.push((at, command));
                    continue;
                }
                Route::Slot(of_key) => slot = of_key,
                Route::Any => {}
                Route::Split(_) | Route::EachPrimary(_) => {
                    alone.push((at, command));
                    continue;
                }
                Route::Crossed(first, other) => {
                    let at = |key| KeyPlace { command: at, ..key };
                    return Err(self.crossed(command, at(first), at(other)));
                }
                Route::Refused(why) => return Err(self.forbidden(command, refusal(why))),
            }
            together.push(Placed {
                at,
                command,
                class,
                slot,
            });
        }
        let table = self.table(read.deadline, &options).await?;
        let mut by_node = BTreeMap::<usize, Vec<Placed<'_>>>::new();
        for sent in together {
            let node = by_node.entry(table.position(sent.slot));
            node.or_default().push(sent);
        }
        let groups = by_node
            .into_values()
            .map(|group| self.read_together(group, block, read));
        let alone = alone.into_iter().map(|(at, command)| async move {
            let run = self.read_in_cluster(command, read).await;
            self.part(vec![at], run.map(|reply| vec![(at, reply)]))
        });
        let groups = join_all(groups.collect::<Vec<_>>());
        let alone = join_all(alone.collect::<Vec<_>>());
        let (mut ended, alone) = futures_util::future::join(groups, alone).await;
        ended.push(alone);
        let mut replies = vec![Value::Nil; work.replies()];
        let ended = ended.into_iter().flatten().collect();
        for (at, reply) in self.joined(ended)?.into_iter().flatten() {
            replies[at] = reply;
        }
        Ok((replies, Attempts::first_try(&options)))
    }

    /// Runs commands of one node in one write at its replicas, and those that they do not serve at the nodes.
    async fn read_together(
        &self,
        mut sent: Vec<Placed<'_>>,
        block: Option<Block>,
        read: Read<'_>,
    ) -> Vec<Ended<Replied>> {
        let mut places = match self.places_of(Some(sent[0].slot), read).await {
            Ok(places) => places,
            Err(error) => return vec![self.part(positions(&sent), Err(error))],
        };
        let mut ended = Vec::new();
        loop {
            let (engine, options) = places.next();
            let is_at_nodes = Arc::ptr_eq(&engine.state, &self.state);
            let parts = if is_at_nodes {
                self.scatter(&sent, block, options).await
            } else {
                vec![engine.run_as_part(&sent, block, options).await]
            };
            let (mut again, mut away) = (BTreeSet::new(), BTreeSet::new());
            for part in parts {
                match part.result {
                    Ok(replied) => {
                        let (failed, mut here): (Replied, Replied) = replied
                            .into_iter()
                            .partition(|(_, reply)| places.lead_on_after(reply));
                        again.extend(failed.into_iter().map(|(at, _)| at));
                        if !is_at_nodes {
                            // No place is left here, but there may be others by now.
                            let is_away = |(_, reply): &mut (usize, Value)| sends_away(reply);
                            away.extend(here.extract_if(.., is_away).map(|(at, _)| at));
                        }
                        if !here.is_empty() {
                            ended.push(self.replied(here));
                        }
                    }
                    Err(error) if places.lead_on(&error) => again.extend(part.positions),
                    result => ended.push(Ended { result, ..part }),
                }
            }
            let away = sent.iter().filter(|sent| away.contains(&sent.at));
            let away = away.map(|sent| async {
                let run = self.read_at(Some(sent.slot), sent.command, read).await;
                self.part(vec![sent.at], run.map(|reply| vec![(sent.at, reply)]))
            });
            ended.extend(join_all(away.collect::<Vec<_>>()).await);
            sent.retain(|sent| again.contains(&sent.at));
            if sent.is_empty() {
                return ended;
            }
        }
    }

    /// Runs commands at this node in one write.
    async fn run_as_part(
        &self,
        sent: &[Placed<'_>],
        block: Option<Block>,
        options: CallOptions,
    ) -> Ended<Replied> {
        let run = self.run(sent, false, block, options).await;
        let replied = run.map(|(replies, _)| positions(sent).into_iter().zip(replies).collect());
        self.part(positions(sent), replied)
    }
}
