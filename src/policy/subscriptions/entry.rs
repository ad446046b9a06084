//! A channel or a pattern, with its listeners.

use indexmap::IndexMap;

use super::{SubscriberId, Ticket};

/// A channel or a pattern that the server is asked for, or was.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) listeners: IndexMap<SubscriberId, Listener>,
    pub(super) standing: Standing,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Listener {
    /// The request that waits for the confirmation.
    pub(super) ticket: Option<Ticket>,
    /// It was confirmed before an interruption, and is not again.
    pub(super) has_gap: bool,
}

/// The channel at the server, on the present connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    #[default]
    Off,
    /// The server is asked, and has not answered.
    Subscribing,
    Confirmed,
    /// It is to end, and the server has not answered.
    Unsubscribing,
}

impl Entry {
    pub(super) fn is_confirmed(&self) -> bool {
        self.standing == Standing::Confirmed
    }

    /// The request is confirmed, so nothing waits on its behalf any more.
    pub(super) fn forget_ticket(&mut self, subscriber: SubscriberId, ticket: Ticket) {
        if let Some(listener) = self.listeners.get_mut(&subscriber) {
            listener.ticket = listener.ticket.filter(|of| *of != ticket);
        }
    }

    /// Whether the subscriber listens because of this request.
    pub(super) fn is_of(&self, subscriber: SubscriberId, ticket: Ticket) -> bool {
        let listener = self.listeners.get(&subscriber);
        listener.is_some_and(|listener| listener.ticket == Some(ticket))
    }
}
