//! What is said to the server, and what it answers.

use super::{Ask, Entry, Listener, Owed, Own, Standing, SubscriberId, Subscriptions, Ticket};
use crate::events::Topic;

/// The server has confirmed something else than it was asked next, so its answers cannot be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfStep;

/// What the server refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nothing that matters to anything.
    Nothing,
    /// A login with other credentials.
    Login,
    /// A channel.
    Topic {
        topic: Topic,
        /// It was confirmed for these before.
        subscribers: Vec<SubscriberId>,
        /// These requests fail, with all that they have added.
        tickets: Vec<Ticket>,
    },
}

impl Subscriptions {
    /// A connection is open, on which nothing is subscribed.
    pub(crate) fn connected(&mut self) {
        self.is_connected = true;
        self.to_settle.extend(self.topics.keys().cloned());
        // One order, so that what is sent does not depend on that of a hash map.
        self.to_settle.make_contiguous().sort();
    }

    /// The connection is gone.
    pub(crate) fn lost(&mut self) {
        self.is_connected = false;
        self.to_settle.clear();
        self.owed.clear();
        let mut ended = Vec::new();
        self.topics.retain(|_, entry| {
            ended.extend(end(entry));
            !entry.listeners.is_empty()
        });
        self.told_of_end(ended);
    }

    /// The next command to be sent; `None` if there is none for now.
    pub(crate) fn poll(&mut self) -> Option<Ask> {
        while let Some(topic) = self.to_settle.pop_front() {
            let Some(entry) = self.topics.get_mut(&topic) else {
                continue;
            };
            match (entry.standing, entry.listeners.is_empty()) {
                (Standing::Off, false) => {
                    entry.standing = Standing::Subscribing;
                    self.owed.push_back(Owed::Subscribed(topic.clone()));
                    return Some(Ask::Subscribe(topic));
                }
                (Standing::Confirmed, true) => {
                    entry.standing = Standing::Unsubscribing;
                    self.owed.push_back(Owed::Unsubscribed(topic.clone()));
                    return Some(Ask::Unsubscribe(topic));
                }
                (Standing::Off, true) => {
                    self.topics.remove(&topic);
                }
                // The answer settles the rest.
                _ => {}
            }
        }
        None
    }

    /// The shell sends a command of its own.
    pub(crate) fn asked(&mut self, own: Own) {
        self.owed.push_back(Owed::Own(own));
    }

    /// Whether answers are outstanding.
    pub(crate) fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The server has confirmed a channel.
    pub(crate) fn subscribed(&mut self, topic: &Topic) -> Result<(), OutOfStep> {
        match self.owed.pop_front() {
            Some(Owed::Subscribed(asked)) if asked == *topic => {}
            _ => return Err(OutOfStep),
        }
        let Some(entry) = self.topics.get_mut(topic) else {
            unreachable!("BUG: a channel is forgotten before its confirmation");
        };
        entry.standing = Standing::Confirmed;
        let mut confirmed = Vec::with_capacity(entry.listeners.len());
        for (subscriber, listener) in &mut entry.listeners {
            confirmed.push((*subscriber, *listener));
            listener.has_gap = false;
        }
        if confirmed.is_empty() {
            self.to_settle.push_back(topic.clone());
        }
        for (subscriber, listener) in confirmed {
            if listener.has_gap {
                self.closed_gap(subscriber);
            }
            if let Some(ticket) = listener.ticket {
                self.confirmed_one(ticket);
            }
        }
        Ok(())
    }

    /// The server has ended the subscription of a channel, asked or not.
    pub(crate) fn unsubscribed(&mut self, topic: &Topic) {
        let is_asked =
            matches!(self.owed.front(), Some(Owed::Unsubscribed(asked)) if asked == topic);
        if is_asked {
            self.owed.pop_front();
        }
        let Some(entry) = self.topics.get_mut(topic) else {
            return;
        };
        match (entry.standing, is_asked) {
            (Standing::Unsubscribing, true) | (Standing::Confirmed, false) => {}
            // Its own answer is still to come.
            _ => return,
        }
        let ended = end(entry);
        self.told_of_end(ended);
        self.to_settle.push_back(topic.clone());
    }

    fn told_of_end(&mut self, ended: Vec<(SubscriberId, Listener)>) {
        for (subscriber, listener) in ended {
            if !listener.has_gap {
                self.opened_gap(subscriber);
            }
            if let Some(ticket) = listener.ticket {
                self.misses_one_again(ticket);
            }
        }
    }

    /// Whether the next answer is that to a question for a sign of life.
    pub(crate) fn is_asked_for_life(&self) -> bool {
        matches!(self.owed.front(), Some(Owed::Own(Own::Question)))
    }

    /// The server has answered with an error. A channel that it was about is forgotten.
    pub(crate) fn refused(&mut self) -> Result<Refused, OutOfStep> {
        let topic = match self.owed.pop_front() {
            Some(Owed::Subscribed(topic) | Owed::Unsubscribed(topic)) => topic,
            Some(Owed::Own(Own::Question)) => return Ok(Refused::Nothing),
            Some(Owed::Own(Own::Login)) => return Ok(Refused::Login),
            None => return Err(OutOfStep),
        };
        let Some(entry) = self.topics.get_mut(&topic) else {
            return Ok(Refused::Nothing);
        };
        if entry.standing == Standing::Unsubscribing {
            // Whoever listens by now finds out by asking again.
            entry.standing = Standing::Off;
            self.to_settle.push_back(topic);
            return Ok(Refused::Nothing);
        }
        let listeners = std::mem::take(&mut entry.listeners);
        self.topics.remove(&topic);
        if listeners.is_empty() {
            return Ok(Refused::Nothing);
        }
        self.wanted -= 1;
        let (mut subscribers, mut tickets) = (Vec::new(), Vec::new());
        for (subscriber, listener) in listeners {
            if let Some(known) = self.subscribers.get_mut(&subscriber) {
                known.topics.remove(&topic);
            }
            if listener.has_gap {
                self.closed_gap(subscriber);
            }
            match listener.ticket {
                Some(ticket) => {
                    tickets.push(ticket);
                    self.cancel(ticket);
                }
                None => subscribers.push(subscriber),
            }
        }
        Ok(Refused::Topic {
            topic,
            subscribers,
            tickets,
        })
    }

    /// The server has answered a command of the shell.
    pub(crate) fn answered(&mut self) -> Result<(), OutOfStep> {
        match self.owed.pop_front() {
            Some(Owed::Own(_)) => Ok(()),
            _ => Err(OutOfStep),
        }
    }
}

/// Notes that the server does not have the channel any more. Returns the listeners to which it was confirmed, as they
/// were before.
fn end(entry: &mut Entry) -> Vec<(SubscriberId, Listener)> {
    let was_confirmed = entry.is_confirmed();
    entry.standing = Standing::Off;
    let mut ended = Vec::new();
    if was_confirmed {
        for (subscriber, listener) in &mut entry.listeners {
            ended.push((*subscriber, *listener));
            listener.has_gap = true;
        }
    }
    ended
}
