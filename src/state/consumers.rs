//! The consumers of streams of one database, as its statistics have them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{policy::consumer::Tally, stats::ConsumerTotals};

/// What all consumers of a database have done together. Each has a share, so the totals outlast it.
#[derive(Debug, Default)]
pub(crate) struct Consumers(Mutex<ConsumerTotals>);

/// The share of one consumer in the totals. When it is dropped, the consumer runs no more and holds nothing.
#[derive(Debug)]
pub(crate) struct ConsumerShare {
    consumers: Arc<Consumers>,
    tally: Tally,
    in_progress: usize,
    held: usize,
}

impl Consumers {
    pub(crate) fn join(self: &Arc<Self>) -> ConsumerShare {
        self.totals().running += 1;
        ConsumerShare {
            consumers: self.clone(),
            tally: Tally::default(),
            in_progress: 0,
            held: 0,
        }
    }

    /// A snapshot.
    pub(crate) fn stats(&self) -> ConsumerTotals {
        *self.totals()
    }

    fn totals(&self) -> MutexGuard<'_, ConsumerTotals> {
        // A panic elsewhere cannot have left them half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConsumerShare {
    /// Notes what the consumer has done so far, and what it has now.
    pub(crate) fn update(&mut self, tally: Tally, in_progress: usize, held: usize) {
        let before = self.tally;
        if (tally, in_progress, held) == (before, self.in_progress, self.held) {
            return;
        }
        let mut totals = self.consumers.totals();
        totals.in_progress = totals.in_progress + in_progress - self.in_progress;
        totals.held = totals.held + held - self.held;
        totals.read += tally.read - before.read;
        totals.claimed += tally.claimed - before.claimed;
        totals.handled += tally.handled - before.handled;
        totals.failed += tally.failed - before.failed;
        totals.acknowledged += tally.acknowledged - before.acknowledged;
        totals.dead_lettered += tally.dead_lettered - before.dead_lettered;
        totals.trimmed += tally.trimmed - before.trimmed;
        (self.tally, self.in_progress, self.held) = (tally, in_progress, held);
    }
}

impl Drop for ConsumerShare {
    fn drop(&mut self) {
        let mut totals = self.consumers.totals();
        totals.running -= 1;
        totals.in_progress -= self.in_progress;
        totals.held -= self.held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_outlast_a_consumer_and_what_it_held_does_not() {
        let consumers = Arc::new(Consumers::default());
        let (mut first, mut second) = (consumers.join(), consumers.join());
        let handled = |handled| Tally {
            handled,
            ..Tally::default()
        };
        first.update(handled(3), 1, 4);
        first.update(handled(5), 0, 2);
        second.update(handled(1), 1, 1);
        let totals = consumers.stats();
        assert_eq!((totals.running, totals.handled), (2, 6));
        assert_eq!((totals.in_progress, totals.held), (1, 3));
        drop(second);
        let totals = consumers.stats();
        assert_eq!((totals.running, totals.handled), (1, 6));
        assert_eq!((totals.in_progress, totals.held), (0, 2));
    }
}
