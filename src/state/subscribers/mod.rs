//! The subscribers of one database: what they listen to, and the queues of their messages.
//!
//! - this file: [`Subscribers`], as subscribers see them · `listening`: as the task of their connection does
//! - `request`: a caller that waits for the server's confirmation · `queue`: the messages of one subscriber, and
//!   `backlog` what becomes of them when it is slow · `figures`: the counters

mod backlog;
#[cfg(test)]
mod backlog_tests;
mod figures;
mod listening;
#[cfg(test)]
mod overflow_tests;
mod queue;
mod request;

pub(crate) use backlog::Bounds;
pub(crate) use listening::{Driver, Need, Unusable};
pub(crate) use queue::SubscriberQueue;
pub(crate) use request::{Joining, NotJoined};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::SystemTime,
};

use actix::Recipient;
use arc_swap::ArcSwapOption;
use tokio::{sync::Notify, time::Instant};

use self::{figures::Figures, request::Waiting};
use super::{Keeper, Kept};
use crate::{
    events::{EndCause, GapCause, PubSubEvent, Topic},
    identity::DatabaseId,
    messages::Listen,
    net::Executor,
    policy::subscriptions::{Notice, SubscriberId, Subscriptions, Ticket},
};

/// The subscribers of one database.
///
/// One lock for what they listen to, which no other call takes, and one for each queue. The task of the connection
/// takes the former once for all messages of a read. It outlives the task, and the actor that starts it.
#[derive(Debug)]
pub(crate) struct Subscribers {
    id: DatabaseId,
    room: Mutex<Room>,
    /// Something has changed that the task looks at.
    changed: Notify,
    /// The actor that starts the task.
    pub(crate) actor: ArcSwapOption<Recipient<Listen>>,
    keeper: Keeper,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Room {
    subscriptions: Subscriptions,
    queues: HashMap<SubscriberId, Arc<SubscriberQueue>>,
    last_id: SubscriberId,
    /// Callers that wait for a confirmation.
    waiting: HashMap<Ticket, Waiting>,
    /// Callers that do not wait for recovery are refused.
    refuses_impatient: bool,
    is_connected: bool,
    /// There is a task, or the actor was told to start one.
    is_driven: bool,
    has_task: bool,
    /// The number of the last task.
    driver: u64,
    /// Why the last dial has failed, until one succeeds.
    dial_error: Option<Arc<str>>,
    /// Why there are no messages, while there are none.
    interruption: Option<GapCause>,
    end: Option<EndCause>,
    /// The number of interruptions of subscribers.
    gaps: u64,
}

/// Called when no lock is held: it is code of the application.
#[must_use = "the readers wait until they are woken"]
#[derive(Default)]
struct Wakers {
    readers: Vec<Waker>,
    answers: Vec<(Waiting, Result<(), NotJoined>)>,
}

impl Wakers {
    fn wake(self) {
        for reader in self.readers {
            reader.wake();
        }
        for (waiting, answer) in self.answers {
            waiting.tell(answer);
        }
    }
}

impl Subscribers {
    pub(super) fn new(id: DatabaseId, executor: Arc<Executor>) -> Arc<Self> {
        Arc::new(Self {
            id,
            room: Mutex::default(),
            changed: Notify::new(),
            actor: ArcSwapOption::empty(),
            keeper: Keeper::new(executor),
            figures: Figures::default(),
        })
    }

    /// Another subscriber, which listens to nothing yet.
    pub(crate) fn add(&self, bounds: Bounds) -> (SubscriberId, Arc<SubscriberQueue>) {
        let mut room = self.room();
        room.last_id += 1;
        let id = room.last_id;
        let queue = Arc::new(SubscriberQueue::new(bounds));
        if let Some(end) = room.end {
            // Nothing reads it yet.
            queue.change(&mut Vec::new(), |backlog| {
                backlog.end(end, SystemTime::now())
            });
        }
        room.queues.insert(id, queue.clone());
        (id, queue)
    }

    /// Subscribes to these for a subscriber. What the future tells ends the wait; dropping it before takes all back.
    pub(crate) fn join(
        self: &Arc<Self>,
        subscriber: SubscriberId,
        topics: Vec<Topic>,
        deadline: Instant,
        is_patient: bool,
    ) -> Joining {
        let (waiting, answer) = Waiting::new(deadline, is_patient);
        let mut wakers = Wakers::default();
        let mut room = self.room();
        let ticket = if room.end.is_some() {
            wakers.answers.push((waiting, Err(NotJoined::Ended)));
            None
        } else if room.has_overflowed(subscriber) {
            let overflowed = room.overflowed(subscriber);
            wakers.answers.push((waiting, Err(overflowed)));
            None
        } else if room.refuses_impatient && !is_patient && !room.is_connected {
            // It passed the gate before the circuit opened.
            wakers
                .answers
                .push((waiting, Err(NotJoined::CircuitOpened)));
            None
        } else {
            let ticket = room.subscriptions.join(subscriber, topics);
            room.waiting.insert(ticket, waiting);
            room.tell(&mut wakers);
            Some(ticket)
        };
        let is_to_start = room.needs_task();
        drop(room);
        self.start_task(is_to_start);
        wakers.wake();
        if ticket.is_some() {
            Keeper::arm(self, deadline);
        }
        Joining::new(self.clone(), ticket, answer)
    }

    /// Takes these from a subscriber.
    pub(crate) fn leave(&self, subscriber: SubscriberId, topics: &[Topic]) {
        self.settle(|room| room.subscriptions.leave(subscriber, topics));
    }

    /// The subscriber has gone.
    pub(crate) fn remove(&self, subscriber: SubscriberId) {
        self.settle(|room| {
            room.queues.remove(&subscriber);
            room.subscriptions.remove(subscriber);
        });
    }

    fn cancel(&self, ticket: Ticket) {
        self.settle(|room| {
            if room.waiting.remove(&ticket).is_some() {
                room.subscriptions.cancel(ticket);
            }
        });
    }

    /// From now on, callers that do not wait for recovery are refused while there is no connection, or they wait.
    pub(super) fn refuse_impatient(&self, refuses: bool) {
        let mut wakers = Wakers::default();
        let mut room = self.room();
        room.refuses_impatient = refuses;
        if refuses && !room.is_connected {
            let is_refused = |waiting: &Waiting| !waiting.is_patient;
            room.give_up(&mut wakers, is_refused, &NotJoined::CircuitOpened);
        }
        drop(room);
        wakers.wake();
    }

    /// The last moment: there are no messages any more.
    pub(super) fn end(&self, cause: EndCause) {
        let now = SystemTime::now();
        let mut wakers = Wakers::default();
        let mut room = self.room();
        if room.end.is_none() {
            room.end = Some(cause);
            for queue in room.queues.values() {
                queue.change(&mut wakers.readers, |backlog| backlog.end(cause, now));
            }
            room.give_up(&mut wakers, |_| true, &NotJoined::Ended);
        }
        drop(room);
        self.changed.notify_one();
        wakers.wake();
    }

    /// The gate, the settings or the way to the server may have changed: the task looks at them.
    pub(crate) fn look(&self) {
        self.changed.notify_one();
    }

    /// Changes the room, and tells whom it concerns.
    fn settle<T>(&self, change: impl FnOnce(&mut Room) -> T) -> T {
        let mut wakers = Wakers::default();
        let mut room = self.room();
        let result = change(&mut room);
        room.tell(&mut wakers);
        let is_to_start = room.needs_task();
        drop(room);
        self.start_task(is_to_start);
        wakers.wake();
        result
    }

    /// Has the actor start a task, or the present one look. Without an actor its successor does so.
    fn start_task(&self, is_to_start: bool) {
        if !is_to_start {
            self.changed.notify_one();
        } else if let Some(actor) = &*self.actor.load() {
            actor.do_send(Listen(self.id.clone()));
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // A panic elsewhere cannot have left it half-changed.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Whether the actor is to be told to start a task.
    fn needs_task(&mut self) -> bool {
        let needs = !self.is_driven && self.end.is_none() && self.subscriptions.wants_connection();
        self.is_driven |= needs;
        needs
    }

    /// Hands on what the machine has to say.
    fn tell(&mut self, wakers: &mut Wakers) {
        let notices = self.subscriptions.take_notices();
        if notices.is_empty() {
            return;
        }
        let now = SystemTime::now();
        for notice in notices {
            match notice {
                Notice::Joined(ticket) => {
                    let waiting = self.waiting.remove(&ticket);
                    wakers
                        .answers
                        .extend(waiting.map(|waiting| (waiting, Ok(()))));
                }
                Notice::Interrupted(subscriber) => {
                    let cause = self.interruption.clone();
                    let cause = cause.unwrap_or(GapCause::EndedByServer);
                    self.gaps += 1;
                    self.change(subscriber, wakers, |backlog| backlog.interrupt(now, cause));
                }
                Notice::Resumed(subscriber) => {
                    self.change(subscriber, wakers, |backlog| backlog.resume(now));
                }
            }
        }
    }

    fn change(
        &self,
        subscriber: SubscriberId,
        wakers: &mut Wakers,
        how: impl FnOnce(&mut backlog::Backlog),
    ) {
        if let Some(queue) = self.queues.get(&subscriber) {
            queue.change(&mut wakers.readers, how);
        }
    }

    fn tell_one(&self, subscriber: SubscriberId, event: PubSubEvent, wakers: &mut Wakers) {
        self.change(subscriber, wakers, |backlog| backlog.tell(event));
    }

    /// Whether its queue was too full, so that its subscription is over.
    fn has_overflowed(&self, subscriber: SubscriberId) -> bool {
        let queue = self.queues.get(&subscriber);
        queue.is_some_and(|queue| queue.is_over())
    }

    fn overflowed(&self, subscriber: SubscriberId) -> NotJoined {
        let queue = self.queues.get(&subscriber);
        let max_messages = queue.map_or(0, |queue| queue.bounds().max_messages);
        NotJoined::Overflowed { max_messages }
    }

    /// Ends the wait of some callers, with all that they have asked for.
    fn give_up(
        &mut self,
        wakers: &mut Wakers,
        is_meant: impl Fn(&Waiting) -> bool,
        why: &NotJoined,
    ) {
        let waiting = self.waiting.extract_if(|_, waiting| is_meant(waiting));
        for (ticket, waiting) in waiting {
            self.subscriptions.cancel(ticket);
            wakers.answers.push((waiting, Err(why.clone())));
        }
        self.tell(wakers);
    }
}

impl Kept for Subscribers {
    fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    fn expire(self: &Arc<Self>, now: Instant) {
        let mut wakers = Wakers::default();
        let mut room = self.room();
        let timed_out = NotJoined::TimedOut {
            is_connected: room.is_connected,
            last_error: room.dial_error.clone(),
        };
        let is_due = |waiting: &Waiting| waiting.deadline <= now;
        room.give_up(&mut wakers, is_due, &timed_out);
        let next = room.waiting.values().map(|waiting| waiting.deadline).min();
        drop(room);
        self.changed.notify_one();
        if let Some(at) = next {
            Keeper::arm(self, at);
        }
        wakers.wake();
    }
}
