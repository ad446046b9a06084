//! Where the keys of each command are, by its name.

use super::{Upper, reads::only_reads, writes::may_write};

/// Keys at regular places among the words, as `COMMAND` tells them: the first, the last, and the step. The name is the word
/// of number 0. A negative last one is counted from the end, where -1 is the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) first: usize,
    pub(crate) last: isize,
    pub(crate) step: usize,
}

impl KeyRange {
    pub(crate) const fn new(first: usize, last: isize, step: usize) -> Self {
        Self { first, last, step }
    }
}

/// How the keys of a command are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// It has none.
    None,
    Range(KeyRange),
    /// The word of number `at` is the number of keys, and they begin behind it.
    Counted {
        at: usize,
        step: usize,
    },
    /// A destination, then the number of keys, then the keys.
    StoresCounted,
    /// The first half of the words behind `STREAMS`.
    Streams,
    /// A key, and among the options a destination.
    Sorts,
    /// The same for `GEORADIUS`.
    Radius,
    /// Two keys behind `KEYS`.
    Compares,
    /// One key, or an empty word and keys behind `KEYS`.
    Migrates,
}

impl Pattern {
    const SECOND: Self = Self::range(2, 2, 1);
    const PAIR: Self = Self::range(1, 2, 1);
    const ALL: Self = Self::range(1, -1, 1);
    const ALL_BUT_LAST: Self = Self::range(1, -2, 1);

    const fn range(first: usize, last: isize, step: usize) -> Self {
        Self::Range(KeyRange::new(first, last, step))
    }

    const fn counted(at: usize) -> Self {
        Self::Counted { at, step: 1 }
    }

    /// The pattern of a command with this name and this second word; `None` if it is on no list.
    pub(super) fn of(name: &Upper, second: Option<&[u8]>) -> Option<Self> {
        let name_bytes = name.as_bytes();
        if let Some(irregular) = irregular(name_bytes, second) {
            Some(irregular)
        } else if is_keyless(name_bytes) {
            Some(Self::None)
        } else if only_reads(name) || may_write(name) {
            Some(Self::range(1, 1, 1))
        } else {
            None
        }
    }
}

/// The commands with other keys than one behind the name.
fn irregular(name: &[u8], second: Option<&[u8]>) -> Option<Pattern> {
    let is_second =
        |wanted: &[&[u8]]| second.is_some_and(|word| wanted.contains(&Upper::of(word).as_bytes()));
    Some(match name {
        b"BLMOVE" | b"BLMOVEM" | b"BRPOPLPUSH" | b"BZMOVE" | b"COPY" | b"GEOSEARCHSTORE"
        | b"LCS" | b"LMOVE" | b"LMOVEM" | b"RENAME" | b"RENAMENX" | b"RPOPLPUSH" | b"SMOVE"
        | b"TS.CREATERULE" | b"TS.DELETERULE" | b"ZMOVE" | b"ZMOVEMEMBER" | b"ZRANGESTORE" => {
            Pattern::PAIR
        }
        b"DEL" | b"EXISTS" | b"MGET" | b"PFCOUNT" | b"PFMERGE" | b"SDIFF" | b"SDIFFSTORE"
        | b"SINTER" | b"SINTERSTORE" | b"SSUBSCRIBE" | b"SUNION" | b"SUNIONSTORE"
        | b"SUNSUBSCRIBE" | b"TOUCH" | b"UNLINK" | b"WATCH" => Pattern::ALL,
        b"BLPOP" | b"BRPOP" | b"BZPOPMAX" | b"BZPOPMIN" | b"JSON.MGET" => Pattern::ALL_BUT_LAST,
        b"BITOP" => Pattern::range(2, -1, 1),
        b"MSET" | b"MSETNX" => Pattern::range(1, -1, 2),
        b"JSON.MSET" | b"TS.MADD" => Pattern::range(1, -1, 3),

        b"LMPOP" | b"SDIFFCARD" | b"SINTERCARD" | b"SUNIONCARD" | b"TS.NRANGE"
        | b"TS.NREVRANGE" | b"ZDIFF" | b"ZINTER" | b"ZINTERCARD" | b"ZMPOP" | b"ZUNION" => {
            Pattern::counted(1)
        }
        b"BLMPOP" | b"BZMPOP" | b"EVAL" | b"EVALSHA" | b"EVALSHA_RO" | b"EVAL_RO" | b"FCALL"
        | b"FCALL_RO" => Pattern::counted(2),
        b"MSETEX" => Pattern::Counted { at: 1, step: 2 },
        b"CMS.MERGE" | b"TDIGEST.MERGE" | b"ZDIFFSTORE" | b"ZINTERSTORE" | b"ZUNIONSTORE" => {
            Pattern::StoresCounted
        }

        b"XREAD" | b"XREADGROUP" => Pattern::Streams,
        b"SORT" => Pattern::Sorts,
        b"GEORADIUS" | b"GEORADIUSBYMEMBER" => Pattern::Radius,
        b"MIGRATE" => Pattern::Migrates,

        // Families. Their members without a key end before it.
        b"JSON.DEBUG" | b"MEMORY" | b"OBJECT" | b"PFDEBUG" | b"XGROUP" | b"XINFO" => {
            Pattern::SECOND
        }
        b"BLESS" if !is_second(&[b"SCAN"]) => Pattern::SECOND,
        b"HIMPORT" if is_second(&[b"SET"]) => Pattern::SECOND,
        // The server names no keys here, but only the node of the key finds it.
        b"DEBUG" if is_second(&[b"LISTPACK", b"OBJECT", b"SDSLEN", b"ZIPLIST"]) => Pattern::SECOND,
        b"STRALGO" => Pattern::Compares,

        b"FT.SUGADD" | b"FT.SUGDEL" | b"FT.SUGGET" | b"FT.SUGLEN" | b"TS.READ" => {
            Pattern::range(1, 1, 1)
        }
        _ => return None,
    })
}

/// The commands without a key. Searches name an index.
fn is_keyless(name: &[u8]) -> bool {
    let of_module = [b"FT.".as_slice(), b"_FT.", b"TIMESERIES."];
    if of_module.iter().any(|prefix| name.starts_with(prefix)) {
        return true;
    }
    matches!(
        name,
        b"ACL"
            | b"ASKING"
            | b"AUTH"
            | b"BACKUP"
            | b"BGREWRITEAOF"
            | b"BGSAVE"
            | b"BLESS"
            | b"CLIENT"
            | b"CLUSTER"
            | b"COMMAND"
            | b"COMMANDLOG"
            | b"CONFIG"
            | b"DBSIZE"
            | b"DEBUG"
            | b"DISCARD"
            | b"ECHO"
            | b"EXEC"
            | b"FAILOVER"
            | b"FLUSHALL"
            | b"FLUSHDB"
            | b"FUNCTION"
            | b"HELLO"
            | b"HIMPORT"
            | b"HOST:"
            | b"HOTKEYS"
            | b"INFO"
            | b"KEYS"
            | b"LASTSAVE"
            | b"LATENCY"
            | b"LOLWUT"
            | b"MODULE"
            | b"MONITOR"
            | b"MULTI"
            | b"PFSELFTEST"
            | b"PING"
            | b"POST"
            | b"PSUBSCRIBE"
            | b"PSYNC"
            | b"PUBLISH"
            | b"PUBSUB"
            | b"PUNSUBSCRIBE"
            | b"QUIT"
            | b"RANDOMKEY"
            | b"READONLY"
            | b"READWRITE"
            | b"REPLCONF"
            | b"REPLICAOF"
            | b"RESET"
            | b"ROLE"
            | b"SAVE"
            | b"SCAN"
            | b"SCRIPT"
            | b"SELECT"
            | b"SHUTDOWN"
            | b"SLAVEOF"
            | b"SLOWLOG"
            | b"SUBSCRIBE"
            | b"SWAPDB"
            | b"SYNC"
            | b"TIME"
            | b"TRIMSLOTS"
            | b"TS.MGET"
            | b"TS.MRANGE"
            | b"TS.MREVRANGE"
            | b"TS.QUERYINDEX"
            | b"TS.QUERYLABELS"
            | b"UNSUBSCRIBE"
            | b"UNWATCH"
            | b"WAIT"
            | b"WAITAOF"
    )
}
