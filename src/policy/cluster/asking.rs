//! When the nodes of a cluster are asked what they serve.

use std::time::{Duration, Instant};

use crate::policy::pace::Pace;

/// Asks seldom while all is well, at once when somebody has noticed a change, and often while a part of the cluster is
/// down: a replica that takes over is to be found soon. One question is under way at a time.
#[derive(Debug)]
pub(crate) struct Asking {
    is_under_way: bool,
    /// Somebody has noticed a change since the last question began.
    is_wanted: bool,
    wishes: Pace,
    /// Since when slots are served by none, or no connection to their node is open.
    down_since: Option<Instant>,
    next: Instant,
}

/// The pause while all is well. Changes are mostly noticed by commands that are sent on.
const INTERVAL: Duration = Duration::from_secs(30);
/// The longest pause between questions that commands ask for.
const LONGEST_WISH: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);
/// The part of the shortest pause for each node.
const PER_NODE: Duration = Duration::from_millis(1);
/// A pause is at least so many times as long as the answer took.
const SHARE: u32 = 10;

impl Asking {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            is_under_way: false,
            is_wanted: false,
            wishes: Pace::new(LONGEST_WISH),
            down_since: Some(now),
            next: now,
        }
    }

    /// Somebody has noticed a change.
    pub(crate) fn wanted(&mut self, now: Instant) {
        self.is_wanted = true;
        if self.wishes.allows(now) {
            self.next = self.next.min(now);
        } else {
            self.next = self.next.min(now + LONGEST_WISH);
        }
    }

    /// Whether each slot has a node with an open connection, at this moment.
    pub(crate) fn seen(&mut self, is_whole: bool, now: Instant) {
        if is_whole {
            self.down_since = None;
        } else if self.down_since.is_none() {
            self.down_since = Some(now);
            self.next = self.next.min(now);
        }
    }

    /// The nodes are asked.
    pub(crate) fn begin(&mut self) {
        self.is_under_way = true;
        self.is_wanted = false;
    }

    /// The answers are there, or there are none. They took so long, and the cluster has so many nodes. `jitter` is a random
    /// number from 0 to 1.
    pub(crate) fn ended(&mut self, now: Instant, took: Duration, nodes: usize, jitter: f64) {
        self.is_under_way = false;
        let pause = match self.down_since {
            None => INTERVAL,
            Some(since) => {
                // A small part of the time that it has taken.
                let usual = now.saturating_duration_since(since) / 200;
                // Many clients of a large cluster ask at the same time, and each answer has all nodes in it.
                let cost = (PER_NODE * nodes as u32).max(SHARE * took);
                usual.max(cost).clamp(SHORTEST, LONGEST)
            }
        };
        // Many clients notice the same change.
        self.next = now + pause.mul_f64(0.75 + jitter / 2.0);
        if self.is_wanted {
            self.next = self.next.min(now + LONGEST_WISH.mul_f64(jitter));
        }
    }

    /// Whether a part of the cluster is down.
    pub(crate) fn is_down(&self) -> bool {
        self.down_since.is_some()
    }

    /// Whether the nodes are to be asked now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        !self.is_under_way && self.next <= now
    }

    /// When to look again; `None` while a question is under way.
    pub(crate) fn next(&self) -> Option<Instant> {
        (!self.is_under_way).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(asking: &mut Asking, now: Instant) -> bool {
        let is_due = asking.is_due(now);
        if is_due {
            asking.begin();
        }
        is_due
    }

    #[test]
    fn a_whole_cluster_is_asked_seldom_and_after_a_wish_at_once() {
        let start = Instant::now();
        let mut asking = Asking::new(start);
        assert!(begins(&mut asking, start));
        assert!(!begins(&mut asking, start), "one at a time");
        asking.seen(true, start);
        asking.ended(start, Duration::ZERO, 6, 0.5);
        let before = start + Duration::from_secs(29);
        assert!(!begins(&mut asking, before));
        asking.wanted(before);
        assert!(begins(&mut asking, before));
        asking.ended(before, Duration::ZERO, 6, 0.5);
        asking.wanted(before);
        assert!(!begins(&mut asking, before), "wishes are paced");
        assert!(begins(&mut asking, before + LONGEST_WISH));
    }

    #[test]
    fn a_broken_cluster_is_asked_often_and_ever_less() {
        let start = Instant::now();
        let mut asking = Asking::new(start);
        let (mut now, mut asked) = (start, Vec::new());
        while now < start + Duration::from_secs(200) {
            asking.seen(false, now);
            if begins(&mut asking, now) {
                asked.push(now - start);
                asking.ended(now, Duration::ZERO, 6, 0.5);
            }
            now += Duration::from_millis(1);
        }
        let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses[0], SHORTEST);
        assert!(pauses.is_sorted());
        assert!(pauses.last().is_some_and(|last| *last > LONGEST * 9 / 10));
        asking.seen(true, now);
        asking.seen(false, now);
        assert!(begins(&mut asking, now), "another loss");
    }

    #[test]
    fn a_large_cluster_and_a_busy_one_are_spared() {
        let start = Instant::now();
        let pause = |took: u64, nodes| {
            let mut asking = Asking::new(start);
            assert!(begins(&mut asking, start));
            asking.ended(start, Duration::from_millis(took), nodes, 0.5);
            asking.next().expect("none is under way") - start
        };
        assert_eq!(pause(1, 6), SHORTEST);
        assert_eq!(pause(1, 500), Duration::from_millis(500));
        assert_eq!(pause(30, 6), Duration::from_millis(300));
        assert_eq!(pause(1, 5_000), LONGEST);
    }
}
