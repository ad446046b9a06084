//! Announced work by which the replies on one connection are slow, without a fault of the server.

use std::time::{Duration, Instant};

use super::parts::Parts;

/// Work that makes replies slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A shard moves to another machine.
    Migration,
    Failover,
    /// Slots of a cluster move to another node.
    SlotMigration,
}

/// Work as it is announced, at its begin and at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnnouncedWork {
    pub(crate) work: Work,
    /// The number of the announcement.
    pub(crate) number: u64,
    pub(crate) parts: Parts,
}

/// Work that has begun, as far as its end was not announced, the oldest first. It has no clock.
#[derive(Debug, Default)]
pub(crate) struct Works(Vec<(AnnouncedWork, Instant)>);

/// Work ends so long after its announced begin, if the server does not say so.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// The oldest of more works at a time are not looked at any more.
const MOST: usize = 64;

impl Works {
    /// Work begins at about this time. It may be announced again, with another time.
    pub(crate) fn begins(&mut self, begun: AnnouncedWork, at: Instant, now: Instant) {
        self.forget(now);
        for (known, _) in self.of(begun.work) {
            known.parts.take_out(&begun.parts);
        }
        let is_again =
            |known: &AnnouncedWork| known.work == begun.work && known.number == begun.number;
        self.0.retain(|(known, _)| {
            let is_replaced = !known.parts.is_told() && is_again(known);
            !is_replaced && !known.parts.is_empty()
        });
        self.0.push((begun, at + LONGEST));
        if self.0.len() > MOST {
            self.0.remove(0);
        }
    }

    /// Work has ended at these parts of the server. Where they are not told, it is that of the same number, or the oldest.
    pub(crate) fn ends(&mut self, ended: &AnnouncedWork, now: Instant) {
        self.forget(now);
        let mut is_found = false;
        for (known, _) in self.of(ended.work) {
            is_found |= known.parts.take_out(&ended.parts);
        }
        self.0.retain(|(known, _)| !known.parts.is_empty());
        if !is_found {
            self.end_one(ended);
        }
    }

    /// The end of work that has taken too long was not announced.
    fn forget(&mut self, now: Instant) {
        self.0.retain(|(_, until)| *until > now);
    }

    fn end_one(&mut self, ended: &AnnouncedWork) {
        // Parts whose begin was not told may have begun before the connection was open.
        let may_be = |known: &AnnouncedWork| {
            known.work == ended.work && !(known.parts.is_told() && ended.parts.is_told())
        };
        let mut works = self.0.iter();
        let same = works.position(|(known, _)| may_be(known) && known.number == ended.number);
        let mut works = self.0.iter();
        let oldest = works.position(|(known, _)| may_be(known));
        if let Some(at) = same.or(oldest) {
            self.0.remove(at);
        }
    }

    /// Until when replies may be slow; `None` if nothing is under way.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.0.iter().map(|(_, until)| *until).max()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn of(&mut self, work: Work) -> impl Iterator<Item = &mut (AnnouncedWork, Instant)> {
        self.0
            .iter_mut()
            .filter(move |(known, _)| known.work == work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// An announcement of work at these shards.
    fn at(work: Work, number: u64, shards: &[&str]) -> AnnouncedWork {
        AnnouncedWork {
            work,
            number,
            parts: Parts::shards(shards.iter().copied()),
        }
    }

    fn migration(number: u64, shards: &[&str]) -> AnnouncedWork {
        at(Work::Migration, number, shards)
    }

    fn slots(number: u64, slots: &str) -> AnnouncedWork {
        AnnouncedWork {
            work: Work::SlotMigration,
            number,
            parts: Parts::slots([slots].into_iter()),
        }
    }

    struct Rig {
        works: Works,
        now: Instant,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                works: Works::default(),
                now: Instant::now(),
            }
        }

        fn begins(&mut self, work: AnnouncedWork, within: Duration) {
            self.works.begins(work, self.now + within, self.now);
        }

        /// The time for which replies may be slow after this end.
        fn ends(&mut self, work: AnnouncedWork) -> Option<Duration> {
            self.works.ends(&work, self.now);
            self.left()
        }

        fn left(&self) -> Option<Duration> {
            self.works.until().map(|until| until - self.now)
        }
    }

    #[test]
    fn replies_may_be_slow_until_the_last_work_has_ended() {
        let mut rig = Rig::new();
        rig.begins(migration(1, &[]), 2 * SECOND);
        assert_eq!(rig.left(), Some(2 * SECOND + LONGEST));
        rig.begins(at(Work::Failover, 2, &[]), 5 * SECOND);
        assert_eq!(rig.left(), Some(5 * SECOND + LONGEST));
        let left = rig.ends(at(Work::Failover, 3, &[]));
        assert_eq!(left, Some(2 * SECOND + LONGEST));
        assert_eq!(rig.ends(migration(4, &[])), None);
        assert_eq!(rig.ends(migration(5, &[])), None);
    }

    #[test]
    fn the_end_of_one_shard_is_not_that_of_another() {
        let mut rig = Rig::new();
        rig.begins(migration(1, &["1", "2"]), Duration::ZERO);
        rig.begins(migration(2, &["3"]), Duration::ZERO);
        // This one had begun before the connection was open.
        assert_eq!(rig.ends(migration(3, &["9"])), Some(LONGEST));
        assert_eq!(rig.ends(migration(4, &["1"])), Some(LONGEST));
        assert_eq!(rig.ends(migration(5, &["3"])), Some(LONGEST));
        assert_eq!(rig.ends(at(Work::Failover, 6, &["2"])), Some(LONGEST));
        assert_eq!(rig.ends(migration(7, &["2"])), None);
    }

    #[test]
    fn work_whose_parts_are_not_told_is_counted() {
        let mut rig = Rig::new();
        rig.begins(migration(1, &[]), Duration::ZERO);
        // Told once more.
        rig.begins(migration(1, &[]), Duration::ZERO);
        rig.begins(migration(2, &[]), Duration::ZERO);
        assert_eq!(rig.ends(migration(3, &[])), Some(LONGEST));
        // That it was shard 2 is told at its end alone.
        assert_eq!(rig.ends(migration(4, &["2"])), None);
        // Or at its begin alone.
        rig.begins(migration(5, &["1"]), Duration::ZERO);
        assert_eq!(rig.ends(migration(6, &[])), None);
    }

    #[test]
    fn work_that_has_taken_too_long_is_not_that_which_ends_later() {
        let mut rig = Rig::new();
        rig.begins(migration(1, &[]), Duration::ZERO);
        rig.now += LONGEST;
        rig.begins(migration(2, &[]), Duration::ZERO);
        assert_eq!(rig.ends(migration(3, &[])), None);
    }

    #[test]
    fn slots_end_in_other_portions_than_they_begin() {
        let mut rig = Rig::new();
        rig.begins(slots(1, "0-100,200"), Duration::ZERO);
        rig.begins(slots(2, "300"), Duration::ZERO);
        assert_eq!(rig.ends(slots(3, "0-50")), Some(LONGEST));
        assert_eq!(rig.ends(slots(4, "51-100,300")), Some(LONGEST));
        assert_eq!(rig.ends(slots(5, "200")), None);
    }

    #[test]
    fn a_later_time_of_the_same_work_counts() {
        let mut rig = Rig::new();
        rig.begins(migration(1, &["1"]), 60 * SECOND);
        rig.begins(migration(2, &["1"]), SECOND);
        assert_eq!(rig.left(), Some(SECOND + LONGEST));
        assert_eq!(rig.ends(migration(3, &["1"])), None, "it is one work");
    }

    #[test]
    fn a_server_that_announces_without_end_is_not_remembered_without_end() {
        let mut rig = Rig::new();
        for number in 0..1_000 {
            rig.begins(migration(number, &[&number.to_string()]), SECOND);
        }
        assert_eq!(rig.works.len(), MOST);
        for number in 0..1_000 {
            rig.ends(migration(number, &[&number.to_string()]));
        }
        assert_eq!(rig.left(), None, "no end was forgotten");
    }
}
