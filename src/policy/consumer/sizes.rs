//! How many entries to ask for at a time, where answers may be too large to be read.

use std::time::{Duration, Instant};

use super::Terms;

/// How many entries to ask for at a time.
///
/// The entries of an answer that was too large are pending, although nothing has seen them. They are taken over one by
/// one: then each is delivered in vain once more at most, and one that is too large by itself is found. Both sizes grow
/// again when there is nothing left of such entries.
#[derive(Debug)]
pub(super) struct Sizes {
    most: usize,
    pub(super) read: usize,
    /// With 1 it is known before which entry is taken over.
    pub(super) claim: usize,
    claim_idle: Duration,
    /// Then all entries that have not been seen can be taken over.
    careful_until: Option<Instant>,
    round_began: Option<Instant>,
}

impl Sizes {
    pub(super) fn new(terms: &Terms) -> Self {
        Self {
            most: terms.batch,
            read: terms.batch,
            claim: terms.batch,
            claim_idle: terms.claim_idle,
            careful_until: None,
            round_began: None,
        }
    }

    /// New entries together were too large to be read.
    pub(super) fn halve_reads(&mut self) {
        self.read = self.read.div_ceil(2);
    }

    /// There are entries that were delivered and not seen.
    pub(super) fn claim_one_by_one(&mut self, now: Instant) {
        self.claim = 1;
        self.careful_until = Some(now + self.claim_idle);
    }

    /// It is looked for entries to take over, from the first one on.
    pub(super) fn begin_round(&mut self, now: Instant) {
        self.round_began = Some(now);
    }

    /// There is none any more.
    pub(super) fn end_round(&mut self) {
        if self.round_began >= self.careful_until {
            self.read = self.read.saturating_mul(2).min(self.most);
            self.claim = self.claim.saturating_mul(2).min(self.most);
        }
    }
}
