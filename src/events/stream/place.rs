//! Where a reader of events is, so that it can come back later.

use std::{fmt, str::FromStr};

use super::HealthEvents;
use crate::events::run::Run;

/// The last event that a reader has got, and whose numbering that is. As a text, it is opaque to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventPlace {
    run: Run,
    sequence: u64,
}

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.sequence)
    }
}

/// A text that is no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPlace;

impl FromStr for EventPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (run, sequence) = text.split_once('-').ok_or(NoPlace)?;
        Ok(Self {
            run: Run(u64::from_str_radix(run, 16).map_err(|_| NoPlace)?),
            sequence: sequence.parse().map_err(|_| NoPlace)?,
        })
    }
}

impl HealthEvents {
    /// The place after the events that were fetched.
    pub(crate) fn place(&self) -> EventPlace {
        EventPlace {
            run: self.feed.run,
            sequence: self.seen,
        }
    }

    /// Goes on after this place, in place of the present states. `false`, and no change, if it is not one of this
    /// supervisor: its events are not known here.
    pub(crate) fn resume(&mut self, place: EventPlace) -> bool {
        let is_known = place.run == self.feed.run && place.sequence <= self.seen;
        if is_known {
            self.seen = place.sequence;
            self.fetched.clear();
        }
        is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = EventPlace {
            run: Run(u64::MAX),
            sequence: 17,
        };
        assert_eq!(place.to_string(), "ffffffffffffffff-17");
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "x-1",
            "1-x",
            "1-2-3",
            "10000000000000000-1",
        ] {
            assert_eq!(text.parse::<EventPlace>(), Err(NoPlace), "{text}");
        }
    }
}
