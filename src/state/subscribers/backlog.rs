//! The events that a subscriber has not taken yet.

use std::{collections::VecDeque, time::SystemTime};

use crate::events::{EndCause, GapCause, PubSubEvent, WhenFull};

/// How much a subscriber may leave unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) max_messages: usize,
    /// Payloads and names of channels.
    pub(crate) max_bytes: usize,
    pub(crate) when_full: WhenFull,
}

/// A queue within bounds, with everything in its place: what was dropped, and what was missed.
///
/// All but messages is bounded as well: neighbours of a kind become one, and so do the last gaps if there are many.
#[derive(Debug)]
pub(super) struct Backlog {
    bounds: Bounds,
    entries: VecDeque<Entry>,
    messages: usize,
    bytes: usize,
    /// Gaps that are over.
    gaps: usize,
    is_over: bool,
}

#[derive(Debug)]
enum Entry {
    Event(PubSubEvent),
    /// Whatever is behind it waits, until it is known when the gap has ended.
    OpenGap {
        from: SystemTime,
        cause: GapCause,
    },
}

/// More gaps than these are told as one.
const MAX_GAPS: usize = 16;

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// So many messages were dropped, perhaps this one.
    pub(super) dropped: u64,
    /// It was one too many, so the subscription is to [end](Backlog::end).
    pub(super) is_end: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    Event(PubSubEvent),
    Nothing,
    End,
}

impl Backlog {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: VecDeque::new(),
            messages: 0,
            bytes: 0,
            gaps: 0,
            is_over: false,
        }
    }

    /// Takes a message in, or drops as many as the bounds demand.
    pub(super) fn push(&mut self, message: PubSubEvent) -> Pushed {
        let mut pushed = Pushed::default();
        if self.is_over {
            return pushed;
        }
        let size = size(&message);
        if !self.has_room(size) {
            match self.bounds.when_full {
                WhenFull::End => {
                    pushed.is_end = true;
                    return pushed;
                }
                WhenFull::DropOldest if size <= self.bounds.max_bytes => {
                    while !self.has_room(size) {
                        self.drop_oldest();
                        pushed.dropped += 1;
                    }
                }
                // One that is larger than the whole queue has no room in an empty one.
                WhenFull::DropOldest | WhenFull::DropNewest => {
                    self.lag_at(self.entries.len());
                    pushed.dropped = 1;
                    return pushed;
                }
            }
        }
        self.messages += 1;
        self.bytes += size;
        self.entries.push_back(Entry::Event(message));
        pushed
    }

    /// Messages are missed from now on.
    pub(super) fn interrupt(&mut self, at: SystemTime, cause: GapCause) {
        if self.is_over || self.open_gap().is_some() {
            return;
        }
        let mut from = at;
        if self.gaps >= MAX_GAPS {
            from = self.take_last_gap().unwrap_or(at);
        }
        let told = PubSubEvent::Interrupted {
            at,
            cause: cause.clone(),
        };
        self.entries.push_back(Entry::Event(told));
        self.entries.push_back(Entry::OpenGap { from, cause });
    }

    /// Messages are missed for another reason by now.
    pub(super) fn still_interrupted(&mut self, at: SystemTime, cause: GapCause) {
        let Some(gap) = self.open_gap() else {
            return;
        };
        let told = Entry::Event(PubSubEvent::Interrupted { at, cause });
        match gap.checked_sub(1).map(|before| &mut self.entries[before]) {
            Some(before @ Entry::Event(PubSubEvent::Interrupted { .. })) => *before = told,
            _ => self.entries.insert(gap, told),
        }
    }

    /// Messages come again.
    pub(super) fn resume(&mut self, to: SystemTime) {
        let Some(gap) = self.open_gap().map(|at| &mut self.entries[at]) else {
            return;
        };
        if let Entry::OpenGap { from, cause } = gap {
            let (from, cause) = (*from, cause.clone());
            *gap = Entry::Event(PubSubEvent::Gap { from, to, cause });
            self.gaps += 1;
        }
    }

    /// Something else is to be told.
    pub(super) fn tell(&mut self, event: PubSubEvent) {
        if !self.is_over {
            self.entries.push_back(Entry::Event(event));
        }
    }

    /// Nothing comes any more. A gap that is open has ended then.
    pub(super) fn end(&mut self, cause: EndCause, at: SystemTime) {
        if self.is_over {
            return;
        }
        self.resume(at);
        self.tell(PubSubEvent::Ended(cause));
        self.is_over = true;
    }

    pub(super) fn pop(&mut self) -> Popped {
        match self.entries.front() {
            Some(Entry::Event(_)) => {}
            Some(Entry::OpenGap { .. }) => return Popped::Nothing,
            None if self.is_over => return Popped::End,
            None => return Popped::Nothing,
        }
        let Some(Entry::Event(event)) = self.entries.pop_front() else {
            unreachable!("BUG: the first entry has changed");
        };
        self.forget(&event);
        Popped::Event(event)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn has_room(&self, size: usize) -> bool {
        self.messages < self.bounds.max_messages
            && size <= self.bounds.max_bytes.saturating_sub(self.bytes)
    }

    fn drop_oldest(&mut self) {
        let is_message = |entry: &Entry| matches!(entry, Entry::Event(PubSubEvent::Message { .. }));
        let at = self.entries.iter().position(is_message);
        let at = at.expect("BUG: a queue without a message has no room for one that fits");
        if let Some(Entry::Event(message)) = self.entries.remove(at) {
            self.forget(&message);
        }
        self.merge_lags_at(at);
        self.lag_at(at);
    }

    /// Counts one that was dropped between these entries.
    fn lag_at(&mut self, at: usize) {
        for neighbour in [at.checked_sub(1), Some(at)].into_iter().flatten() {
            if let Some(Entry::Event(PubSubEvent::Lagged(count))) = self.entries.get_mut(neighbour)
            {
                *count += 1;
                return;
            }
        }
        let lagged = Entry::Event(PubSubEvent::Lagged(1));
        self.entries.insert(at, lagged);
    }

    /// Takes the last gap out, and tells when it began. The next one covers it.
    fn take_last_gap(&mut self) -> Option<SystemTime> {
        let is_gap = |entry: &Entry| matches!(entry, Entry::Event(PubSubEvent::Gap { .. }));
        let at = self.entries.iter().rposition(is_gap)?;
        let Some(Entry::Event(PubSubEvent::Gap { from, .. })) = self.entries.remove(at) else {
            unreachable!("BUG: the gap is not where it was found");
        };
        self.gaps -= 1;
        let mut at = at;
        while let Some(before) = at.checked_sub(1)
            && let Entry::Event(PubSubEvent::Interrupted { .. }) = self.entries[before]
        {
            self.entries.remove(before);
            at = before;
        }
        self.merge_lags_at(at);
        Some(from)
    }

    /// What was between two counts is gone.
    fn merge_lags_at(&mut self, at: usize) {
        let Some(Entry::Event(PubSubEvent::Lagged(more))) = self.entries.get(at) else {
            return;
        };
        let more = *more;
        if let Some(before) = at.checked_sub(1)
            && let Entry::Event(PubSubEvent::Lagged(count)) = &mut self.entries[before]
        {
            *count += more;
            self.entries.remove(at);
        }
    }

    fn open_gap(&self) -> Option<usize> {
        let is_open = |entry: &Entry| matches!(entry, Entry::OpenGap { .. });
        self.entries.iter().rposition(is_open)
    }

    fn forget(&mut self, event: &PubSubEvent) {
        match event {
            PubSubEvent::Message { .. } => {
                self.messages -= 1;
                self.bytes -= size(event);
            }
            PubSubEvent::Gap { .. } => self.gaps -= 1,
            _ => {}
        }
    }
}

fn size(event: &PubSubEvent) -> usize {
    match event {
        PubSubEvent::Message {
            channel,
            pattern,
            payload,
        } => channel.len() + payload.len() + pattern.as_ref().map_or(0, |pattern| pattern.len()),
        _ => 0,
    }
}
