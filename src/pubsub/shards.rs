//! Sharded channels in a cluster: each is heard at the node of its slot, by a subscriber of that node's database, and
//! follows its slot to another node.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    task::{Context, Poll},
    time::SystemTime,
};

use bytes::Bytes;

use super::{
    listener::Listener,
    waiting::{Pauses, Waiting},
};
use crate::{
    database::Database,
    error::Error,
    events::{EndCause, GapCause, PubSubEvent, Topic},
    policy::cluster::Redirect,
    state::{Bounds, clock},
};

/// The sharded channels of one subscription.
#[derive(Default)]
pub(super) struct Shards {
    parts: Vec<Part>,
    /// The part that is asked first, so that a busy one does not hide the others.
    first: usize,
    /// Channels that have lost their node, before others are found.
    lost: BTreeSet<Bytes>,
    moving: Option<Moving>,
    /// Events that come before those of the parts.
    events: VecDeque<PubSubEvent>,
}

/// Channels at one node.
struct Part {
    listener: Listener,
    channels: BTreeSet<Bytes>,
}

/// Channels on their way to another node.
struct Moving {
    from: SystemTime,
    channels: BTreeSet<Bytes>,
    subscribing: Waiting<Vec<Part>>,
}

impl Shards {
    /// Adds channels, and returns when their nodes have confirmed them.
    ///
    /// # Errors
    /// That of the first node that refuses. Then none is added.
    pub(super) async fn add(
        &mut self,
        database: &Database,
        bounds: Bounds,
        channels: impl IntoIterator<Item = Bytes>,
    ) -> Result<(), Error> {
        let mut new: BTreeSet<_> = channels.into_iter().collect();
        new.retain(|channel| !self.has(channel));
        let parts = subscribe(database, bounds, new).await?;
        self.parts.extend(parts);
        Ok(())
    }

    pub(super) fn leave(&mut self, channels: impl IntoIterator<Item = Bytes>) {
        for channel in channels {
            self.lost.remove(&channel);
            if let Some(moving) = &mut self.moving {
                moving.channels.remove(&channel);
            }
            let topic = [Topic::ShardChannel(channel.clone())];
            for part in &mut self.parts {
                if part.channels.remove(&channel) {
                    part.listener.leave(&topic);
                }
            }
        }
        self.parts.retain(|part| !part.channels.is_empty());
    }

    /// The next event. `Ready(None)` does not come: the subscription itself knows its end.
    pub(super) fn poll(
        &mut self,
        database: &Database,
        bounds: Bounds,
        cx: &mut Context<'_>,
    ) -> Poll<PubSubEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            if let Some(event) = self.poll_parts(database, cx) {
                return Poll::Ready(event);
            }
            if !self.lost.is_empty() && self.moving.is_none() {
                self.set_out(database, bounds);
                continue;
            }
            let Some(moving) = &mut self.moving else {
                return Poll::Pending;
            };
            let Poll::Ready(parts) = moving.subscribing.poll(cx) else {
                return Poll::Pending;
            };
            self.arrived(parts);
        }
    }

    /// An event of a node.
    fn poll_parts(&mut self, database: &Database, cx: &mut Context<'_>) -> Option<PubSubEvent> {
        for _ in 0..self.parts.len() {
            self.first = (self.first + 1) % self.parts.len().max(1);
            loop {
                let part = &mut self.parts[self.first];
                let Poll::Ready(event) = part.listener.poll(cx) else {
                    break;
                };
                match event {
                    // The gap lasts on.
                    Some(PubSubEvent::Gap { .. }) if part.is_left_behind(cx) => {}
                    Some(PubSubEvent::Refused {
                        topic: Topic::ShardChannel(channel),
                        error,
                    }) if sends_away(&error) => {
                        if part.channels.remove(&channel) {
                            self.lost.insert(channel);
                        }
                    }
                    Some(event) if !leaves(&event) => return Some(event),
                    Some(_) | None => {
                        let part = self.parts.swap_remove(self.first);
                        // Otherwise the subscription ends with its database.
                        if !database.engine.state.gate.state().is_final() {
                            self.lost.extend(part.channels.iter().cloned());
                        }
                        // Those that are left are asked when the channels have set out.
                        return None;
                    }
                }
            }
        }
        None
    }

    fn set_out(&mut self, database: &Database, bounds: Bounds) {
        let from = clock::wall();
        self.events.push_back(PubSubEvent::Interrupted {
            at: from,
            cause: GapCause::Moved,
        });
        self.parts.retain(|part| !part.channels.is_empty());
        let channels = std::mem::take(&mut self.lost);
        let subscribing = follow(database.clone(), bounds, channels.clone());
        self.moving = Some(Moving {
            from,
            channels,
            subscribing: Waiting::new(subscribing),
        });
    }

    fn arrived(&mut self, parts: Vec<Part>) {
        let Some(Moving { from, channels, .. }) = self.moving.take() else {
            return;
        };
        let arrived = parts.iter().flat_map(|part| part.channels.iter().cloned());
        let arrived: Vec<_> = arrived.collect();
        self.parts.extend(parts);
        // Some may have been dropped meanwhile.
        self.leave(
            arrived
                .into_iter()
                .filter(|channel| !channels.contains(channel)),
        );
        self.events.push_back(PubSubEvent::Gap {
            from,
            to: clock::wall(),
            cause: GapCause::Moved,
        });
    }

    fn has(&self, channel: &Bytes) -> bool {
        let moving = self.moving.as_ref();
        self.lost.contains(channel)
            || moving.is_some_and(|moving| moving.channels.contains(channel))
            || self
                .parts
                .iter()
                .any(|part| part.channels.contains(channel))
    }
}

impl Part {
    /// Whether a gap that has ended here is none to tell, since its channel has to be heard elsewhere.
    fn is_left_behind(&mut self, cx: &mut Context<'_>) -> bool {
        match self.listener.peek(cx) {
            Poll::Ready(next) => next.is_none_or(leaves),
            Poll::Pending => false,
        }
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.parts.iter().map(|part| &part.listener.node.name);
        f.debug_list().entries(nodes).finish()
    }
}

/// Subscribes to channels at their nodes, within the timeout of the handle.
async fn subscribe(
    database: &Database,
    bounds: Bounds,
    mut left: BTreeSet<Bytes>,
) -> Result<Vec<Part>, Error> {
    let engine = &database.engine;
    let options = database.options().counted_from(clock::now());
    let mut parts = Vec::new();
    while !left.is_empty() {
        for (node, channels) in engine.nodes_of(&left, &options).await? {
            let listener = Listener::at(node, bounds);
            let topics = channels.iter().cloned().map(Topic::ShardChannel);
            match listener.subscribe(options, topics.collect()).await {
                Ok(()) => {
                    left.retain(|channel| !channels.contains(channel));
                    parts.push(Part { listener, channels });
                }
                Err(error) => {
                    if !engine.is_sent_away(&error, &options).await {
                        return Err(error);
                    }
                }
            }
        }
    }
    Ok(parts)
}

/// Subscribes to channels that have lost their nodes, until that succeeds or the database ends.
async fn follow(database: Database, bounds: Bounds, channels: BTreeSet<Bytes>) -> Vec<Part> {
    let mut pauses = Pauses::new();
    loop {
        if let Ok(parts) = subscribe(&database, bounds, channels.clone()).await {
            return parts;
        }
        let state = &database.engine.state;
        if state.gate.state().is_final() {
            return Vec::new();
        }
        pauses.next(state).await;
    }
}

/// Whether an event says that a channel is not heard at this node any more.
fn leaves(event: &PubSubEvent) -> bool {
    match event {
        PubSubEvent::Refused { error, .. } => sends_away(error),
        PubSubEvent::Ended(cause) => matches!(cause, EndCause::Removed | EndCause::ShuttingDown),
        _ => false,
    }
}

/// Whether a node has refused a channel because another one serves its slot, or will.
fn sends_away(error: &str) -> bool {
    let (code, text) = error.split_once(' ').unwrap_or((error, ""));
    Redirect::of(code, text).is_some() || code == "CLUSTERDOWN"
}
