//! What a local store does for a database that is away: which commands it serves, and what of them is kept for
//! the server.
//!
//! - `served`: the commands that may run locally, and the changes that they make · `kind`: those that change a part of a
//!   value · `change`: a change of one key, and the command that makes it at the server · `journal`: the changes that are
//!   kept, each an `entry` · `replayed`: what has become of them · `returns`: which of them are to be made once more ·
//!   `last_seen`: what was seen before · `whole_strings`: the commands that show it

mod change;
mod entry;
mod journal;
mod kind;
mod last_seen;
mod replayed;
mod returns;
mod served;
mod whole_strings;

pub(crate) use journal::{Bounds, Journal, Keeps, Lot, LotBounds};
pub(crate) use last_seen::LastSeen;
pub(crate) use replayed::Replayed;
pub(crate) use served::{LocalReply, Served};
pub(crate) use whole_strings::{Written, keys_read, strings_written};

#[cfg(test)]
mod journal_rig;
#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod replay_tests;
