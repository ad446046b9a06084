//! Decisions of the pool of one database.

mod ledger;
mod places;

pub(crate) use ledger::{Eviction, Ledger, Limits, Step};
pub(crate) use places::{Counts, Lane, Place, Places, State};
