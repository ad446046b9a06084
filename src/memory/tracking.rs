//! What a client wants to be told of the keys that it keeps copies of: CLIENT TRACKING.

use std::collections::BTreeSet;

use bytes::Bytes;

/// The keys of which a client is told that they have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// All that it has read.
    All,
    /// Those that it has read behind CLIENT CACHING YES.
    OptIn,
    /// Those that it has read, unless it was behind CLIENT CACHING NO.
    OptOut,
    /// All with one of these prefixes, whether it has read them or not.
    Broadcast(BTreeSet<Bytes>),
}

#[derive(Clone, Debug)]
pub(super) struct Tracking {
    pub(super) mode: Mode,
    /// It is not told of its own changes.
    pub(super) skips_own: bool,
    /// The number of the client that is told instead.
    pub(super) redirect: Option<u64>,
    /// That one was gone when it was to be told.
    pub(super) is_redirect_broken: bool,
    /// CLIENT CACHING was sent, for the next command or transaction.
    pub(super) is_caching_set: bool,
}

impl Tracking {
    /// Whether the keys are remembered that a command reads now.
    pub(super) fn remembers(&self) -> bool {
        match self.mode {
            Mode::All => true,
            Mode::OptIn => self.is_caching_set,
            Mode::OptOut => !self.is_caching_set,
            Mode::Broadcast(_) => false,
        }
    }

    pub(super) fn broadcasts(&self) -> bool {
        matches!(self.mode, Mode::Broadcast(_))
    }

    /// The prefixes of whose keys all changes are told.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = &Bytes> {
        let prefixes = match &self.mode {
            Mode::Broadcast(prefixes) => Some(prefixes),
            _ => None,
        };
        prefixes.into_iter().flatten()
    }
}
