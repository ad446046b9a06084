//! Calls of a database that is a cluster: each command runs at the node of its keys, as a call of that node's database.
//! Calls of other databases do not come here.
//!
//! - this file: one command · `way`: from node to node · `several`: the parts of a command, and commands for all nodes ·
//!   `pipeline`: pipelines · `leased`: exclusive connections · `reading`: reads that replicas may serve

mod leased;
mod pipeline;
mod reading;
mod several;
mod way;

use redis::{Cmd, Value};

use self::way::Way;
use super::{
    CallEngine, CallOptions, args,
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
        slots::Slot,
    },
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
        // A plain command needs no second look at the node.
        let is_plain = block.is_none()
            && !command.is_no_response()
            && !options.has_near_cache
            && !options.is_to_be_traced();
        let mut way = Way::new(self, slot, &work, block, options);
        let mut stop = way.first().await?;
        loop {
            let ended = if is_plain && !stop.is_asking {
                let called = stop.engine.call(&work, &stop.options).await;
                called.map(|(reply, attempts)| (reply.into_one(), attempts.source))
            } else if stop.is_asking {
                let asked = stop
                    .engine
                    .execute_asking(command, class, block, stop.options);
                asked.await.map(|reply| (reply, Source::Redis))
            } else {
                stop.engine.execute_from(command, stop.options).await
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
