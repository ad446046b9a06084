//! Why slow replies on one connection are no fault.

use std::time::Instant;

use crate::maintenance_work::{Announced, Work};

/// The reasons, the oldest first.
#[derive(Default)]
pub(super) struct Reasons {
    /// The server moves.
    moves_until: Option<Instant>,
    /// Work that was announced, as far as its end was not.
    works: Vec<(Announced, Instant)>,
}

/// More works of one connection at a time are not looked at.
const MOST: usize = 64;

impl Reasons {
    pub(super) fn moves(&mut self, until: Instant) {
        self.moves_until = Some(until);
    }

    /// Work begins. It may be announced again, with another time.
    pub(super) fn begins(&mut self, begun: Announced, until: Instant) {
        for (known, _) in self.of(begun.work) {
            known.parts.take_out(&begun.parts);
        }
        let is_again = |known: &Announced| known.work == begun.work && known.number == begun.number;
        self.works.retain(|(known, _)| {
            let is_untold = !known.parts.is_told();
            !known.parts.is_empty() && !(is_untold && is_again(known))
        });
        self.works.push((begun, until));
        if self.works.len() > MOST {
            self.works.remove(0);
        }
    }

    /// Work has ended at these parts of the server. Where they are not told, it is that of the same number, or the oldest.
    pub(super) fn ends(&mut self, ended: &Announced) {
        let mut is_found = false;
        for (known, _) in self.of(ended.work) {
            is_found |= known.parts.take_out(&ended.parts);
        }
        self.works.retain(|(known, _)| !known.parts.is_empty());
        if !is_found {
            self.end_one(ended);
        }
    }

    fn end_one(&mut self, ended: &Announced) {
        // Parts whose begin was not told may have begun before the connection was open.
        let may_be = |known: &Announced| {
            known.work == ended.work && !(known.parts.is_told() && ended.parts.is_told())
        };
        let mut works = self.works.iter();
        let same = works.position(|(known, _)| may_be(known) && known.number == ended.number);
        let mut works = self.works.iter();
        let oldest = works.position(|(known, _)| may_be(known));
        if let Some(at) = same.or(oldest) {
            self.works.remove(at);
        }
    }

    /// Until when there is any.
    pub(super) fn until(&self) -> Option<Instant> {
        let works = self.works.iter().map(|(_, until)| *until);
        works.chain(self.moves_until).max()
    }

    fn of(&mut self, work: Work) -> impl Iterator<Item = &mut (Announced, Instant)> {
        let works = self.works.iter_mut();
        works.filter(move |(known, _)| known.work == work)
    }
}
