//! Ids as clients write them.

use crate::memory::{halt::Halt, keyspace::Id, number};

pub(super) const INVALID: Halt = Halt::Error(std::borrow::Cow::Borrowed(
    "ERR Invalid stream ID specified as stream command argument",
));

/// The id of a new entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum NewId {
    /// `*`
    Any,
    /// `1234-*`
    At(u64),
    Given(Id),
}

impl NewId {
    pub(super) fn of(argument: &[u8]) -> Result<Self, Halt> {
        if argument == b"*" {
            return Ok(Self::Any);
        }
        match argument.strip_suffix(b"-*") {
            Some(millis) if !millis.contains(&b'-') => {
                unsigned(millis).map(Self::At).ok_or(INVALID)
            }
            _ => strict(argument).map(Self::Given),
        }
    }
}

/// An id of digits. Without a sequence number it is the least one of its time.
pub(super) fn strict(argument: &[u8]) -> Result<Id, Halt> {
    digits(argument, 0).ok_or(INVALID)
}

/// An id, which may be `-` for the least or `+` for the greatest one.
pub(super) fn any(argument: &[u8], missing: u64) -> Result<Id, Halt> {
    match argument {
        b"-" => Ok(Id::MIN),
        b"+" => Ok(Id::MAX),
        _ => digits(argument, missing).ok_or(INVALID),
    }
}

/// The first id of an interval; `(` excludes the one that follows it.
pub(super) fn start(argument: &[u8]) -> Result<Id, Halt> {
    match excluded(argument) {
        Some(id) => strict(id)?
            .next()
            .ok_or(Halt::error("ERR invalid start ID for the interval")),
        None => any(argument, 0),
    }
}

/// The last id of an interval.
pub(super) fn end(argument: &[u8]) -> Result<Id, Halt> {
    match excluded(argument) {
        Some(id) => digits(id, u64::MAX)
            .ok_or(INVALID)?
            .previous()
            .ok_or(Halt::error("ERR invalid end ID for the interval")),
        None => any(argument, u64::MAX),
    }
}

fn excluded(argument: &[u8]) -> Option<&[u8]> {
    match argument {
        [b'(', id @ ..] if !id.is_empty() => Some(id),
        _ => None,
    }
}

fn digits(argument: &[u8], missing: u64) -> Option<Id> {
    const LONGEST: usize = 127;
    if argument.len() > LONGEST {
        return None;
    }
    // Redis reads C strings.
    let argument = argument.split(|byte| *byte == 0).next()?;
    let mut parts = argument.splitn(2, |byte| *byte == b'-');
    let millis = unsigned(parts.next()?)?;
    let sequence = match parts.next() {
        Some(sequence) => unsigned(sequence)?,
        None => missing,
    };
    Some(Id::new(millis, sequence))
}

/// Reads a number as Redis does: as an integer, or else as `strtoull` does.
fn unsigned(text: &[u8]) -> Option<u64> {
    if let Some(number) = number::integer(text) {
        return u64::try_from(number).ok();
    }
    let text = std::str::from_utf8(text).ok()?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    // A second sign is none.
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(if is_negative {
        number.wrapping_neg()
    } else {
        number
    })
}
