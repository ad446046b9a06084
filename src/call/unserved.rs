//! Calls that end with an error unless a fallback serves them.

use super::CallEngine;
use crate::{backend::Backend, error::Error, state::count};

/// The error with which a call ends, unless a fallback serves it.
///
/// A call that was not let through is counted when that is certain, because a counter never falls.
#[must_use = "the call is not counted yet"]
pub(super) enum Unserved {
    /// The gate has refused it.
    Refused(Error),
    /// It has waited at the gate until its deadline.
    TimedOut(Error),
    /// An attempt at the server has failed. That was counted where it ended.
    Attempted(Error),
}

impl Unserved {
    pub(super) fn error(&self) -> &Error {
        match self {
            Self::Refused(error) | Self::TimedOut(error) | Self::Attempted(error) => error,
        }
    }
}

impl<B: Backend> CallEngine<B> {
    /// The call ends with its error.
    pub(super) fn ends(&self, unserved: Unserved) -> Error {
        let counters = &self.state.counters;
        match unserved {
            Unserved::Refused(error) => {
                count(&counters.refused);
                error
            }
            Unserved::TimedOut(error) => {
                count(&counters.timed_out);
                counters.note_error(&error);
                error
            }
            Unserved::Attempted(error) => error,
        }
    }

    /// The call goes on, and is counted by its end.
    pub(super) fn goes_on(&self, unserved: &Unserved) {
        if let Unserved::Attempted(_) = unserved {
            count(&self.state.counters.retried);
        }
    }
}
