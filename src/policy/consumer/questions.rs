//! What to ask the server for next.

use std::time::{Duration, Instant};

use super::{Burial, Duties, EntryId, Errand, Question, errand::Course};

/// The most entries of one acknowledgement. A longer command would delay the others of its connection.
const MAX_ACKNOWLEDGED: usize = 1_000;

impl<E: Clone> Duties<E> {
    /// The most urgent question. What is done goes before what is to be done.
    pub(super) fn question(&mut self, now: Instant) -> Option<Question<E>> {
        let owed = self
            .acknowledge(now)
            .or_else(|| self.bury(now))
            .or_else(|| self.renew(now));
        if owed.is_some() {
            return owed;
        }
        if self.is_stopping {
            return self.release(now).or_else(|| self.leave(now));
        }
        self.prepare(now)
            .or_else(|| self.claim(now))
            .or_else(|| self.read(now))
    }

    fn acknowledge(&mut self, now: Instant) -> Option<Question<E>> {
        if self.handled.is_empty() || !self.may_begin(Errand::Acknowledge, now) {
            return None;
        }
        let rest = self.handled.len().min(MAX_ACKNOWLEDGED);
        let rest = self.handled.split_off(rest);
        self.acknowledging = std::mem::replace(&mut self.handled, rest);
        Some(Question::Acknowledge(self.acknowledging.clone()))
    }

    fn bury(&mut self, now: Instant) -> Option<Question<E>> {
        if !self.may_begin(Errand::Bury, now) {
            return None;
        }
        let (id, failure) = self.dead.front()?.clone();
        let held = self.held.get(id);
        let burial = Burial {
            id,
            entry: held.entry.clone(),
            deliveries: held.deliveries,
            failure,
        };
        Some(Question::Bury(burial))
    }

    /// A claim is renewed when a third of the time has passed after which others may take the entry over. It is looked
    /// for twice as often, so that half of the time is left in any case.
    fn renew(&mut self, now: Instant) -> Option<Question<E>> {
        if self.renew_at.is_none_or(|at| at > now) || !self.may_begin(Errand::Renew, now) {
            return None;
        }
        let is_empty = self.held.len() == 0;
        self.renew_at = (!is_empty).then(|| now + self.renewal_pause());
        let old = self.held.older_than(self.terms.claim_idle / 3, now);
        if old.is_empty() {
            return None;
        }
        Some(Question::Renew(old))
    }

    pub(super) fn renewal_pause(&self) -> Duration {
        self.terms.claim_idle / 6
    }

    fn prepare(&mut self, now: Instant) -> Option<Question<E>> {
        if !self.needs_group || !self.may_begin(Errand::Prepare, now) {
            return None;
        }
        Some(Question::Prepare)
    }

    fn claim(&mut self, now: Instant) -> Option<Question<E>> {
        let is_due = self.claim_at.is_none_or(|at| at <= now);
        let comes_first = self.needs_group || self.own_after.is_some();
        if comes_first || !is_due || !self.has_room() || !self.may_begin(Errand::Claim, now) {
            return None;
        }
        let count = self.sizes.claim;
        self.asked.by_claim = count;
        if self.claim_from == EntryId::ZERO {
            self.sizes.begin_round(now);
        }
        self.done_during_claim.clear();
        Some(Question::Claim {
            from: self.claim_from,
            count,
        })
    }

    fn read(&mut self, now: Instant) -> Option<Question<E>> {
        if self.needs_group || !self.has_room() || !self.may_begin(Errand::Read, now) {
            return None;
        }
        let count = self.sizes.read;
        self.asked.by_read = count;
        Some(match self.own_after {
            Some(after) => Question::ReadOwn { after, count },
            None => Question::ReadNew {
                count,
                waits: !self.has_more,
            },
        })
    }

    /// Whether another batch may be asked for. While one is handled and acknowledged, another is there already.
    fn has_room(&self) -> bool {
        let ahead = self.terms.batch.saturating_mul(2);
        let limit = self.terms.concurrency.saturating_add(ahead);
        let expected = self.held.len() + self.asked.by_read + self.asked.by_claim;
        expected.saturating_add(self.terms.batch) <= limit
    }

    fn release(&mut self, now: Instant) -> Option<Question<E>> {
        if self.unwanted.is_empty() || !self.may_begin(Errand::Release, now) {
            return None;
        }
        self.releasing = std::mem::take(&mut self.unwanted);
        let with_deliveries = |id: &EntryId| (*id, self.held.get(*id).deliveries);
        Some(Question::Release(
            self.releasing.iter().map(with_deliveries).collect(),
        ))
    }

    fn leave(&mut self, now: Instant) -> Option<Question<E>> {
        let is_busy = self.courses.iter().any(Course::is_under_way);
        let owes = self.held.len() > 0 || !self.handled.is_empty();
        if self.has_left || is_busy || owes || !self.may_begin(Errand::Leave, now) {
            return None;
        }
        Some(Question::Leave)
    }

    fn may_begin(&self, errand: Errand, now: Instant) -> bool {
        self.courses[errand as usize].may_begin(now)
    }
}
