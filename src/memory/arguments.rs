//! The words of a command.

use bytes::Bytes;

use super::{halt::Halt, keyspace::Millis, number};

pub(super) fn integer(argument: &[u8]) -> Result<i64, Halt> {
    number::integer(argument).ok_or(Halt::NOT_INTEGER)
}

pub(super) fn float(argument: &[u8]) -> Result<f64, Halt> {
    number::float(argument).ok_or(Halt::NOT_FLOAT)
}

/// The timeout of a blocking command, in seconds with a fraction, as milliseconds; `None` is no end.
pub(super) fn timeout(argument: &[u8], now: Millis) -> Result<Option<u64>, Halt> {
    const LEAST_OUT_OF_RANGE: f64 = 9_223_372_036_854_775_808.0;
    let seconds =
        number::float(argument).ok_or(Halt::error("ERR timeout is not a float or out of range"))?;
    // A timeout above zero never becomes one without an end.
    let millis = (seconds * 1000.0).ceil();
    if millis < 0.0 {
        return Err(Halt::error("ERR timeout is negative"));
    }
    let latest = (i64::MAX as u64).saturating_sub(now);
    if millis >= LEAST_OUT_OF_RANGE || millis as u64 > latest {
        return Err(Halt::error("ERR timeout is out of range"));
    }
    let millis = millis as u64;
    Ok((millis > 0).then_some(millis))
}

/// Whether an argument is this word, which is given in upper case.
pub(super) fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

/// A number of bytes, with a unit such as `kb` (1024) or `k` (1000).
pub(super) fn bytes(value: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(value).ok()?.to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let factor = match unit {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

/// A timeout in milliseconds, of which 0 may be none.
pub(super) fn milliseconds(argument: &[u8]) -> Result<u64, Halt> {
    let millis = number::integer(argument)
        .ok_or(Halt::error("ERR timeout is not an integer or out of range"))?;
    u64::try_from(millis).map_err(|_| Halt::error("ERR timeout is negative"))
}

/// The arguments that are left, taken one by one.
pub(super) struct Words<'a> {
    left: std::slice::Iter<'a, Bytes>,
}

impl<'a> Words<'a> {
    pub(super) fn new(arguments: &'a [Bytes]) -> Self {
        Self {
            left: arguments.iter(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.left.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.len() == 0
    }

    pub(super) fn next(&mut self) -> Option<&'a Bytes> {
        self.left.next()
    }

    /// The next word; without one the command is a syntax error.
    pub(super) fn expect(&mut self) -> Result<&'a Bytes, Halt> {
        self.left.next().ok_or(Halt::SYNTAX)
    }

    /// Takes the next word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let is_it = self
            .left
            .as_slice()
            .first()
            .is_some_and(|next| is(next, word));
        if is_it {
            self.left.next();
        }
        is_it
    }

    /// Leaves out as many words.
    pub(super) fn skip(&mut self, count: usize) {
        self.left.by_ref().take(count).for_each(drop);
    }

    pub(super) fn rest(&self) -> &'a [Bytes] {
        self.left.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("12b", Some(12)),
            ("2kb", Some(2048)),
            ("2K", Some(2000)),
            ("1GB", Some(1 << 30)),
            ("", None),
            ("-1", None),
            ("1x", None),
        ] {
            assert_eq!(bytes(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn timeouts_are_seconds() {
        let now = 1000;
        for (text, millis) in [
            ("0", None),
            ("-0.0001", None),
            ("0.0001", Some(1)),
            ("0.1", Some(100)),
            ("1e3", Some(1_000_000)),
            ("0x10", Some(16_000)),
        ] {
            assert_eq!(timeout(text.as_bytes(), now), Ok(millis), "{text}");
        }
        for (text, error) in [
            ("", "ERR timeout is not a float or out of range"),
            ("nan", "ERR timeout is not a float or out of range"),
            (" 1", "ERR timeout is not a float or out of range"),
            ("-1", "ERR timeout is negative"),
            ("-inf", "ERR timeout is negative"),
            ("inf", "ERR timeout is out of range"),
            ("9223372036854775", "ERR timeout is out of range"),
        ] {
            assert_eq!(
                timeout(text.as_bytes(), now),
                Err(Halt::error(error)),
                "{text}"
            );
        }
    }
}
