//! The id of an entry of a stream.

use std::{fmt, str};

/// The id of an entry of a stream: milliseconds, and a number within the millisecond. Ids order as entries do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId {
    milliseconds: u64,
    number: u64,
}

impl EntryId {
    /// Before all entries.
    pub(crate) const ZERO: Self = Self {
        milliseconds: 0,
        number: 0,
    };

    /// The first id behind this one; [`ZERO`](Self::ZERO) behind the last one.
    pub(crate) fn next(self) -> Self {
        let Self {
            milliseconds,
            number,
        } = self;
        match (number.checked_add(1), milliseconds.checked_add(1)) {
            (Some(number), _) => Self {
                milliseconds,
                number,
            },
            (None, Some(milliseconds)) => Self {
                milliseconds,
                number: 0,
            },
            (None, None) => Self::ZERO,
        }
    }

    /// `None` if the text is no id of an entry.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (milliseconds, number) = str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self {
            milliseconds: milliseconds.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_each_id_is_another_one() {
        let next = |text: &str| EntryId::parse(text.as_bytes()).map(|id| id.next().to_string());
        assert_eq!(next("5-7").as_deref(), Some("5-8"));
        assert_eq!(next("5-18446744073709551615").as_deref(), Some("6-0"));
        let last = "18446744073709551615-18446744073709551615";
        assert_eq!(next(last).as_deref(), Some("0-0"));
    }

    #[test]
    fn ids_order_as_numbers_and_come_back_as_they_were() {
        let texts = ["0-0", "9-10", "10-2", "10-11", "18446744073709551615-3"];
        let ids = texts.map(|text| EntryId::parse(text.as_bytes()).expect("an id"));
        assert!(ids.is_sorted());
        assert_eq!(ids.map(|id| id.to_string()), texts);
        for text in [
            "",
            "5",
            "5-",
            "-5",
            "a-1",
            "1-2-3",
            "18446744073709551616-0",
        ] {
            assert_eq!(EntryId::parse(text.as_bytes()), None, "{text}");
        }
    }
}
