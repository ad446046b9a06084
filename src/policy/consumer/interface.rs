//! Events go into the machine of a consumer, and actions come out of it.

use std::time::{Duration, Instant};

use super::{EntryId, Errand, Key, Trouble};

/// The terms on which a consumer works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The most handlers at a time.
    pub(crate) concurrency: usize,
    /// The most entries that one question asks for.
    pub(crate) batch: usize,
    /// An entry that was delivered so long ago, and is not acknowledged, may be taken over.
    pub(crate) claim_idle: Duration,
    /// An entry that was delivered so often in vain is given up.
    pub(crate) max_deliveries: Option<u64>,
    /// The group is created where it is missing.
    pub(crate) creates_group: bool,
}

/// An entry that the server has given to this consumer.
#[derive(Clone, Debug)]
pub(crate) struct Found<E> {
    pub(crate) id: EntryId,
    /// How often it was delivered, this time included.
    pub(crate) deliveries: u64,
    pub(crate) key: Option<Key>,
    pub(crate) content: Content<E>,
}

impl<E> Found<E> {
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self.content, Content::TooLarge)
    }
}

/// What an entry contains.
#[derive(Clone, Debug)]
pub(crate) enum Content<E> {
    Whole(E),
    /// It was deleted from its stream, while it was pending.
    Deleted,
    /// It alone is larger than a reply may be.
    TooLarge,
}

/// Something that has happened. `since` is when the question was put.
#[derive(Clone, Debug)]
pub(crate) enum Event<E> {
    /// The group exists.
    Prepared,
    /// Entries of the consumer itself, or new ones.
    Read {
        found: Vec<Found<E>>,
        since: Instant,
    },
    /// Entries that were taken over, and where to look on; [`EntryId::ZERO`] after the last one.
    Claimed {
        found: Vec<Found<E>>,
        /// Entries that were pending, and had been deleted from the stream.
        trimmed: u64,
        next: EntryId,
        since: Instant,
    },
    /// A handler has ended.
    Handled {
        id: EntryId,
        failure: Option<Box<str>>,
    },
    /// The handler will never end: there is nothing that handles entries any more.
    Abandoned {
        id: EntryId,
    },
    Acknowledged,
    /// The claims of these entries were renewed. Those that are `lost` are not claimed by this consumer any more.
    Renewed {
        ids: Vec<EntryId>,
        lost: Vec<EntryId>,
        since: Instant,
    },
    /// An entry is among the dead letters; unless it `was_pending` for this consumer, another one has taken it over, or
    /// it was acknowledged or put there before.
    Buried {
        was_pending: bool,
    },
    Released,
    Left,
    /// An errand was in vain.
    Failed {
        errand: Errand,
        trouble: Trouble,
    },
    /// No further entry is to be read.
    Stop,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action<E> {
    /// Call the handler.
    Run { id: EntryId, entry: E },
    /// Put this question to the server.
    Ask(Question<E>),
}

/// A question to the server. Each is answered by an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question<E> {
    /// Create the group.
    Prepare,
    /// Read entries that are pending for this consumer, after this one.
    ReadOwn {
        after: EntryId,
        count: usize,
    },
    /// Read new entries. If it `waits`, there are probably none yet.
    ReadNew {
        count: usize,
        waits: bool,
    },
    /// Take over entries that are idle for too long, from this one on.
    Claim {
        from: EntryId,
        count: usize,
    },
    Acknowledge(Vec<EntryId>),
    /// Move an entry to the dead letters.
    Bury(Burial<E>),
    Renew(Vec<EntryId>),
    /// Let other consumers take over these entries at once, as if they had not been delivered for this last time. The
    /// number is that of their deliveries.
    Release(Vec<(EntryId, u64)>),
    /// Delete the consumer, unless something is pending for it.
    Leave,
}

impl<E> Question<E> {
    pub(crate) fn errand(&self) -> Errand {
        match self {
            Self::Prepare => Errand::Prepare,
            Self::ReadOwn { .. } | Self::ReadNew { .. } => Errand::Read,
            Self::Claim { .. } => Errand::Claim,
            Self::Acknowledge(_) => Errand::Acknowledge,
            Self::Bury(_) => Errand::Bury,
            Self::Renew(_) => Errand::Renew,
            Self::Release(_) => Errand::Release,
            Self::Leave => Errand::Leave,
        }
    }
}

/// An entry that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Burial<E> {
    pub(crate) id: EntryId,
    /// `None` if it is too large to be read.
    pub(crate) entry: Option<E>,
    pub(crate) deliveries: u64,
    /// Why its handler failed last, if it did so here.
    pub(crate) failure: Option<Box<str>>,
}

/// How many entries met which fate so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// New entries.
    pub(crate) read: u64,
    /// Entries that were pending: of this consumer when it began, or taken over.
    pub(crate) claimed: u64,
    pub(crate) handled: u64,
    pub(crate) failed: u64,
    pub(crate) acknowledged: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) trimmed: u64,
}
