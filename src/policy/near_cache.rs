//! Commands whose replies a near cache may keep, and for how long.

use std::time::Duration;

/// What a command reads, if a near cache may answer it: nothing but these keys, and the same for the same words until one
/// of the keys changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cacheable<'a> {
    /// One key, by the whole command.
    One(&'a [u8]),
    /// Several keys, each with an element of the reply: MGET.
    Each,
}

/// Longer than any name in the list.
const LONGEST: usize = 16;

impl<'a> Cacheable<'a> {
    /// Reads are left out whose reply depends on the time or on chance (TTL, SRANDMEMBER), has numbers that RESP2 and RESP3
    /// write differently (ZSCORE), or can be of any size by their nature (scans).
    #[inline]
    pub(crate) fn of(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let name = words.next()?;
        let key = words.next()?;
        let mut upper = [0; LONGEST];
        let upper = upper.get_mut(..name.len())?;
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        match &*upper {
            b"GET" | b"STRLEN" | b"GETRANGE" | b"SUBSTR" | b"GETBIT" | b"BITCOUNT" | b"BITPOS"
            | b"TYPE" | b"HGET" | b"HMGET" | b"HGETALL" | b"HEXISTS" | b"HLEN" | b"HKEYS"
            | b"HVALS" | b"HSTRLEN" | b"LINDEX" | b"LLEN" | b"LRANGE" | b"LPOS" | b"SCARD"
            | b"SISMEMBER" | b"SMISMEMBER" | b"SMEMBERS" | b"ZCARD" | b"ZCOUNT" | b"ZLEXCOUNT"
            | b"XLEN" => Some(Self::One(key)),
            // Of several keys it only tells how many there are.
            b"EXISTS" if words.next().is_none() => Some(Self::One(key)),
            b"MGET" => Some(Self::Each),
            _ => None,
        }
    }
}

/// How long a reply may be kept: for the time that its key has left to live, as PTTL has told it after the read. `None` if
/// it must not be kept. In this order a change of that time is either told by PTTL, or invalidates the key.
pub(crate) fn lives_for(is_of_none: bool, pttl: i64, max_age: Duration) -> Option<Duration> {
    match u64::try_from(pttl) {
        // The server counts in whole milliseconds, and may have told one too much.
        Ok(millis) => Some(Duration::from_millis(millis.saturating_sub(1)).min(max_age)),
        // It lives for ever.
        Err(_) if pttl == -1 => Some(max_age),
        // There is none. If the read has found one, it has ended in between.
        Err(_) => is_of_none.then_some(max_age),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(words: &[&'a str]) -> Option<Cacheable<'a>> {
        Cacheable::of(words.iter().map(|word| word.as_bytes()))
    }

    #[test]
    fn reads_of_one_key_may_be_kept() {
        assert_eq!(of(&["get", "k"]), Some(Cacheable::One(b"k")));
        assert_eq!(of(&["HMGET", "h", "a", "b"]), Some(Cacheable::One(b"h")));
        assert_eq!(of(&["EXISTS", "k"]), Some(Cacheable::One(b"k")));
        assert_eq!(of(&["EXISTS", "k", "l"]), None);
        assert_eq!(of(&["MGET", "k", "l"]), Some(Cacheable::Each));
        for other in [
            "SET",
            "TTL",
            "SRANDMEMBER",
            "GETEX",
            "GETDEL",
            "ZSCORE",
            "OBJECT",
            "SORT_RO",
            "",
        ] {
            assert_eq!(of(&[other, "k"]), None, "{other}");
        }
        assert_eq!(of(&["GET"]), None);
        assert_eq!(of(&["a name that is longer than any", "k"]), None);
    }

    #[test]
    fn a_reply_lives_no_longer_than_its_key() {
        let max_age = Duration::from_secs(60);
        let lives = |pttl| lives_for(false, pttl, max_age);
        assert_eq!(lives(1_500), Some(Duration::from_millis(1_499)));
        assert_eq!(lives(0), Some(Duration::ZERO));
        assert_eq!(lives(90_000), Some(max_age));
        assert_eq!(lives(-1), Some(max_age));
        assert_eq!(lives(-2), None, "it has ended after the read");
        assert_eq!(lives_for(true, -2, max_age), Some(max_age));
    }
}
