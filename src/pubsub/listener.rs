//! A subscriber at one node of a cluster.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    call::{CallEngine, CallOptions},
    error::Error,
    events::{PubSubEvent, Topic},
    policy::subscriptions::SubscriberId,
    state::{Bounds, DatabaseState, SubscriberQueue},
};

/// It ends when it is dropped.
pub(super) struct Listener {
    pub(super) node: Arc<DatabaseState>,
    id: SubscriberId,
    queue: Arc<SubscriberQueue>,
    /// An event that was taken to see what follows a gap.
    peeked: Option<PubSubEvent>,
}

/// What subscribes for a listener. Without it, that has no effect.
pub(super) struct Subscriber {
    node: CallEngine,
    id: SubscriberId,
}

impl Subscriber {
    /// Returns when the node has confirmed all topics.
    pub(super) async fn subscribe(
        &self,
        options: CallOptions,
        topics: Vec<Topic>,
    ) -> Result<(), Error> {
        self.node
            .subscribe(options.at_node(), self.id, topics)
            .await
    }
}

impl Listener {
    pub(super) fn at(node: Arc<DatabaseState>, bounds: Bounds) -> Self {
        let (id, queue) = node.subscribers.add(bounds);
        Self {
            node,
            id,
            queue,
            peeked: None,
        }
    }

    pub(super) fn subscriber(&self) -> Subscriber {
        Subscriber {
            node: CallEngine::new(self.node.clone()),
            id: self.id,
        }
    }

    /// Returns when the node has confirmed all topics.
    pub(super) async fn subscribe(
        &self,
        options: CallOptions,
        topics: Vec<Topic>,
    ) -> Result<(), Error> {
        self.subscriber().subscribe(options, topics).await
    }

    pub(super) fn leave(&self, topics: &[Topic]) {
        self.node.subscribers.leave(self.id, topics);
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<PubSubEvent>> {
        match self.peeked.take() {
            Some(event) => Poll::Ready(Some(event)),
            None => self.queue.poll(cx),
        }
    }

    /// The next event, without taking it.
    pub(super) fn peek(&mut self, cx: &mut Context<'_>) -> Poll<Option<&PubSubEvent>> {
        let Poll::Ready(next) = self.poll(cx) else {
            return Poll::Pending;
        };
        self.peeked = next;
        Poll::Ready(self.peeked.as_ref())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.node.subscribers.remove(self.id);
    }
}
