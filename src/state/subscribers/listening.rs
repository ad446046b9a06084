//! The subscribers, as the task of their connection sees them.

use std::{
    sync::{Arc, MutexGuard, atomic::Ordering::Relaxed},
    time::SystemTime,
};

use redis::ServerError;

use super::{NotJoined, Room, Subscribers, Wakers};
use crate::{
    events::{EndCause, GapCause, PubSubEvent, Topic},
    net::{CloseReason, Heard},
    policy::subscriptions::{Ask, Own, Refused, SubscriberId},
    reply_code::ReplyCode,
    state::count,
};

/// What the subscribers need of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// They listen to something.
    Connection,
    /// They listen to nothing. The task is to end; the next listener has another one started.
    Nothing,
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The server's answers cannot be matched, or make no sense.
    Closed(CloseReason),
    /// The server takes no subscriptions for now.
    NotNow(ServerError),
    /// The server refuses the credentials.
    LoginRefused(ServerError),
}

/// The right of one task to act for the subscribers, until another one takes over. From then on it does nothing.
#[derive(Debug)]
pub(crate) struct Driver {
    subscribers: Arc<Subscribers>,
    number: u64,
}

impl Subscribers {
    /// Lets a task act for the subscribers, and no other from now on. A connection of an earlier one has ended for this
    /// reason.
    pub(crate) fn drive(self: &Arc<Self>, reason: &CloseReason) -> Driver {
        let number = self.settle(|room| {
            room.driver += 1;
            room.is_driven = true;
            room.has_task = true;
            if room.is_connected {
                count(&self.figures.lost);
                room.lose(Some(GapCause::ConnectionLost(reason.to_string().into())));
            }
            room.driver
        });
        Driver {
            subscribers: self.clone(),
            number,
        }
    }

    /// Whether there is a task, or should be one.
    pub(crate) fn is_driven(&self) -> bool {
        self.room().is_driven
    }

    /// Whether there is a task.
    pub(crate) fn has_task(&self) -> bool {
        self.room().has_task
    }
}

impl Driver {
    /// What the task is to do. After [`Need::Nothing`] there is no task any more.
    pub(crate) fn need(&self) -> Need {
        let Some(mut room) = self.room() else {
            return Need::Nothing;
        };
        if room.end.is_none() && room.subscriptions.wants_connection() {
            return Need::Connection;
        }
        room.is_driven = false;
        room.has_task = false;
        Need::Nothing
    }

    /// Whether anything listens.
    pub(crate) fn want_connection(&self) -> bool {
        self.room()
            .is_some_and(|room| room.end.is_none() && room.subscriptions.wants_connection())
    }

    /// Waits until there is something to look at. The future may be dropped at any point.
    pub(crate) async fn changed(&self) {
        self.subscribers.changed.notified().await;
    }

    /// A connection is open.
    pub(crate) fn connected(&self) {
        let Some(mut room) = self.room() else { return };
        count(&self.subscribers.figures.opened);
        room.is_connected = true;
        room.interruption = None;
        room.dial_error = None;
        room.subscriptions.connected();
    }

    /// No connection could be opened.
    pub(crate) fn not_connected(&self, why: Arc<str>) {
        count(&self.subscribers.figures.dial_failures);
        if let Some(mut room) = self.room() {
            room.dial_error = Some(why.clone());
        }
        self.still_interrupted(GapCause::DialFailed(why));
    }

    /// The connection is gone, for this reason if that is to be told.
    pub(crate) fn disconnected(&self, cause: Option<GapCause>) {
        let mut wakers = Wakers::default();
        if let Some(mut room) = self.room() {
            if let Some(GapCause::ConnectionLost(_)) = cause {
                count(&self.subscribers.figures.lost);
            }
            room.lose(cause);
            room.tell(&mut wakers);
        }
        wakers.wake();
    }

    /// There are no messages, for this reason by now. Only another kind of reason is told.
    pub(crate) fn still_interrupted(&self, cause: GapCause) {
        let mut wakers = Wakers::default();
        let Some(mut room) = self.room() else { return };
        let is_other =
            |before: &GapCause| std::mem::discriminant(before) != std::mem::discriminant(&cause);
        if !room.is_connected && room.interruption.as_ref().is_some_and(is_other) {
            room.interruption = Some(cause.clone());
            let now = SystemTime::now();
            for subscriber in room.subscriptions.interrupted() {
                room.change(subscriber, &mut wakers, |backlog| {
                    backlog.still_interrupted(now, cause.clone());
                });
            }
        }
        drop(room);
        wakers.wake();
    }

    /// Takes what is to be sent. Tells whether answers are outstanding then.
    pub(crate) fn take_asks(&self, mut take: impl FnMut(&Ask)) -> bool {
        let Some(mut room) = self.room() else {
            return false;
        };
        while let Some(ask) = room.subscriptions.poll() {
            take(&ask);
        }
        room.subscriptions.is_owed()
    }

    /// The task sends a command of its own.
    pub(crate) fn asked(&self, own: Own) {
        if let Some(mut room) = self.room() {
            room.subscriptions.asked(own);
        }
    }

    /// Hands on what the server has said.
    pub(crate) fn hear(&self, heard: impl Iterator<Item = Heard>) -> Result<(), Unusable> {
        let mut wakers = Wakers::default();
        let mut messages = Messages::default();
        let Some(mut room) = self.room() else {
            return Ok(());
        };
        let mut result = Ok(());
        for heard in heard {
            result = self.hear_one(&mut room, heard, &mut messages, &mut wakers);
            if result.is_err() {
                break;
            }
        }
        drop(room);
        let figures = &self.subscribers.figures;
        figures.messages.fetch_add(messages.received, Relaxed);
        figures.copies.fetch_add(messages.copies, Relaxed);
        figures.dropped.fetch_add(messages.dropped, Relaxed);
        wakers.wake();
        result
    }

    fn hear_one(
        &self,
        room: &mut Room,
        heard: Heard,
        messages: &mut Messages,
        wakers: &mut Wakers,
    ) -> Result<(), Unusable> {
        let in_step = match heard {
            Heard::Message {
                topic,
                channel,
                payload,
            } => {
                let pattern = match &topic {
                    Topic::Pattern(pattern) => Some(pattern.clone()),
                    Topic::Channel(_) | Topic::ShardChannel(_) => None,
                };
                let message = PubSubEvent::Message {
                    channel,
                    pattern,
                    payload,
                };
                messages.received += 1;
                room.deliver(&topic, &message, messages, wakers);
                return Ok(());
            }
            Heard::Subscribed(topic) => room.subscriptions.subscribed(&topic),
            Heard::Unsubscribed(topic) => {
                room.subscriptions.unsubscribed(&topic);
                Ok(())
            }
            Heard::Answer => room.subscriptions.answered(),
            Heard::Refused(error) => {
                return self.refused(room, error, wakers);
            }
            Heard::Nothing => Ok(()),
        };
        room.tell(wakers);
        in_step.map_err(|_| Unusable::Closed(CloseReason::Unsolicited))
    }

    fn refused(
        &self,
        room: &mut Room,
        error: ServerError,
        wakers: &mut Wakers,
    ) -> Result<(), Unusable> {
        match ReplyCode::of(error.code()) {
            ReplyCode::NotAuthenticated => return Err(Unusable::NotNow(error)),
            // Subscriptions stand, whatever a sign of life says.
            ReplyCode::Loading | ReplyCode::Busy | ReplyCode::PrimaryDown | ReplyCode::TryAgain
                if !room.subscriptions.is_asked_for_life() =>
            {
                return Err(Unusable::NotNow(error));
            }
            _ => {}
        }
        let refused = room.subscriptions.refused();
        let refused = refused.map_err(|_| Unusable::Closed(CloseReason::Unsolicited))?;
        match refused {
            Refused::Nothing => {}
            Refused::Login => {
                room.tell(wakers);
                return Err(Unusable::LoginRefused(error));
            }
            Refused::Topic {
                topic,
                subscribers,
                tickets,
            } => {
                count(&self.subscribers.figures.refused);
                let event = PubSubEvent::Refused {
                    topic,
                    error: text(&error).into(),
                };
                for subscriber in subscribers {
                    room.tell_one(subscriber, event.clone(), wakers);
                }
                for ticket in tickets {
                    if let Some(waiting) = room.waiting.remove(&ticket) {
                        let refused = NotJoined::Refused(error.clone());
                        wakers.answers.push((waiting, Err(refused)));
                    }
                }
            }
        }
        // A gap that ends with the refusal has its place before it already, and both can be read from now on.
        room.tell(wakers);
        Ok(())
    }

    /// What the subscribers share; `None` if another task acts for them by now.
    fn room(&self) -> Option<MutexGuard<'_, Room>> {
        let room = self.subscribers.room();
        (room.driver == self.number).then_some(room)
    }
}

/// The task has ended, in whatever way.
impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(mut room) = self.room() {
            room.has_task = false;
        }
    }
}

/// What has become of the messages of one read.
#[derive(Debug, Default)]
struct Messages {
    received: u64,
    copies: u64,
    dropped: u64,
}

impl Room {
    /// The connection is gone.
    fn lose(&mut self, cause: Option<GapCause>) {
        self.is_connected = false;
        self.interruption = cause;
        self.subscriptions.lost();
    }

    fn deliver(
        &mut self,
        topic: &Topic,
        message: &PubSubEvent,
        messages: &mut Messages,
        wakers: &mut Wakers,
    ) {
        let mut overflowed: Vec<SubscriberId> = Vec::new();
        for subscriber in self.subscriptions.listeners(topic) {
            let Some(queue) = self.queues.get(&subscriber) else {
                continue;
            };
            let pushed = queue.change(&mut wakers.readers, |backlog| backlog.push(message.clone()));
            messages.copies += 1;
            messages.dropped += pushed.dropped;
            if pushed.is_end {
                messages.dropped += 1;
                overflowed.push(subscriber);
            }
        }
        for subscriber in overflowed {
            self.end_overflowed(subscriber, wakers);
        }
    }

    fn end_overflowed(&mut self, subscriber: SubscriberId, wakers: &mut Wakers) {
        let (cause, now) = (EndCause::Overflowed, SystemTime::now());
        self.change(subscriber, wakers, |backlog| backlog.end(cause, now));
        // Taken back before the channels, which would pass for confirmed otherwise.
        for ticket in self.subscriptions.tickets(subscriber) {
            self.subscriptions.cancel(ticket);
            let waiting = self.waiting.remove(&ticket);
            let answer = waiting.map(|waiting| (waiting, Err(self.overflowed(subscriber))));
            wakers.answers.extend(answer);
        }
        self.subscriptions.remove(subscriber);
        self.tell(wakers);
    }
}

/// The line of an error reply, in which nothing is quoted any more.
fn text(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}
