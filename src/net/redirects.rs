//! The replies of a node that send callers to other nodes.
//!
//! Callers follow those for one slot one after the other, in the order of the replies. So their commands reach the next node in
//! the order in which they were made.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use oneshot::{AsyncReceiver, Sender};
use redis::Value;
use tokio::time::{Instant, sleep};

use super::{executor::Executor, reply::Reply};

/// A caller that has not followed its redirect after this time is not polled, or its thread is busy. No one waits for it any
/// longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often that is looked for while callers wait.
const LOOK: Duration = Duration::from_millis(10);

/// The redirects of one node that callers have not followed yet.
#[derive(Debug)]
pub(crate) struct Redirects {
    queues: Mutex<Queues>,
    executor: Arc<Executor>,
}

#[derive(Debug, Default)]
struct Queues {
    last: u64,
    /// By slot, and for each slot in their order.
    entries: BTreeMap<(u16, Place), Entry>,
    /// A task looks for callers that have waited for too long.
    is_watched: bool,
}

/// Redirects whose callers had their turn, and wait for a node that is not known yet, come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Stalled(u64),
    Queued(u64),
}

#[derive(Debug)]
struct Entry {
    came: Instant,
    /// How to wake the caller if it waits for its turn, and until when it does.
    waits: Option<(Instant, Sender<()>)>,
    /// It has taken too long.
    is_passed_over: bool,
}

/// A redirect that is not followed yet. It counts as followed when this is dropped.
#[derive(Debug)]
pub(crate) struct Redirected {
    key: (u16, Place),
    all: Arc<Redirects>,
}

/// The redirects of one reply.
#[derive(Debug)]
pub(crate) struct RedirectedReply(Vec<Redirected>);

impl Redirects {
    pub(crate) fn new(executor: Arc<Executor>) -> Arc<Self> {
        Arc::new(Self {
            queues: Mutex::default(),
            executor,
        })
    }

    /// Those of a reply, if it has any.
    pub(super) fn of(self: &Arc<Self>, reply: &Reply) -> Option<Box<RedirectedReply>> {
        let mut slots = match reply {
            Reply::One(value) => Vec::from_iter(slot_of(value)),
            Reply::Many(values) => values.iter().filter_map(slot_of).collect(),
        };
        if slots.is_empty() {
            return None;
        }
        slots.sort_unstable();
        slots.dedup();
        // At once, so that no two replies wait for each other.
        let mut queues = self.lock();
        let redirects = slots
            .into_iter()
            .map(|slot| self.add(&mut queues, slot, Place::Queued));
        Some(Box::new(RedirectedReply(redirects.collect())))
    }

    /// A redirect whose caller has had its turn, and waits until the node is known.
    pub(crate) fn stall(self: &Arc<Self>, slot: u16) -> Redirected {
        self.add(&mut self.lock(), slot, Place::Stalled)
    }

    /// The number of redirects so far.
    pub(crate) fn count(&self) -> u64 {
        self.lock().last
    }

    /// Whether one of the first `count` redirects is not followed yet, of the slots that fit.
    pub(crate) fn is_any_left(&self, count: u64, fits: impl Fn(u16) -> bool) -> bool {
        let now = Instant::now();
        let queues = self.lock();
        let mut entries = queues.entries.iter();
        entries.any(|((slot, place), entry)| {
            let is_early = match place {
                // It had a lower number before.
                Place::Stalled(_) => true,
                Place::Queued(number) => *number <= count,
            };
            // Nobody may wait behind it, who would pass it over.
            let is_waited_for =
                !entry.is_passed_over && now.saturating_duration_since(entry.came) < PATIENCE;
            is_early && is_waited_for && fits(*slot)
        })
    }

    fn add(
        self: &Arc<Self>,
        queues: &mut Queues,
        slot: u16,
        place: impl FnOnce(u64) -> Place,
    ) -> Redirected {
        queues.last += 1;
        let key = (slot, place(queues.last));
        let entry = Entry {
            came: Instant::now(),
            waits: None,
            is_passed_over: false,
        };
        queues.entries.insert(key, entry);
        Redirected {
            key,
            all: self.clone(),
        }
    }

    fn watch(self: &Arc<Self>) {
        let mut watch = Watch {
            all: self.clone(),
            is_over: false,
        };
        let task = async move {
            while !watch.is_over {
                sleep(LOOK).await;
                watch.is_over = !look(&watch.all);
            }
        };
        // An error says that the system refuses threads. Then the task is dropped, and nobody waits.
        let _ = self.executor.spawn(task);
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        // A panic elsewhere cannot have left it half-changed.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn is_first(&self, (slot, place): (u16, Place)) -> bool {
        let mut before = self.entries.range((slot, Place::Stalled(0))..(slot, place));
        before.all(|(_, entry)| entry.is_passed_over)
    }

    /// Those who wait and may go on: up to the first that is not passed over.
    fn ready(&mut self, slot: u16) -> Vec<Sender<()>> {
        let mut ready = Vec::new();
        let of_slot = (slot, Place::Stalled(0))..=(slot, Place::Queued(u64::MAX));
        for (_, entry) in self.entries.range_mut(of_slot) {
            ready.extend(entry.waits.take().map(|(_, wake)| wake));
            if !entry.is_passed_over {
                break;
            }
        }
        ready
    }

    /// Passes over those that have taken too long, and returns all who are not to wait any longer.
    fn expire(&mut self, now: Instant) -> Vec<Sender<()>> {
        let mut ready = Vec::new();
        let mut slots = Vec::new();
        for ((slot, _), entry) in &mut self.entries {
            if now.saturating_duration_since(entry.came) >= PATIENCE {
                entry.is_passed_over = true;
            }
            let is_over = |(until, _): &mut (Instant, Sender<()>)| *until <= now;
            ready.extend(entry.waits.take_if(is_over).map(|(_, wake)| wake));
            if slots.last() != Some(slot) {
                slots.push(*slot);
            }
        }
        ready.extend(slots.into_iter().flat_map(|slot| self.ready(slot)));
        ready
    }
}

/// Whether somebody waits still.
fn look(all: &Redirects) -> bool {
    let mut queues = all.lock();
    let ready = queues.expire(Instant::now());
    queues.is_watched = queues.entries.values().any(|entry| entry.waits.is_some());
    let is_watched = queues.is_watched;
    drop(queues);
    wake(ready);
    is_watched
}

fn wake(ready: impl IntoIterator<Item = Sender<()>>) {
    for one in ready {
        // It may have gone.
        let _ = one.send(());
    }
}

impl RedirectedReply {
    /// Waits until all earlier redirects for these slots are followed, or have taken too long, at most until this time.
    pub(crate) async fn turn(&self, until: Instant) {
        for redirected in &self.0 {
            redirected.turn(until).await;
        }
    }
}

impl Redirected {
    /// Waits until all earlier ones for this slot are followed, or have taken too long, at most until this time.
    pub(crate) async fn turn(&self, until: Instant) {
        while let Some(turn) = self.awaited(until) {
            // An error says that it is to be looked for again.
            let _ = turn.await;
        }
    }

    /// What tells when it is time to look again; `None` if this one may be followed.
    fn awaited(&self, until: Instant) -> Option<AsyncReceiver<()>> {
        let mut queues = self.all.lock();
        if queues.is_first(self.key) || Instant::now() >= until {
            return None;
        }
        let entry = queues.entries.get_mut(&self.key)?;
        let (wake, turn) = oneshot::async_channel();
        entry.waits = Some((until, wake));
        let is_watched = mem::replace(&mut queues.is_watched, true);
        drop(queues);
        if !is_watched {
            self.all.watch();
        }
        Some(turn)
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        let next = {
            let mut queues = self.all.lock();
            queues.entries.remove(&self.key);
            queues.ready(self.key.0)
        };
        wake(next);
    }
}

/// Held by the task. If the task ends too early, its runtime has ended, and nobody waits any longer.
struct Watch {
    all: Arc<Redirects>,
    is_over: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut queues = self.all.lock();
        queues.is_watched = false;
        let mut ready = Vec::new();
        for entry in queues.entries.values_mut() {
            entry.is_passed_over = true;
            ready.extend(entry.waits.take().map(|(_, wake)| wake));
        }
        drop(queues);
        wake(ready);
    }
}

/// The slot for which a reply sends its caller to another node.
fn slot_of(value: &Value) -> Option<u16> {
    let Value::ServerError(error) = value else {
        return None;
    };
    if !matches!(error.code(), "MOVED" | "ASK") {
        return None;
    }
    let slot = error.details()?.split_ascii_whitespace().next()?;
    slot.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn redirects() -> Arc<Redirects> {
        Redirects::new(Arc::new(Executor::new(None)))
    }

    fn queued(all: &Arc<Redirects>, slot: u16) -> Redirected {
        all.add(&mut all.lock(), slot, Place::Queued)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn redirects_for_a_slot_are_followed_in_the_order_in_which_they_came() {
        let all = redirects();
        let [first, second, third] = [(); 3].map(|()| queued(&all, 7));
        let other = queued(&all, 8);
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut turn = pin!(third.turn(later()));
            assert_eq!(turn.as_mut().poll(&mut cx), Poll::Pending);
            assert_eq!(
                pin!(other.turn(later())).poll(&mut cx),
                Poll::Ready(()),
                "of another slot"
            );
            assert_eq!(pin!(first.turn(later())).poll(&mut cx), Poll::Ready(()));
            drop(second);
            assert_eq!(turn.as_mut().poll(&mut cx), Poll::Pending);
            drop(first);
            assert_eq!(turn.poll(&mut cx), Poll::Ready(()));
        }
        assert!(all.is_any_left(3, |slot| slot == 7));
        assert!(!all.is_any_left(2, |slot| slot == 7));
        drop(third);
        assert!(!all.is_any_left(9, |slot| slot == 7));
    }

    #[test]
    fn one_that_waits_for_its_node_is_followed_before_those_that_came_later() {
        let all = redirects();
        let [first, second] = [(); 2].map(|()| queued(&all, 7));
        let mut cx = Context::from_waker(Waker::noop());
        let mut turn = pin!(second.turn(later()));
        assert_eq!(turn.as_mut().poll(&mut cx), Poll::Pending);
        drop(first);
        let stalled = all.stall(7);
        assert_eq!(turn.as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(pin!(stalled.turn(later())).poll(&mut cx), Poll::Ready(()));
        drop(stalled);
        assert_eq!(turn.poll(&mut cx), Poll::Ready(()));
    }

    /// The caller's thread has no runtime, and no timer.
    #[test]
    fn nobody_waits_beyond_its_deadline_nor_for_one_that_takes_too_long() {
        let all = redirects();
        let [_kept, second, third] = [(); 3].map(|()| queued(&all, 7));
        let start = Instant::now();
        futures_executor::block_on(second.turn(start + Duration::from_millis(50)));
        assert!(start.elapsed() < PATIENCE);
        futures_executor::block_on(third.turn(later()));
        assert!(
            start.elapsed() >= PATIENCE,
            "it waits for those that are not too late"
        );
        futures_executor::block_on(queued(&all, 7).turn(later()));
        all.executor.shutdown();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nobody_waits_behind_counts_as_followed_after_some_time() {
        let all = redirects();
        let _kept = queued(&all, 7);
        assert!(all.is_any_left(1, |_| true));
        tokio::time::advance(PATIENCE).await;
        assert!(!all.is_any_left(1, |_| true));
    }

    #[test]
    fn a_reply_has_a_redirect_for_each_slot() {
        let error = |line: &str| Value::ServerError(crate::sanitize::from_line(line));
        let all = redirects();
        let one = Reply::One(error("MOVED 7 10.0.0.1:6379"));
        assert_eq!(all.of(&one).map(|redirects| redirects.0.len()), Some(1));
        let many = Reply::Many(vec![
            Value::Okay,
            error("ASK 7 10.0.0.1:6379"),
            error("MOVED 8 10.0.0.1:6379"),
            error("ASK 7 10.0.0.1:6379"),
        ]);
        assert_eq!(all.of(&many).map(|redirects| redirects.0.len()), Some(2));
        for reply in [Value::Okay, error("WRONGTYPE 7 is no list")] {
            assert!(all.of(&Reply::One(reply)).is_none());
        }
    }
}
