//! The commands that read or write whole strings, and so tell what a key has.

use std::{str, time::Duration};

/// The keys of a command that reads whole strings.
pub(crate) fn keys_read<'a, 'b>(words: &'b [&'a [u8]]) -> Option<&'b [&'a [u8]]> {
    let (name, keys) = words.split_first()?;
    let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
    let reads = is(b"GET") && keys.len() == 1 || is(b"MGET") && !keys.is_empty();
    reads.then_some(keys)
}

/// A string that a key is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) lives_for: Option<Duration>,
}

/// The strings that a command writes, if it replaces whatever there was and succeeds with `OK`.
pub(crate) fn strings_written<'a>(words: &[&'a [u8]]) -> Option<Vec<Written<'a>>> {
    let (name, arguments) = words.split_first()?;
    let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
    let written = |key, value, lives_for| Written {
        key,
        value,
        lives_for,
    };
    match *arguments {
        [key, value] if is(b"SET") => Some(vec![written(key, value, None)]),
        [key, value, option, time] if is(b"SET") => {
            let lives_for = if option.eq_ignore_ascii_case(b"EX") {
                Duration::from_secs(number(time)?)
            } else if option.eq_ignore_ascii_case(b"PX") {
                Duration::from_millis(number(time)?)
            } else {
                return None;
            };
            Some(vec![written(key, value, Some(lives_for))])
        }
        [key, seconds, value] if is(b"SETEX") => {
            let lives_for = Duration::from_secs(number(seconds)?);
            Some(vec![written(key, value, Some(lives_for))])
        }
        [key, millis, value] if is(b"PSETEX") => {
            let lives_for = Duration::from_millis(number(millis)?);
            Some(vec![written(key, value, Some(lives_for))])
        }
        _ if is(b"MSET") && arguments.len().is_multiple_of(2) => {
            let pairs = arguments.chunks_exact(2);
            Some(pairs.map(|pair| written(pair[0], pair[1], None)).collect())
        }
        _ => None,
    }
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&[u8]> {
        line.split(' ').map(str::as_bytes).collect()
    }

    #[test]
    fn what_a_key_has_is_told_by_commands_of_whole_strings_alone() {
        for line in ["GET k", "get k", "MGET k l"] {
            assert!(keys_read(&words(line)).is_some(), "{line}");
        }
        for line in [
            "GET",
            "GET k l",
            "MGET",
            "GETEX k",
            "GETRANGE k 0 1",
            "HGET k f",
        ] {
            assert!(keys_read(&words(line)).is_none(), "{line}");
        }
        for (line, lives_for) in [
            ("SET k v", None),
            ("set k v ex 2", Some(2_000)),
            ("SET k v PX 2", Some(2)),
            ("SETEX k 2 v", Some(2_000)),
            ("PSETEX k 2 v", Some(2)),
            ("MSET k v", None),
        ] {
            let expected = Written {
                key: b"k",
                value: b"v",
                lives_for: lives_for.map(Duration::from_millis),
            };
            assert_eq!(
                strings_written(&words(line)),
                Some(vec![expected]),
                "{line}"
            );
        }
        for line in [
            "SET k",
            "SET k v NX",
            "SET k v EXAT 2",
            "SET k v EX x",
            "SET k v EX 2 NX",
            "SETNX k v",
            "MSET k",
            "APPEND k v",
            "GETSET k v",
            "HSET k f v",
        ] {
            assert_eq!(strings_written(&words(line)), None, "{line}");
        }
    }
}
