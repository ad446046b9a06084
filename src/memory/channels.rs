//! The subscribers of channels and patterns.

use bytes::Bytes;
use indexmap::IndexMap;

use super::{
    glob,
    session::ClientId,
    subscriptions::{Kind, Subscriptions},
};

/// Clients by channel, in the order in which they subscribed.
type Subscribers = IndexMap<Bytes, Vec<ClientId>>;

#[derive(Debug, Default)]
pub(super) struct Channels {
    channels: Subscribers,
    patterns: Subscribers,
    shard_channels: Subscribers,
}

impl Channels {
    pub(super) fn of(&self, kind: Kind) -> &Subscribers {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shard_channels,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Subscribers {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard_channels,
        }
    }

    pub(super) fn add(&mut self, kind: Kind, name: &Bytes, id: ClientId) {
        let ids = self.of_mut(kind).entry(name.clone()).or_default();
        ids.push(id);
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &Bytes, id: ClientId) {
        let subscribers = self.of_mut(kind);
        if let Some(ids) = subscribers.get_mut(name) {
            ids.retain(|subscriber| *subscriber != id);
            if ids.is_empty() {
                subscribers.swap_remove(name);
            }
        }
    }

    /// A client has gone.
    pub(super) fn leave(&mut self, id: ClientId, subscriptions: &Subscriptions) {
        for kind in Kind::ALL {
            for name in subscriptions.of(kind) {
                self.remove(kind, name, id);
            }
        }
    }

    /// The subscribers of a channel.
    pub(super) fn subscribers(&self, kind: Kind, name: &Bytes) -> Vec<ClientId> {
        self.of(kind).get(name).cloned().unwrap_or_default()
    }

    /// The patterns that a channel matches, with their subscribers.
    pub(super) fn matching(&self, channel: &[u8]) -> Vec<(Bytes, Vec<ClientId>)> {
        let patterns = self.patterns.iter();
        patterns
            .filter(|(pattern, _)| glob::matches(pattern, channel))
            .map(|(pattern, ids)| (pattern.clone(), ids.clone()))
            .collect()
    }
}
