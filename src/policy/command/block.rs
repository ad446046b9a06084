//! The time that a command may block, by its arguments.

use std::{str, time::Duration};

use super::Upper;

/// The time that a command may block on the server, by the timeout among its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// At most this time. Zero also stands for an invalid timeout, because the server answers that with an
    /// error at once.
    AtMost(Duration),
    /// Until there is a reply, without limit.
    Forever,
}

impl Block {
    const NONE: Self = Self::AtMost(Duration::ZERO);

    /// A year. Beyond it the clock could overflow.
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// The time of the commands so far and the next one together.
    pub(crate) fn after(so_far: Option<Self>, next: Option<Self>) -> Option<Self> {
        match (so_far, next) {
            (Some(so_far), Some(next)) => Some(so_far.then(next)),
            (one, other) => one.or(other),
        }
    }

    /// The time of two commands, one after the other.
    pub(crate) fn then(self, other: Self) -> Self {
        match (self, other) {
            (Self::AtMost(first), Self::AtMost(second)) => {
                Self::AtMost(first.saturating_add(second))
            }
            (Self::Forever, _) | (_, Self::Forever) => Self::Forever,
        }
    }

    /// By seconds with a fraction, as the commands of lists and sorted sets take them. The server also
    /// accepts hexadecimal fractions; here they count as invalid.
    pub(super) fn of_seconds(timeout: Option<&[u8]>) -> Self {
        let seconds = parse::<f64>(timeout);
        let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else {
            return Self::NONE;
        };
        // This includes minus zero, which the server does not take for a negative number.
        if seconds == 0.0 {
            return Self::Forever;
        }
        let timeout = Duration::try_from_secs_f64(seconds).unwrap_or(Self::LONGEST);
        Self::AtMost(timeout.min(Self::LONGEST))
    }

    /// By whole milliseconds, as `WAIT` and the option `BLOCK` take them.
    pub(super) fn of_millis(timeout: Option<&[u8]>) -> Self {
        match parse::<i64>(timeout).and_then(|millis| u64::try_from(millis).ok()) {
            None => Self::NONE,
            Some(0) => Self::Forever,
            Some(millis) => Self::AtMost(Duration::from_millis(millis).min(Self::LONGEST)),
        }
    }

    /// By the options of `XREAD` and `XREADGROUP`; `None` without `BLOCK`. The options end at `STREAMS`.
    /// They are read as by the server: a group may be called BLOCK or STREAMS, and of two timeouts the
    /// second counts.
    pub(super) fn of_stream_read<'a>(mut options: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut block = None;
        while let Some(option) = options.next() {
            match Upper::of(option).as_bytes() {
                b"BLOCK" => block = Some(Self::of_millis(options.next())),
                b"STREAMS" => break,
                b"GROUP" => drop(options.nth(1)),
                b"COUNT" | b"CLAIM" => drop(options.next()),
                _ => {}
            }
        }
        block
    }

    /// By the options of `TS.READ`, which follow its key and its timestamp; `None` without `BLOCK`.
    pub(super) fn of_series_read<'a>(args: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut options = args.skip(2);
        options.find(|option| Upper::of(option).as_bytes() == b"BLOCK")?;
        Some(Self::of_millis(options.next()))
    }
}

fn parse<T: str::FromStr>(number: Option<&[u8]>) -> Option<T> {
    str::from_utf8(number?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;
    use crate::policy::command::Class;

    fn millis(millis: u64) -> Block {
        Block::AtMost(Duration::from_millis(millis))
    }

    #[track_caller]
    fn assert_blocks(command: &str, expected: Block) {
        let args = command.split(' ').map(str::as_bytes);
        assert_eq!(Class::of(args).block(), Some(expected), "{command:?}");
    }

    #[test]
    fn the_timeout_of_each_command_is_found() {
        for command in [
            "BLPOP 9 9 1.5",
            "BRPOP 9 1.5",
            "BRPOPLPUSH 9 9 1.5",
            "BLMOVE 9 9 LEFT LEFT 1.5",
            "BLMOVEM 9 9 LEFT LEFT 1.5",
            "BLMOVEM 9 9 LEFT LEFT 1.5 EXACTLY 9 OBO",
            "BZMOVE 9 9 MIN 1.5",
            "BZMOVE 9 9 MAX 1.5 COUNT 9",
            "BZPOPMIN 9 1.5",
            "BZPOPMAX 9 9 1.5",
            "BLMPOP 1.5 1 9 LEFT COUNT 9",
            "BZMPOP 1.5 1 9 MIN COUNT 9",
            "WAIT 9 1500",
            "WAITAOF 1 9 1500",
            "XREAD COUNT 9 BLOCK 1500 STREAMS 9 9",
            "XREADGROUP GROUP g c COUNT 9 block 1500 NOACK STREAMS 9 9",
            "TS.READ 9 9 BLOCK 1500 9",
            "TS.READ 9 9 MAX_COUNT 9 BLOCK 1500 9",
        ] {
            assert_blocks(command, millis(1500));
        }
    }

    #[test]
    fn a_timeout_of_zero_blocks_for_ever() {
        for timeout in ["0", "0.0", "-0", "0e9", ".0"] {
            assert_blocks(&format!("BLPOP k {timeout}"), Block::Forever);
        }
        for command in [
            "WAIT 1 0",
            "WAITAOF 1 0 0",
            "XREAD BLOCK 0 STREAMS k $",
            "TS.READ k - BLOCK 0 1",
            "BLMPOP 0 1 k LEFT",
            "BLMOVEM a b LEFT LEFT 0",
            "BZMOVE a b MIN 0",
        ] {
            assert_blocks(command, Block::Forever);
        }
    }

    #[test]
    fn an_invalid_timeout_does_not_block() {
        for timeout in [
            "-1", "-inf", "inf", "nan", "1e999", "x", "", "1s", "1 ", "\0",
        ] {
            let timeout = Some(timeout.as_bytes());
            assert_eq!(Block::of_seconds(timeout), Block::NONE, "{timeout:?}");
            assert_eq!(Block::of_millis(timeout), Block::NONE, "{timeout:?}");
        }
        assert_eq!(Block::of_millis(Some(b"1.5")), Block::NONE);
        assert_eq!(Block::of_millis(Some(b"9223372036854775808")), Block::NONE);
        assert_eq!(Block::of_seconds(Some(b"\xff")), Block::NONE);
        for command in ["BLPOP", "BLMPOP", "BLMOVEM a b LEFT", "WAIT", "XREAD BLOCK"] {
            assert_blocks(command, Block::NONE);
        }
    }

    #[test]
    fn a_timeout_is_a_year_at_most() {
        let year = Block::AtMost(Block::LONGEST);
        for timeout in ["31536001", "1e18", "1e300"] {
            assert_eq!(Block::of_seconds(Some(timeout.as_bytes())), year);
        }
        assert_eq!(Block::of_millis(Some(b"9223372036854775807")), year);
    }

    #[test]
    fn of_two_timeouts_the_second_counts() {
        assert_blocks("XREAD BLOCK 0 BLOCK 5 STREAMS k $", millis(5));
        assert_blocks("XREAD BLOCK 5 COUNT 1 BLOCK 0 STREAMS k $", Block::Forever);
    }

    #[test]
    fn the_times_of_successive_commands_add_up() {
        assert_eq!(millis(1).then(millis(2)), millis(3));
        assert_eq!(millis(1).then(Block::Forever), Block::Forever);
        assert_eq!(Block::Forever.then(millis(1)), Block::Forever);
        let longest = Block::AtMost(Duration::MAX);
        assert_eq!(longest.then(longest), longest);
    }

    proptest! {
        #[test]
        fn any_timeout_is_read_without_a_panic(timeout in collection::vec(any::<u8>(), 0..24)) {
            let _ = Block::of_seconds(Some(&timeout));
            let _ = Block::of_millis(Some(&timeout));
        }

        #[test]
        fn any_number_is_read_without_a_panic(number in any::<f64>(), whole in any::<i64>()) {
            let _ = Block::of_seconds(Some(number.to_string().as_bytes()));
            let _ = Block::of_seconds(Some(format!("{number:e}").as_bytes()));
            let _ = Block::of_millis(Some(whole.to_string().as_bytes()));
        }
    }
}
