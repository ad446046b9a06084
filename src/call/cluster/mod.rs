//! Calls of a database that is a cluster: each command runs at the node of its keys, as a call of that node's database.
//! Calls of other databases do not come here.
//!
//! - this file: one command · `way`: from node to node · `several`: the parts of a command, and commands for all nodes ·
//!   `pipeline`: pipelines · `scatter`: their commands at several nodes · `leased`: exclusive connections · `reading`: reads that replicas may serve

mod leased;
mod pipeline;
mod reading;
mod scatter;
mod several;
mod way;

#[cfg(test)]
mod tests;

use redis::{Cmd, Value};

use self::way::{Stop, Way};
use super::{
    CallEngine, CallOptions, args,
    plain::Sent,
    work::{Batch, Single},
};
use crate::{
    backend::Backend,
    error::Error,
    execution::Source,
    net::Reply,
    policy::{
        cluster::{KeyPlace, Route, Unroutable},
        command::{Block, Class, KeySlot, Refusal},
        gate_state::GateState,
        slots::Slot,
    },
    state::SlotTable,
};

impl<B: Backend> CallEngine<B> {
    /// Runs one command at the node of its keys, or at all of them that it concerns.
    pub(in crate::call) async fn execute_in_cluster(
        &self,
        command: &Cmd,
        options: CallOptions,
    ) -> Result<(Value, Source), Error> {
        let (class, options) = match self.class(command) {
            Class::Unknown => Box::pin(self.ask(command, options)).await?,
            class => (class, options),
        };
        self.refuse_alone(command, class)?;
        match self.route(command) {
            Route::Slot(slot) => self.execute_at(Some(slot), command, class, options).await,
            Route::Split(split) => {
                let reply = self.execute_split(split, command, class, options).await?;
                Ok((reply, Source::Redis))
            }
            Route::EachPrimary(merge) => {
                let reply = self.execute_at_each(merge, command, options).await?;
                Ok((reply, Source::Redis))
            }
            Route::Any => self.execute_at(None, command, class, options).await,
            Route::Crossed(first, other) => Err(self.crossed(command, first, other)),
            Route::Refused(why) => Err(self.forbidden(command, refusal(why))),
        }
    }

    /// Hands a plain command to its node, if no more than a look at the table is needed for that.
    pub(in crate::call) fn begin_at_node(
        &self,
        work: &Single<'_>,
        options: &CallOptions,
    ) -> Option<Sent<B>> {
        let Route::Slot(slot) = self.route(work.command) else {
            return None;
        };
        let gate_state = self.state.gate.state();
        if gate_state.is_final() || gate_state == GateState::Isolated {
            return None;
        }
        let table = self.state.cluster.table.present();
        let table = table.as_ref()?;
        let at = table.settled_position(slot);
        let node = Self::on(table.node(at)?.state.clone(), self.backend.clone());
        let sent = node.hand_first(work, options)?;
        self.look_back(table, slot, at, &node);
        Some(sent.by(node))
    }

    /// Looks whether a slot is still where a request for it has just been handed.
    #[inline]
    fn look_back(&self, table: &SlotTable, slot: Slot, at: usize, node: &Self) {
        if table.may_have_left(slot, at) {
            self.state.cluster.strayed(slot, &node.state);
        }
    }

    /// Goes on with a plain command that has failed at this node.
    pub(in crate::call) async fn lead_on(
        &self,
        work: &Single<'_>,
        options: CallOptions,
        node: Self,
        error: Error,
    ) -> Result<(Value, Source), Error> {
        let Route::Slot(slot) = self.route(work.command) else {
            return Err(error);
        };
        let mut way = Way::new(self, Some(slot), work, None, options);
        let Some(last) = way.begun_at(node) else {
            return Err(error);
        };
        let stop = way.after(last, error).await?;
        self.go(way, stop, work, None).await
    }

    /// Where a command goes.
    fn route(&self, command: &Cmd) -> Route {
        Route::of(args(command), |name| self.state.survey.keys(name))
    }

    fn crossed(&self, command: &Cmd, first: KeyPlace, other: KeyPlace) -> Error {
        let [first, other] = [first, other].map(|key| KeySlot {
            command: key.command,
            word: key.word,
            slot: key.slot.number(),
        });
        self.forbidden(command, Refusal::Slots { first, other })
    }

    /// Runs one command at the node of this slot, wherever that is by then, or at any node.
    pub(super) async fn execute_at(
        &self,
        slot: Option<Slot>,
        command: &Cmd,
        class: Class,
        options: CallOptions,
    ) -> Result<(Value, Source), Error> {
        let block = match self.place(command, class, &options)? {
            Some(block) if !command.is_no_response() => Some(block),
            _ => None,
        };
        let work = Single { command, class };
        let way = Way::new(self, slot, &work, block, options);
        let stop = way.first().await?;
        self.go(way, stop, &work, block).await
    }

    /// Runs a command at one node after the other.
    async fn go(
        &self,
        mut way: Way<'_, B>,
        mut stop: Stop<B>,
        work: &Single<'_>,
        block: Option<Block>,
    ) -> Result<(Value, Source), Error> {
        let Single { command, class } = *work;
        loop {
            // A plain command needs no second look at the node.
            let is_plain = block.is_none()
                && !command.is_no_response()
                && !stop.options.has_near_cache
                && !stop.options.is_to_be_traced();
            let ended = if is_plain && !stop.is_asking {
                let call = stop.engine.call(work, &stop.options);
                let called = stop.run(self, call).await;
                called.map(|(reply, attempts)| (reply.into_one(), attempts.source))
            } else if stop.is_asking {
                let asked = stop
                    .engine
                    .execute_asking(command, class, block, stop.options);
                asked.await.map(|reply| (reply, Source::Redis))
            } else {
                let call = stop.engine.execute_from(command, &stop.options);
                stop.run(self, call).await
            };
            match ended {
                Ok(replied) => return Ok(replied),
                Err(error) => stop = way.after(stop, error).await?,
            }
        }
    }

    /// Runs a command at this node, which is taking its slot over.
    async fn execute_asking(
        &self,
        command: &Cmd,
        class: Class,
        block: Option<Block>,
        options: CallOptions,
    ) -> Result<Value, Error> {
        let batch = Batch::of(vec![(command, class)]).asking(true);
        let (mut replies, attempts) = self.run_batch(&batch, block, options).await?;
        let reply = Reply::One(replies.pop().unwrap_or(Value::Nil));
        Ok(self.unless_error(reply, attempts)?.0.into_one())
    }
}

fn refusal(why: Unroutable) -> Refusal {
    match why {
        Unroutable::Cursor => Refusal::Cursor,
        Unroutable::OneNode | Unroutable::OneConnection => Refusal::Node,
        Unroutable::EachNode => Refusal::EachNode,
    }
}
