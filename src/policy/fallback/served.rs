//! The commands that a local store serves.
//!
//! A command is on this list if its reply says nothing of data that the store does not have, other than that
//! there is none, and if its effect can be repeated at the server later. So locks (`SET NX`), elements that are
//! popped, streams, scripts, messages, and commands about all keys are not on it: what they answer would be an
//! invention.

use super::{
    change::{Change, Millis},
    kind::{Kind, number},
};

/// A command that may run locally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    Reads,
    /// It may change keys.
    Writes,
}

/// What the local store replied, as far as its effect depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocalReply {
    Error,
    /// Zero, or no value.
    Nothing,
    Something,
}

/// The longest name on the list, and more.
const LONGEST: usize = 24;

impl Served {
    /// Whether a command of these words may run locally, and how.
    pub(crate) fn of(words: &[&[u8]]) -> Option<Self> {
        let mut buffer = [0; LONGEST];
        let name = capitals(words.first()?, &mut buffer)?;
        if reads(name) || name == b"GETEX" && words.len() == 2 {
            return Some(Self::Reads);
        }
        // The time does not matter for whether it can be understood.
        changes(name, &words[1..], LocalReply::Something, 0).map(|_| Self::Writes)
    }

    /// The changes that a command has made which was served at `now` with this reply: keys, and what has become of
    /// them.
    pub(crate) fn changes(
        words: &[&[u8]],
        reply: LocalReply,
        now: Millis,
    ) -> Vec<(Vec<u8>, Change)> {
        let mut buffer = [0; LONGEST];
        let name = words.first().and_then(|name| capitals(name, &mut buffer));
        match name {
            Some(name) if reply != LocalReply::Error && !reads(name) => {
                changes(name, &words[1..], reply, now).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

fn capitals<'a>(name: &[u8], buffer: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let buffer = buffer.get_mut(..name.len())?;
    buffer.copy_from_slice(name);
    buffer.make_ascii_uppercase();
    Some(buffer)
}

fn reads(name: &[u8]) -> bool {
    matches!(
        name,
        b"EXISTS"
            | b"EXPIRETIME"
            | b"GET"
            | b"GETRANGE"
            | b"HEXISTS"
            | b"HGET"
            | b"HGETALL"
            | b"HKEYS"
            | b"HLEN"
            | b"HMGET"
            | b"HSTRLEN"
            | b"HVALS"
            | b"LINDEX"
            | b"LLEN"
            | b"LPOS"
            | b"LRANGE"
            | b"MGET"
            | b"PEXPIRETIME"
            | b"PFCOUNT"
            | b"PTTL"
            | b"SCARD"
            | b"SDIFF"
            | b"SINTER"
            | b"SISMEMBER"
            | b"SMEMBERS"
            | b"SMISMEMBER"
            | b"STRLEN"
            | b"SUNION"
            | b"TTL"
            | b"TYPE"
            | b"ZCARD"
            | b"ZCOUNT"
            | b"ZMSCORE"
            | b"ZRANGE"
            | b"ZRANGEBYSCORE"
            | b"ZRANK"
            | b"ZREVRANGE"
            | b"ZREVRANGEBYSCORE"
            | b"ZREVRANK"
            | b"ZSCORE"
    )
}

type Changes = Vec<(Vec<u8>, Change)>;

/// The changes that a command makes with these arguments; `None` if it is not served.
fn changes(name: &[u8], arguments: &[&[u8]], reply: LocalReply, now: Millis) -> Option<Changes> {
    let one = |key: &[u8], change| Some(vec![(key.to_vec(), change)]);
    // The key exists locally, or there is nothing that could be changed.
    let if_found = |key: &[u8], change| match reply {
        LocalReply::Something => Some(vec![(key.to_vec(), change)]),
        LocalReply::Nothing | LocalReply::Error => Some(Vec::new()),
    };
    let set = |value: &[u8], expires_at| Change::Set {
        value: value.to_vec(),
        expires_at,
    };
    match (name, arguments) {
        (b"SET", [key, value]) => one(key, set(value, None)),
        (b"SET", [key, value, option, time]) => {
            one(key, set(value, Some(expiry(option, time, now)?)))
        }
        (b"SETEX", [key, seconds, value]) => {
            one(key, set(value, Some(expiry(b"EX", seconds, now)?)))
        }
        (b"PSETEX", [key, millis, value]) => {
            one(key, set(value, Some(expiry(b"PX", millis, now)?)))
        }
        (b"MSET", pairs) if !pairs.is_empty() && pairs.len().is_multiple_of(2) => {
            let pairs = pairs.chunks_exact(2);
            let change = |pair: &[&[u8]]| (pair[0].to_vec(), set(pair[1], None));
            Some(pairs.map(change).collect())
        }
        (b"DEL" | b"UNLINK", keys) if !keys.is_empty() => {
            let keys = keys.iter();
            Some(keys.map(|key| (key.to_vec(), Change::Delete)).collect())
        }
        (b"GETDEL", [key]) => one(key, Change::Delete),
        (b"GETEX", [key, word]) if word.eq_ignore_ascii_case(b"PERSIST") => {
            if_found(key, Change::Expire(None))
        }
        (b"GETEX", [key, option, time]) => if_found(key, expires(option, time, now)?),
        (b"EXPIRE", [key, time]) => if_found(key, expires(b"EX", time, now)?),
        (b"PEXPIRE", [key, time]) => if_found(key, expires(b"PX", time, now)?),
        (b"EXPIREAT", [key, time]) => if_found(key, expires(b"EXAT", time, now)?),
        (b"PEXPIREAT", [key, time]) => if_found(key, expires(b"PXAT", time, now)?),
        (b"PERSIST", [key]) => if_found(key, Change::Expire(None)),
        (b"INCR", [key]) => one(key, Change::Add(1)),
        (b"DECR", [key]) => one(key, Change::Add(-1)),
        (b"INCRBY", [key, amount]) => one(key, Change::Add(number(amount)?)),
        (b"DECRBY", [key, amount]) => one(key, Change::Add(number(amount)?.checked_neg()?)),
        (name, [key, arguments @ ..]) => {
            let kind = Kind::of(name, arguments)?;
            one(key, Change::of_command(kind, arguments))
        }
        _ => None,
    }
}

/// A change of the time to live. A time that is over deletes.
fn expires(option: &[u8], time: &[u8], now: Millis) -> Option<Change> {
    let at = time_of(option, time, now)?;
    Some(match Millis::try_from(at) {
        Ok(at) if at > now => Change::Expire(Some(at)),
        _ => Change::Delete,
    })
}

/// The time of an option such as `EX 10`.
fn expiry(option: &[u8], time: &[u8], now: Millis) -> Option<Millis> {
    Millis::try_from(time_of(option, time, now)?).ok()
}

fn time_of(option: &[u8], time: &[u8], now: Millis) -> Option<i64> {
    let is = |word: &[u8]| option.eq_ignore_ascii_case(word);
    let time = number(time)?;
    let now = i64::try_from(now).ok()?;
    if is(b"EX") {
        time.checked_mul(1000)?.checked_add(now)
    } else if is(b"PX") {
        time.checked_add(now)
    } else if is(b"EXAT") {
        time.checked_mul(1000)
    } else if is(b"PXAT") {
        Some(time)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&[u8]> {
        line.split(' ').map(str::as_bytes).collect()
    }

    fn changes_of(line: &str, reply: LocalReply) -> String {
        let changes = Served::changes(&words(line), reply, 10_000);
        let shown = changes.iter().map(|(key, change)| {
            let words = [vec![b"@".to_vec()], change.words(key, 0)].concat();
            String::from_utf8_lossy(&words[1..].join(&b' ')).into_owned()
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn commands_whose_answer_would_be_an_invention_are_not_served() {
        for line in [
            "SET k v NX",
            "SET k v XX",
            "SET k v EX 1 NX",
            "SET k v GET",
            "SET k v KEEPTTL",
            "SET k v EX x",
            "SETNX k v",
            "MSETNX k v",
            "MSET k",
            "APPEND k v",
            "GETSET k v",
            "EXPIRE k 1 NX",
            "LPOP k",
            "SPOP k",
            "LREM k 0 v",
            "LTRIM k 5 -1",
            "LTRIM k 1 0",
            "LTRIM k 2 5",
            "LTRIM k -5 -2",
            "HINCRBY k f x",
            "ZADD k NX 1 m",
            "ZADD k INCR 1 m",
            "XADD s * f v",
            "PUBLISH c m",
            "EVAL s 0",
            "KEYS *",
            "SCAN 0",
            "DBSIZE",
            "PING",
            "RENAME a b",
            "COPY a b",
            "FLUSHALL",
            "INCRBY k x",
            "DECRBY k -9223372036854775808",
            "GETX",
            "AVERYLONGNAMEOFACOMMANDTHATISNONE k",
        ] {
            assert_eq!(Served::of(&words(line)), None, "{line}");
        }
        assert_eq!(Served::of(&[]), None);
    }

    #[test]
    fn reads_change_nothing() {
        for line in [
            "GET k",
            "get k",
            "MGET a b",
            "TTL k",
            "LRANGE k 0 -1",
            "GETEX k",
        ] {
            assert_eq!(Served::of(&words(line)), Some(Served::Reads), "{line}");
            assert_eq!(changes_of(line, LocalReply::Something), "", "{line}");
        }
    }

    #[test]
    fn writes_are_told_with_absolute_times() {
        for (line, expected) in [
            ("set k v", "SET k v"),
            ("SET k v EX 5", "SET k v PX 15000"),
            ("SET k v px 5", "SET k v PX 10005"),
            ("SET k v EXAT 20", "SET k v PX 20000"),
            ("SETEX k 5 v", "SET k v PX 15000"),
            ("PSETEX k 5 v", "SET k v PX 10005"),
            ("MSET a 1 b 2", "SET a 1, SET b 2"),
            ("DEL a b", "DEL a, DEL b"),
            ("GETDEL a", "DEL a"),
            ("EXPIRE k 5", "PEXPIRE k 15000"),
            ("EXPIRE k 0", "DEL k"),
            ("EXPIREAT k 5", "DEL k"),
            ("GETEX k EX 1", "PEXPIRE k 11000"),
            ("GETEX k PERSIST", "PERSIST k"),
            ("INCR k", "INCRBY k 1"),
            ("DECRBY k 5", "INCRBY k -5"),
            ("hset k f v", "HSET k f v"),
            ("ZADD k 1 m 2 n", "ZADD k 1 m 2 n"),
            ("LTRIM k 0 9", "LTRIM k 0 9"),
        ] {
            assert_eq!(Served::of(&words(line)), Some(Served::Writes), "{line}");
            assert_eq!(changes_of(line, LocalReply::Something), expected, "{line}");
            assert_eq!(changes_of(line, LocalReply::Error), "", "{line}");
        }
    }

    #[test]
    fn what_found_nothing_to_change_has_changed_nothing_but_a_removal_is_kept() {
        for line in ["EXPIRE k 5", "PERSIST k", "GETEX k EX 5"] {
            assert_eq!(changes_of(line, LocalReply::Nothing), "", "{line}");
        }
        assert_eq!(changes_of("DEL k", LocalReply::Nothing), "DEL k");
        assert_eq!(changes_of("SREM k m", LocalReply::Nothing), "SREM k m");
    }
}
