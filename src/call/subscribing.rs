//! The wait for the server's confirmation of subscriptions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use redis::ServerError;

use super::{CallEngine, CallOptions, attempts::Attempts};
use crate::{
    backend::Backend,
    error::{Error, Limit},
    events::Topic,
    execution::{Execution, Stage},
    policy::{gate_state::GateState, slots::Slot, subscriptions::SubscriberId},
    state::{DatabaseState, NotJoined, SlotTable, clock, count},
};

impl<B: Backend> CallEngine<B> {
    /// Subscribes to these for a subscriber, and returns when the server has confirmed all of them.
    ///
    /// Cancelling it is safe: without a confirmation all is taken back.
    pub(crate) async fn subscribe(
        &self,
        options: CallOptions,
        subscriber: SubscriberId,
        topics: Vec<Topic>,
    ) -> Result<(), Error> {
        let deadline = options.end(clock::now());
        // The admission is dropped: a subscription is no evidence about commands.
        drop(self.enter(&options, deadline).await?);
        let subscribers = &self.state.subscribers;
        let joining = subscribers.join(subscriber, topics, deadline, options.is_patient);
        joining.await.map_err(|why| match why {
            NotJoined::Refused(error) => self.subscription_refused(error),
            NotJoined::CircuitOpened => self.refused(GateState::Open),
            NotJoined::Overflowed { max_messages } => self.overflowed(max_messages),
            NotJoined::Ended => self.over(Execution::NotSent, 1),
            NotJoined::TimedOut {
                is_connected,
                last_error,
            } => {
                count(&self.state.counters.timed_out);
                let attempts = Attempts::not_sent(options.timeout);
                let error = if is_connected {
                    let execution = Execution::NotExecuted;
                    let attempts = Attempts {
                        execution,
                        ..attempts
                    };
                    self.timed_out(Stage::Reply, attempts, None)
                } else {
                    self.timed_out(Stage::Connect, attempts, last_error)
                };
                self.state.counters.note_error(&error);
                error
            }
        })
    }

    /// The nodes of sharded channels, each with its channels; the database itself if it is no cluster.
    pub(crate) async fn nodes_of(
        &self,
        channels: &BTreeSet<Bytes>,
        options: &CallOptions,
    ) -> Result<Vec<(Arc<DatabaseState>, BTreeSet<Bytes>)>, Error> {
        if !options.is_in_cluster {
            return Ok(vec![(self.state.clone(), channels.clone())]);
        }
        let table = self.table(self.call_deadline(options), options).await?;
        let mut nodes = BTreeMap::<_, (_, BTreeSet<_>)>::new();
        for channel in channels {
            let slot = Slot::of(channel);
            let Some(node) = table.owner(slot) else {
                return Err(self.unserved(Some(slot), &table));
            };
            let of_node = nodes.entry(table.position(slot));
            let of_node = of_node.or_insert_with(|| (node.state.clone(), BTreeSet::new()));
            of_node.1.insert(channel.clone());
        }
        Ok(nodes.into_values().collect())
    }

    /// Which node has each slot, as far as is known.
    pub(crate) async fn slot_table(&self, options: &CallOptions) -> Result<Arc<SlotTable>, Error> {
        self.table(self.call_deadline(options), options).await
    }

    /// The subscription has ended, since its queue has no room for more.
    pub(crate) fn overflowed(&self, max_messages: usize) -> Error {
        self.overloaded(Limit::Subscription(max_messages))
    }

    fn subscription_refused(&self, error: ServerError) -> Error {
        Error::Server {
            database: self.state.name(),
            execution: Execution::NotExecuted,
            attempts: 1,
            code: error.code().into(),
            error: error.into(),
        }
    }
}
