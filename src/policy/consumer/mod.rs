//! The consumer of a stream, as a machine: what it owes, and what is to be done about it. Events go in, actions come
//! out.
//!
//! An entry that was delivered is *held* until it is acknowledged, among the dead letters, or given up by a failure of
//! its handler: then it stays pending at the server, and some consumer takes it over when it has been idle for long
//! enough. Nothing is acknowledged that was not handled.
//!
//! The machine has no clock, no dice and no sockets. Its shell, the driver of a consumer, tells it what has happened
//! by [`Duties::on`], carries out the actions of [`Duties::poll`] until there is none, and asks again at
//! [`Duties::wake_at`].

mod entry_id;
mod errand;
mod held;
mod interface;
mod questions;
mod sizes;
mod turns;

pub(crate) use entry_id::EntryId;
pub(crate) use errand::{Errand, Trouble};
pub(crate) use interface::{Action, Burial, Content, Event, Found, Question, Tally, Terms};
pub(crate) use turns::Key;

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

use self::{errand::Course, held::Held, sizes::Sizes, turns::Turns};

/// The duties of one consumer, whose entries are `E`.
#[derive(Debug)]
pub(crate) struct Duties<E> {
    terms: Terms,
    held: Held<E>,
    turns: Turns,
    handled: Vec<EntryId>,
    /// The entries of the acknowledgement that is under way.
    acknowledging: Vec<EntryId>,
    /// Entries to give up, the first of which is under way if the errand is, with the failures of their handlers.
    dead: VecDeque<(EntryId, Option<Box<str>>)>,
    /// Entries that will not be handled here, because the consumer stops.
    unwanted: Vec<EntryId>,
    releasing: Vec<EntryId>,
    courses: [Course; ERRANDS],
    sizes: Sizes,
    /// Entries that the questions under way may bring.
    asked: Asked,
    needs_group: bool,
    /// Where to look on for entries of the consumer itself, until there are no more.
    own_after: Option<EntryId>,
    /// The last question for new entries brought as many as it asked for, so there are probably more.
    has_more: bool,
    claim_from: EntryId,
    claim_at: Option<Instant>,
    /// Entries that were done with while a question for others was under way. Its answer may still have them.
    done_during_claim: HashSet<EntryId>,
    renew_at: Option<Instant>,
    /// The server was away, and has not been seen since.
    is_troubled: bool,
    is_stopping: bool,
    has_left: bool,
    /// No errand can succeed any more.
    is_cut_off: bool,
    tally: Tally,
}

const ERRANDS: usize = Errand::Leave as usize + 1;

#[derive(Debug, Default)]
struct Asked {
    by_read: usize,
    by_claim: usize,
}

impl<E: Clone> Duties<E> {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            held: Held::default(),
            turns: Turns::new(terms.concurrency),
            handled: Vec::new(),
            acknowledging: Vec::new(),
            dead: VecDeque::new(),
            unwanted: Vec::new(),
            releasing: Vec::new(),
            courses: Default::default(),
            sizes: Sizes::new(&terms),
            asked: Asked::default(),
            needs_group: terms.creates_group,
            own_after: Some(EntryId::ZERO),
            has_more: true,
            claim_from: EntryId::ZERO,
            claim_at: None,
            done_during_claim: HashSet::new(),
            renew_at: None,
            is_troubled: false,
            is_stopping: false,
            has_left: false,
            is_cut_off: false,
            tally: Tally::default(),
        }
    }

    /// Takes an event. `jitter` is a random number from 0 to 1.
    pub(crate) fn on(&mut self, event: Event<E>, now: Instant, jitter: f64) {
        match event {
            Event::Prepared => {
                self.succeeded(Errand::Prepare, now);
                self.needs_group = false;
            }
            Event::Read { found, since } => self.took(found, since, now),
            Event::Claimed {
                found,
                trimmed,
                next,
                since,
            } => {
                self.succeeded(Errand::Claim, now);
                self.asked.by_claim = 0;
                self.tally.trimmed += trimmed;
                let mut found = found;
                found.retain(|found| !self.done_during_claim.contains(&found.id));
                if found.iter().any(Found::is_too_large) {
                    self.sizes.claim_one_by_one(now);
                }
                self.tally.claimed += self.take(found, since);
                self.claim_from = next;
                if next == EntryId::ZERO {
                    self.has_claimed_all(now, jitter);
                }
            }
            Event::Handled { id, failure } => self.ran(id, failure),
            Event::Abandoned { id } => {
                // It stays pending, since it may have been handled in part.
                self.settle(id);
                self.held.forget(id);
            }
            Event::Acknowledged => {
                self.succeeded(Errand::Acknowledge, now);
                for id in std::mem::take(&mut self.acknowledging) {
                    self.tally.acknowledged += u64::from(self.held.forget(id));
                    self.note_done(id);
                }
            }
            Event::Renewed { ids, lost, since } => {
                self.succeeded(Errand::Renew, now);
                for id in ids {
                    self.held.renewed(id, since);
                }
                for id in lost {
                    self.lose(id);
                }
            }
            Event::Buried { was_pending } => {
                self.succeeded(Errand::Bury, now);
                self.buried(was_pending);
            }
            Event::Released => {
                self.succeeded(Errand::Release, now);
                self.released();
            }
            Event::Left => {
                self.succeeded(Errand::Leave, now);
                self.has_left = true;
            }
            Event::Failed { errand, trouble } => self.failed(errand, trouble, now, jitter),
            Event::Stop => self.stop(),
        }
    }

    /// The next action. The shell asks until there is none.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Action<E>> {
        if let Some(id) = self.turns.next() {
            let entry = self.held.run(id);
            return Some(Action::Run { id, entry });
        }
        if self.is_cut_off {
            return None;
        }
        let question = self.question(now)?;
        self.courses[question.errand() as usize].begin();
        Some(Action::Ask(question))
    }

    /// When the shell is to poll again, if no event comes before.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let courses = self.courses.iter().filter_map(Course::not_before);
        let others = self.claim_at.into_iter().chain(self.renew_at);
        // What is due already waits for an event.
        courses.chain(others).filter(|at| *at > now).min()
    }

    /// Whether it was told to stop, or cannot go on, and nothing is left to do or to wait for.
    pub(crate) fn is_over(&self) -> bool {
        let is_idle = self.turns.running() == 0 && !self.courses.iter().any(Course::is_under_way);
        is_idle && (self.has_left || self.is_cut_off)
    }

    /// Whether no errand can succeed any more.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Handlers that run.
    pub(crate) fn running(&self) -> usize {
        self.turns.running()
    }

    /// Entries that were delivered to this consumer, and are neither acknowledged nor given up.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    fn took(&mut self, found: Vec<Found<E>>, since: Instant, now: Instant) {
        self.succeeded(Errand::Read, now);
        let asked = std::mem::take(&mut self.asked.by_read);
        match self.own_after {
            Some(_) => {
                self.own_after = found.last().map(|last| last.id);
                self.tally.claimed += self.take(found, since);
            }
            None => {
                self.has_more = found.len() >= asked;
                self.tally.read += self.take(found, since);
            }
        }
    }

    /// Holds what was found, and returns how many entries are held newly.
    fn take(&mut self, found: Vec<Found<E>>, since: Instant) -> u64 {
        let mut taken = 0;
        for found in found {
            // One that cannot be read fails each time.
            let (entry, is_last) = match &found.content {
                Content::Whole(entry) => (Some(entry.clone()), self.is_worn_out(found.deliveries)),
                Content::TooLarge if self.is_last(found.deliveries) => (None, true),
                // It stays pending, until it was delivered often enough.
                Content::TooLarge => continue,
                Content::Deleted => {
                    self.take_trimmed(found.id);
                    continue;
                }
            };
            if !self.held.take(&found, entry, since) {
                continue;
            }
            taken += 1;
            if is_last {
                self.held.settle(found.id);
                self.dead.push_back((found.id, None));
            } else if self.is_stopping {
                self.held.give_back(found.id);
                self.unwanted.push(found.id);
            } else {
                self.turns.join(found.id, found.key.as_ref());
            }
        }
        if taken > 0 && self.renew_at.is_none() {
            self.renew_at = Some(since + self.renewal_pause());
        }
        taken
    }

    /// Whether it must not be delivered again.
    fn is_last(&self, deliveries: u64) -> bool {
        let max = self.terms.max_deliveries;
        max.is_some_and(|max| deliveries >= max)
    }

    /// Whether it should not have been delivered any more.
    fn is_worn_out(&self, deliveries: u64) -> bool {
        let max = self.terms.max_deliveries;
        max.is_some_and(|max| deliveries > max)
    }

    /// There is nothing to handle. It would be pending for ever.
    fn take_trimmed(&mut self, id: EntryId) {
        if !self.held.has(id) {
            self.tally.trimmed += 1;
            self.handled.push(id);
        }
    }

    fn ran(&mut self, id: EntryId, failure: Option<Box<str>>) {
        self.settle(id);
        let Some(failure) = failure else {
            self.tally.handled += 1;
            self.handled.push(id);
            return;
        };
        self.tally.failed += 1;
        let held = self.held.get(id);
        // Another consumer that has it decides for itself.
        if self.is_last(held.deliveries) && !held.is_lost {
            self.dead.push_back((id, Some(failure)));
        } else {
            // It stays pending, and is taken over when it has been idle for long enough.
            self.held.forget(id);
        }
    }

    /// The entry runs no more.
    fn settle(&mut self, id: EntryId) {
        self.held.settle(id);
        self.turns.done(self.held.get(id).key.as_ref());
    }

    fn buried(&mut self, was_pending: bool) {
        let (id, _) = self.dead.pop_front().expect("BUG: it was to be buried");
        self.held.forget(id);
        self.note_done(id);
        self.tally.dead_lettered += u64::from(was_pending);
    }

    /// Another consumer has taken the entry over. One that runs here goes on.
    fn lose(&mut self, id: EntryId) {
        if let Some(held) = self.held.lose(id) {
            self.turns.leave(id, held.key.as_ref());
            self.unwanted.retain(|other| *other != id);
        }
    }

    fn note_done(&mut self, id: EntryId) {
        if self.courses[Errand::Claim as usize].is_under_way() {
            self.done_during_claim.insert(id);
        }
    }

    fn released(&mut self) {
        for id in std::mem::take(&mut self.releasing) {
            self.held.forget(id);
        }
    }

    fn stop(&mut self) {
        if self.is_stopping {
            return;
        }
        self.is_stopping = true;
        self.claim_at = None;
        self.turns.end();
        self.unwanted = self.held.give_back_waiting();
    }

    fn failed(&mut self, errand: Errand, trouble: Trouble, now: Instant, jitter: f64) {
        self.courses[errand as usize].failed(trouble, now, jitter);
        match trouble {
            Trouble::Final => self.is_cut_off = true,
            // Nothing is pending in a group that does not exist, so that this is done as well.
            Trouble::NoGroup if errand == Errand::Bury => self.buried(false),
            Trouble::NoGroup if errand == Errand::Release => self.released(),
            Trouble::NoGroup if self.terms.creates_group => self.needs_group = true,
            Trouble::NoGroup => self.is_cut_off = true,
            Trouble::Unavailable => self.is_troubled = true,
            Trouble::TooLarge => {
                self.sizes.claim_one_by_one(now);
                // Own entries that are too large together are left to the claims as well.
                if errand == Errand::Read && self.own_after.take().is_none() {
                    self.sizes.halve_reads();
                }
            }
            Trouble::Refused => {}
        }
        match errand {
            Errand::Read => {
                self.asked.by_read = 0;
                // One that waits needs a connection of its own, which there may not be: the next one does not.
                self.has_more = true;
            }
            Errand::Claim => self.asked.by_claim = 0,
            Errand::Acknowledge => self.handled.append(&mut self.acknowledging),
            Errand::Release => {
                let releasing = std::mem::take(&mut self.releasing);
                let left = releasing.into_iter().filter(|id| self.held.has(*id));
                self.unwanted.extend(left);
            }
            Errand::Renew => self.renew_at = Some(now),
            // The consumer may stay: it does no harm.
            Errand::Leave => self.has_left = true,
            Errand::Prepare | Errand::Bury => {}
        }
        if self.is_cut_off {
            self.stop();
        }
    }

    fn succeeded(&mut self, errand: Errand, now: Instant) {
        self.courses[errand as usize].succeeded();
        if std::mem::take(&mut self.is_troubled) {
            // During an outage nobody could renew a claim. So all renew theirs before any is taken over.
            self.renew_at = Some(now);
            self.claim_after(now, self.terms.claim_idle / 2);
        }
    }

    /// There is nothing more to take over for now.
    fn has_claimed_all(&mut self, now: Instant, jitter: f64) {
        // About half the time after which entries may be taken over, spread so that several consumers do not look all at
        // once.
        self.claim_after(now, self.terms.claim_idle.mul_f64(0.4 + 0.2 * jitter));
        self.sizes.end_round();
    }

    fn claim_after(&mut self, now: Instant, pause: Duration) {
        self.claim_at = self.claim_at.max(Some(now + pause));
    }
}
#[cfg(test)]
#[path = "claim_tests.rs"]
mod claiming;

#[cfg(test)]
#[path = "case_tests.rs"]
mod case;

#[cfg(test)]
#[path = "decision_tests.rs"]
mod decisions;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model;
