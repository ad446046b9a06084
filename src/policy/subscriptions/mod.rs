//! The subscriptions of one database: who listens to which channels, and what the server is asked for.
//!
//! All subscribers share one connection. A channel is subscribed once, however many listen, and its last listener ends
//! it. Each channel has its own command, and at most one at a time: so an error is about that channel alone, and the
//! answers, which come in the order of the commands, are matched to them.
//!
//! - this file: [`Subscriptions`], and what applications do · `conversation`: what the server says
//! - `entry`: a channel with its listeners

mod conversation;
mod entry;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub(crate) use conversation::Refused;

use std::collections::{HashMap, HashSet, VecDeque, hash_map};

use self::entry::{Entry, Listener, Standing};
use crate::events::Topic;

/// A subscriber, which may listen to many channels.
pub(crate) type SubscriberId = u64;

/// A request to listen to some channels, until the server has confirmed all of them.
pub(crate) type Ticket = u64;

/// What is to be sent to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Subscribe(Topic),
    Unsubscribe(Topic),
}

/// What applications are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// All channels of the request are confirmed.
    Joined(Ticket),
    /// The subscriber misses messages from now on.
    Interrupted(SubscriberId),
    /// All of its channels are confirmed again.
    Resumed(SubscriberId),
}

/// The machine. The shell tells it of calls and of answers; then it takes what is to be [sent](Self::poll) and
/// [told](Self::take_notices).
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    topics: HashMap<Topic, Entry>,
    subscribers: HashMap<SubscriberId, Subscriber>,
    requests: HashMap<Ticket, Request>,
    last_ticket: Ticket,
    is_connected: bool,
    /// Channels for which something may have to be sent.
    to_settle: VecDeque<Topic>,
    /// The answers that are outstanding, in their order.
    owed: VecDeque<Owed>,
    /// Channels with listeners.
    wanted: usize,
    notices: Vec<Notice>,
}

#[derive(Debug, Default)]
struct Subscriber {
    topics: HashSet<Topic>,
    /// So many of its channels are not confirmed again since an interruption.
    gaps: usize,
}

#[derive(Debug)]
struct Request {
    subscriber: SubscriberId,
    /// Those that it has added.
    topics: Vec<Topic>,
    missing: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Owed {
    Subscribed(Topic),
    Unsubscribed(Topic),
    /// The answer to a command of the shell.
    Own(Own),
}

/// A command of the shell, whose answer is no confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// Any answer is a sign of life.
    Question,
    /// It authenticates again.
    Login,
}

impl Subscriptions {
    /// Adds channels to a subscriber, which is known from the first ones on. Those that it has already are confirmed.
    pub(crate) fn join(&mut self, subscriber: SubscriberId, topics: Vec<Topic>) -> Ticket {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let known = self.subscribers.entry(subscriber).or_default();
        let mut added = Vec::new();
        let mut missing = 0;
        for topic in topics {
            if !known.topics.insert(topic.clone()) {
                continue;
            }
            let entry = self.topics.entry(topic.clone()).or_default();
            self.wanted += usize::from(entry.listeners.is_empty());
            let is_confirmed = entry.is_confirmed();
            let listener = Listener {
                ticket: Some(ticket),
                has_gap: false,
            };
            entry.listeners.insert(subscriber, listener);
            missing += usize::from(!is_confirmed);
            if self.is_connected && entry.standing == Standing::Off {
                self.to_settle.push_back(topic.clone());
            }
            added.push(topic);
        }
        let request = Request {
            subscriber,
            topics: added,
            missing,
        };
        self.requests.insert(ticket, request);
        self.finish_if_complete(ticket);
        ticket
    }

    /// Takes channels from a subscriber.
    pub(crate) fn leave(&mut self, subscriber: SubscriberId, topics: &[Topic]) {
        for topic in topics {
            self.leave_one(subscriber, topic);
        }
    }

    /// Takes back a request that is not confirmed, with all that it has added.
    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        let Some(Request {
            subscriber,
            mut topics,
            ..
        }) = self.requests.remove(&ticket)
        else {
            return;
        };
        // Others may have been dropped meanwhile, and asked for anew.
        topics.retain(|topic| {
            let entry = self.topics.get(topic);
            entry.is_some_and(|entry| entry.is_of(subscriber, ticket))
        });
        self.leave(subscriber, &topics);
    }

    /// The subscriber listens to nothing any more.
    pub(crate) fn remove(&mut self, subscriber: SubscriberId) {
        if let Some(known) = self.subscribers.get(&subscriber) {
            let topics: Vec<_> = known.topics.iter().cloned().collect();
            self.leave(subscriber, &topics);
            self.subscribers.remove(&subscriber);
        }
    }

    /// The requests of a subscriber that are not confirmed.
    pub(crate) fn tickets(&self, subscriber: SubscriberId) -> Vec<Ticket> {
        let of_it = self.requests.iter();
        let of_it = of_it.filter(|(_, request)| request.subscriber == subscriber);
        of_it.map(|(ticket, _)| *ticket).collect()
    }

    /// Whether a connection is of use.
    pub(crate) fn wants_connection(&self) -> bool {
        self.wanted > 0
    }

    /// The subscribers that miss messages.
    pub(crate) fn interrupted(&self) -> impl Iterator<Item = SubscriberId> {
        let subscribers = self.subscribers.iter();
        let interrupted = subscribers.filter(|(_, known)| known.gaps > 0);
        interrupted.map(|(subscriber, _)| *subscriber)
    }

    /// The number of channels and patterns that anything listens to.
    pub(crate) fn topics(&self) -> usize {
        self.wanted
    }

    /// The subscribers that get the messages of this channel or pattern.
    pub(crate) fn listeners(&self, topic: &Topic) -> impl Iterator<Item = SubscriberId> {
        let entry = self.topics.get(topic);
        let entry = entry.filter(|entry| entry.is_confirmed());
        let listeners = entry.into_iter().flat_map(|entry| entry.listeners.keys());
        listeners.copied()
    }

    /// What is to be told since the last call.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn leave_one(&mut self, subscriber: SubscriberId, topic: &Topic) {
        let Some(known) = self.subscribers.get_mut(&subscriber) else {
            return;
        };
        if !known.topics.remove(topic) {
            return;
        }
        let entry = self.topics.get_mut(topic);
        let entry = entry.expect("BUG: a channel of a subscriber is known");
        let is_confirmed = entry.is_confirmed();
        let Some(listener) = entry.listeners.swap_remove(&subscriber) else {
            unreachable!("BUG: a subscriber is no listener of its channel");
        };
        if entry.listeners.is_empty() {
            self.wanted -= 1;
            match entry.standing {
                Standing::Off => {
                    self.topics.remove(topic);
                }
                Standing::Confirmed => self.to_settle.push_back(topic.clone()),
                Standing::Subscribing | Standing::Unsubscribing => {}
            }
        }
        if listener.has_gap {
            self.closed_gap(subscriber);
        }
        if !is_confirmed && let Some(ticket) = listener.ticket {
            self.confirmed_one(ticket);
        }
    }

    /// One channel less is missing for a request.
    fn confirmed_one(&mut self, ticket: Ticket) {
        if let Some(request) = self.requests.get_mut(&ticket) {
            request.missing -= 1;
            self.finish_if_complete(ticket);
        }
    }

    /// One that was confirmed is missing again.
    fn misses_one_again(&mut self, ticket: Ticket) {
        if let Some(request) = self.requests.get_mut(&ticket) {
            request.missing += 1;
        }
    }

    fn opened_gap(&mut self, subscriber: SubscriberId) {
        if let Some(known) = self.subscribers.get_mut(&subscriber) {
            known.gaps += 1;
            if known.gaps == 1 {
                self.notices.push(Notice::Interrupted(subscriber));
            }
        }
    }

    fn closed_gap(&mut self, subscriber: SubscriberId) {
        if let Some(known) = self.subscribers.get_mut(&subscriber) {
            known.gaps -= 1;
            if known.gaps == 0 {
                self.notices.push(Notice::Resumed(subscriber));
            }
        }
    }

    fn finish_if_complete(&mut self, ticket: Ticket) {
        let hash_map::Entry::Occupied(request) = self.requests.entry(ticket) else {
            return;
        };
        if request.get().missing > 0 {
            return;
        }
        let request = request.remove();
        for topic in &request.topics {
            if let Some(entry) = self.topics.get_mut(topic) {
                entry.forget_ticket(request.subscriber, ticket);
            }
        }
        self.notices.push(Notice::Joined(ticket));
    }
}
