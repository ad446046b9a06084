//! Cursors and options of SCAN, SSCAN, HSCAN and ZSCAN.
//!
//! A walk goes from the last position to the first. A cursor is the number of positions that were not visited
//! yet, so 0 is the end; a walk that begins at cursor 0 begins at the last position.

use std::ops::Range;

use bytes::Bytes;

use crate::memory::{
    arguments::{Words, integer, is},
    glob,
    halt::Halt,
    number,
    reply::Reply,
};

/// A command's data, for the options that it alone has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// SCAN, with TYPE.
    Keys,
    /// HSCAN, with NOVALUES.
    Fields,
    Members,
}

#[derive(Debug)]
pub(super) struct Options<'a> {
    pattern: Option<&'a Bytes>,
    count: usize,
    /// The name of the type of TYPE.
    pub(super) kind: Option<&'a Bytes>,
    pub(super) is_without_values: bool,
}

/// The positions to visit in one call, and the cursor of the next.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    positions: Range<usize>,
    next: usize,
}

/// The cursor that an argument is. Redis reads it before it looks up the key, and the options after that.
pub(super) fn cursor(argument: &[u8]) -> Result<u64, Halt> {
    let digits = argument.strip_prefix(b"+").unwrap_or(argument);
    let text = str::from_utf8(digits).ok();
    text.filter(|text| !text.starts_with('+'))
        .and_then(|text| text.parse().ok())
        .ok_or(Halt::error("ERR invalid cursor"))
}

/// The reply of a walk over a key that does not exist.
pub(super) fn empty() -> Reply {
    Reply::Array(vec![Reply::text("0"), Reply::Array(Vec::new())])
}

impl<'a> Options<'a> {
    pub(super) fn parse(arguments: &'a [Bytes], walk: Walk) -> Result<Self, Halt> {
        const DEFAULT_COUNT: usize = 10;
        let mut options = Self {
            pattern: None,
            count: DEFAULT_COUNT,
            kind: None,
            is_without_values: false,
        };
        let mut words = Words::new(arguments);
        while let Some(word) = words.next() {
            if is(word, "COUNT") && !words.is_empty() {
                let count = usize::try_from(integer(words.expect()?)?).ok();
                options.count = count.filter(|count| *count > 0).ok_or(Halt::SYNTAX)?;
            } else if is(word, "MATCH") && !words.is_empty() {
                options.pattern = Some(words.expect()?);
            } else if is(word, "TYPE") && walk == Walk::Keys && !words.is_empty() {
                options.kind = Some(words.expect()?);
            } else if is(word, "NOVALUES") {
                if walk != Walk::Fields {
                    return Err(Halt::error("ERR NOVALUES option can only be used in HSCAN"));
                }
                options.is_without_values = true;
            } else {
                return Err(Halt::SYNTAX);
            }
        }
        Ok(options)
    }

    /// Whether the pattern lets a key, a field or a member through.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, text))
    }

    /// The page at a cursor, of so many positions. Redis shows small collections, those that it holds in one
    /// block, at once, whatever the cursor and the count.
    pub(super) fn page(&self, cursor: u64, len: usize, is_small: bool) -> Page {
        let cursor = usize::try_from(cursor).unwrap_or(len);
        let end = if cursor == 0 || is_small {
            len
        } else {
            cursor.min(len)
        };
        let next = if is_small {
            0
        } else {
            end.saturating_sub(self.count)
        };
        Page {
            positions: next..end,
            next,
        }
    }
}

impl Page {
    /// The last position first.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.positions.clone().rev()
    }

    /// The reply with what was found.
    pub(super) fn reply(&self, found: Vec<Reply>) -> Reply {
        let mut cursor = bytes::BytesMut::new();
        number::put(&mut cursor, self.next as i64);
        Reply::Array(vec![Reply::Bulk(cursor.freeze()), Reply::Array(found)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_down_to_the_first_position() {
        let arguments = ["COUNT", "4"].map(Bytes::from);
        let options = Options::parse(&arguments, Walk::Members).expect("options");
        let page = |cursor, is_small| options.page(cursor, 10, is_small);
        for (cursor, is_small, positions, next) in [
            (0, false, 6..10, 6),
            (6, false, 2..6, 2),
            (2, false, 0..2, 0),
            (u64::MAX, false, 6..10, 6),
            (3, true, 0..10, 0),
        ] {
            assert_eq!(page(cursor, is_small), Page { positions, next });
        }
    }

    #[test]
    fn cursors_are_not_negative() {
        for (text, number) in [("0", 0), ("+17", 17), ("18446744073709551615", u64::MAX)] {
            assert_eq!(cursor(text.as_bytes()), Ok(number));
        }
        for text in ["", "-1", "x", "1x", "18446744073709551616", "++1"] {
            assert!(cursor(text.as_bytes()).is_err(), "{text}");
        }
    }
}
