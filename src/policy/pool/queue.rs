//! Callers that wait, first come, first served, each at most until its deadline.

use std::{collections::VecDeque, time::Instant};

/// A caller that waits: for a connection of its own, or for a shared one to send its request on.
pub(crate) trait Waiter {
    /// The caller is told by then at the latest.
    fn deadline(&self) -> Instant;

    /// The caller has given up.
    fn is_gone(&self) -> bool;
}

/// A queue of waiters. It knows when the first deadline may have passed, so that one timer serves all.
#[derive(Debug)]
pub(crate) struct WaitQueue<W> {
    waiters: VecDeque<W>,
    /// No deadline is earlier.
    soonest: Option<Instant>,
    /// So many have come since it was last looked for those that have gone.
    arrivals: usize,
}

/// The number of waiters that are looked at per arrival.
const LOOKED_AT: usize = 8;

impl<W: Waiter> WaitQueue<W> {
    pub(crate) fn new() -> Self {
        Self {
            waiters: VecDeque::new(),
            soonest: None,
            arrivals: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) fn push(&mut self, waiter: W) {
        self.note_deadline(&waiter);
        self.arrivals += 1;
        self.waiters.push_back(waiter);
    }

    /// Puts back a waiter that was taken in vain: it is the first again.
    pub(crate) fn push_first(&mut self, waiter: W) {
        self.note_deadline(&waiter);
        self.waiters.push_front(waiter);
    }

    /// The waiter that came first, also if it has gone.
    pub(crate) fn pop(&mut self) -> Option<W> {
        self.waiters.pop_front()
    }

    /// The waiter that came last, also if it has gone.
    pub(crate) fn pop_last(&mut self) -> Option<W> {
        self.waiters.pop_back()
    }

    /// Forgets the waiters at the head that have gone.
    pub(crate) fn skip_gone(&mut self) {
        while self.waiters.front().is_some_and(W::is_gone) {
            self.waiters.pop_front();
        }
    }

    /// Forgets all waiters that have gone, and tells how many there were.
    pub(crate) fn forget_gone(&mut self) -> usize {
        self.arrivals = 0;
        let before = self.waiters.len();
        self.waiters.retain(|waiter| !waiter.is_gone());
        before - self.waiters.len()
    }

    /// Forgets all waiters that have gone, at an arrival, and tells how many there were. Once in a while it
    /// looks at all, so that an arrival costs a constant time, also while callers are refused.
    pub(crate) fn forget_gone_at_times(&mut self) -> usize {
        self.arrivals += 1;
        if self.arrivals.saturating_mul(LOOKED_AT) < self.waiters.len() {
            return 0;
        }
        self.forget_gone()
    }

    /// Takes the waiters of which this is true.
    pub(crate) fn take_if(&mut self, is_meant: impl Fn(&W) -> bool) -> Vec<W> {
        let waiters = std::mem::take(&mut self.waiters).into_iter();
        let (taken, left): (Vec<_>, Vec<_>) = waiters.partition(is_meant);
        self.waiters = left.into();
        taken
    }

    /// Once the first deadline has passed: takes all waiters whose deadlines have passed or that have gone.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<W> {
        if self.soonest.is_none_or(|soonest| soonest > now) {
            return Vec::new();
        }
        let waiters = std::mem::take(&mut self.waiters).into_iter();
        let (over, left): (Vec<_>, Vec<_>) =
            waiters.partition(|waiter| waiter.deadline() <= now || waiter.is_gone());
        self.soonest = left.iter().map(W::deadline).min();
        self.waiters = left.into();
        over
    }

    /// Takes all waiters.
    pub(crate) fn dismiss(&mut self) -> Vec<W> {
        self.soonest = None;
        self.waiters.drain(..).collect()
    }

    /// When the first deadline passes, or earlier.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.soonest.filter(|_| !self.waiters.is_empty())
    }

    fn note_deadline(&mut self, waiter: &W) {
        let deadline = waiter.deadline();
        self.soonest = Some(
            self.soonest
                .map_or(deadline, |soonest| soonest.min(deadline)),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc, time::Duration};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Guest {
        number: usize,
        deadline: Instant,
        is_gone: bool,
    }

    impl Waiter for Guest {
        fn deadline(&self) -> Instant {
            self.deadline
        }

        fn is_gone(&self) -> bool {
            self.is_gone
        }
    }

    /// Counts how often it is looked at.
    struct Watched {
        looks: Rc<Cell<usize>>,
        is_gone: Rc<Cell<bool>>,
    }

    impl Waiter for Watched {
        fn deadline(&self) -> Instant {
            Instant::now()
        }

        fn is_gone(&self) -> bool {
            self.looks.set(self.looks.get() + 1);
            self.is_gone.get()
        }
    }

    #[test]
    fn an_arrival_at_a_full_queue_costs_a_constant_time() {
        const FULL: usize = 1_000;
        let (looks, is_gone) = (Rc::<Cell<_>>::default(), Rc::<Cell<_>>::default());
        let mut queue = WaitQueue::new();
        for _ in 0..FULL {
            let (looks, is_gone) = (looks.clone(), is_gone.clone());
            queue.push(Watched { looks, is_gone });
        }
        for arrivals in 1..=FULL {
            assert_eq!(queue.forget_gone_at_times(), 0);
            assert!(looks.get() <= FULL + LOOKED_AT * arrivals);
        }
        is_gone.set(true);
        let soon = 0..FULL / LOOKED_AT;
        let forgotten: usize = soon.map(|_| queue.forget_gone_at_times()).sum();
        assert_eq!((forgotten, queue.len()), (FULL, 0));
    }

    proptest! {
        /// Beside a plain list: guests come and are served in order, none is lost, and each is told by its
        /// deadline if the queue is looked at when it says so.
        #[test]
        fn waiters_are_served_in_order_and_told_in_time(
            steps in prop::collection::vec((0..6_u8, 0..50_u64), 1..200),
        ) {
            let start = Instant::now();
            let (mut now, mut queue, mut list) = (start, WaitQueue::new(), Vec::<Guest>::new());
            for (number, (step, millis)) in steps.into_iter().enumerate() {
                match step {
                    0..=2 => {
                        let deadline = now + Duration::from_millis(millis);
                        let guest = Guest { number, deadline, is_gone: millis % 7 == 0 };
                        queue.push(guest.clone());
                        list.push(guest);
                    }
                    3 => {
                        let first = (!list.is_empty()).then(|| list.remove(0));
                        prop_assert_eq!(queue.pop(), first.clone());
                        if let (Some(first), true) = (first, millis % 2 == 0) {
                            queue.push_first(first.clone());
                            list.insert(0, first);
                        }
                    }
                    4 if millis % 2 == 0 => {
                        prop_assert_eq!(queue.pop_last(), list.pop());
                    }
                    4 => {
                        let gone = queue.forget_gone();
                        let before = list.len();
                        list.retain(|guest| !guest.is_gone);
                        prop_assert_eq!(gone, before - list.len());
                    }
                    _ => {
                        now += Duration::from_millis(millis);
                        let is_due = |guest: &Guest| guest.deadline <= now;
                        let over = queue.expire(now);
                        prop_assert!(list.iter().filter(|guest| is_due(guest)).all(|guest| over.contains(guest)));
                        prop_assert!(over.iter().all(|guest| is_due(guest) || guest.is_gone));
                        list.retain(|guest| !over.contains(guest));
                    }
                }
                let soonest = list.iter().map(Waiter::deadline).min();
                prop_assert_eq!(queue.wake_at().is_some(), soonest.is_some());
                prop_assert!(queue.wake_at() <= soonest);
                prop_assert_eq!(queue.len(), list.len());
            }
            prop_assert_eq!(queue.dismiss(), list);
            prop_assert_eq!(queue.len(), 0);
        }
    }
}
