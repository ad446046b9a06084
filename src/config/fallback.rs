//! The store that stands in for a database while it is away.

use std::time::Duration;

use std::ops::RangeInclusive;

use super::{
    field::Field,
    quantity::{Quantity, within},
    report::Report,
    setting::{Schema, Setting, check_on, not, shown_parts},
};

/// What becomes of the writes of an outage when the server is back; see [`Fallback::on_recovery`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnRecovery {
    /// They are forgotten. Only removals are carried out at the server: `DEL` and its like, `HDEL`, `SREM`, `ZREM`.
    /// So what was deleted during the outage does not come back.
    #[default]
    Discard,
    /// They are carried out at the server, in order, before callers go back to it.
    Replay,
}

/// From the rows of the table: [`Fallback`] with its defaults and setters, and its check.
macro_rules! fallback {
    ($(
        #[doc = $sentence:literal]
        $(#[doc = $doc:literal])*
        $name:ident as $key:literal: $type:ty, default($($default:tt)+), range($($range:tt)+);
    )+) => {
        /// A store in this process that stands in for a database while its circuit is open.
        ///
        /// It is for programs that rather go on with less than stop: a chat that keeps its thread, a cache that starts
        /// empty. Off by default: see [`DatabaseConfig::fallback`](crate::DatabaseConfig::fallback).
        ///
        /// ```
        /// use redis_steward::{DatabaseConfig, Fallback, OnRecovery};
        ///
        /// let chats = DatabaseConfig::new()
        ///     .fallback(Fallback::memory().on_recovery(OnRecovery::Replay).max_entries(10_000));
        /// # redis_steward::Config::new().database("chats", chats).check().unwrap();
        /// ```
        ///
        /// # During an outage
        ///
        /// The store begins empty when the circuit opens, and ends when it has closed. Meanwhile the database is
        /// [`Degraded`](crate::HealthState::Degraded) with
        /// [`Reason::MemoryFallback`](crate::Reason::MemoryFallback), and no command tests the server: probes do.
        /// - A key that was not written during the outage is missing, unless
        ///   [`stale_reads`](Self::stale_reads) are permitted. A counter begins at 0, and a list, a hash or a set
        ///   has what was added during the outage.
        /// - Times to live hold as in Redis. When a [bound](Self::max_entries) is reached, the key goes that was not used
        ///   for longest. That is no deletion, and never one at the server.
        /// - [`Database::query_with_source`](crate::Database::query_with_source) tells where a reply comes from;
        ///   [`DatabaseStats::fallback`](crate::DatabaseStats::fallback) counts.
        /// - A command that may have reached the server is never run here. Its error tells so, as ever.
        /// - [Patient](crate::Database::patient) handles want the server, and wait for it. The calls of an
        ///   [isolated](crate::Supervisor::isolate) database fail.
        /// - Before the circuit opens, calls wait for the server, up to their deadline. Where connections are refused,
        ///   that takes about a second with the usual
        ///   [`failure_threshold`](crate::DatabaseConfig::failure_threshold) of 5, and no time with one of 1. No call is
        ///   served here earlier, because the next one might reach the server and not see what this one has written.
        ///
        /// # Commands
        ///
        /// | kind | served |
        /// |---|---|
        /// | strings | `GET`, `MGET`, `GETRANGE`, `STRLEN`, `SET` with no option other than an expiry, `SETEX`, `PSETEX`, `MSET`, `GETDEL`, `GETEX`, `INCR`, `DECR`, `INCRBY`, `DECRBY`, `INCRBYFLOAT` |
        /// | keys | `DEL`, `UNLINK`, `EXISTS`, `TYPE`, `TTL`, `PTTL`, `EXPIRETIME`, `PEXPIRETIME`, `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT` without options, `PERSIST` |
        /// | hashes | `HGET`, `HMGET`, `HGETALL`, `HKEYS`, `HVALS`, `HLEN`, `HSTRLEN`, `HEXISTS`, `HSET`, `HMSET`, `HDEL`, `HINCRBY`, `HINCRBYFLOAT` |
        /// | lists | `LRANGE`, `LINDEX`, `LLEN`, `LPOS`, `LPUSH`, `RPUSH`, `LTRIM` that leaves an end of the list (from 0, or to -1) |
        /// | sets | `SMEMBERS`, `SISMEMBER`, `SMISMEMBER`, `SCARD`, `SINTER`, `SUNION`, `SDIFF`, `SADD`, `SREM` |
        /// | sorted sets | `ZSCORE`, `ZMSCORE`, `ZRANK`, `ZREVRANK`, `ZCARD`, `ZCOUNT`, `ZRANGE`, `ZREVRANGE`, `ZRANGEBYSCORE`, `ZREVRANGEBYSCORE`, `ZADD` without options, `ZINCRBY`, `ZREM` |
        /// | HyperLogLogs | `PFADD`, `PFCOUNT` |
        ///
        /// Pipelines of these are served as a whole, atomic ones too. All other commands fail with
        /// [`Error::CircuitOpen`](crate::Error::CircuitOpen), as without a fallback: a lock (`SET NX`), an element that
        /// is popped, a message, a script or a list of all keys would be an invention. So do leases, transactions and
        /// commands that want no reply.
        ///
        /// # Recovery
        ///
        /// When probes have closed the circuit, what is kept for the server is carried out there, while callers wait,
        /// and then commands go to the server again. Should it fail on the way, the store goes on, and the rest follows
        /// at the next recovery. The event of the recovery tells what has become of the writes
        /// ([`HealthEvent::recovery`](crate::HealthEvent::recovery)).
        ///
        /// With [`OnRecovery::Replay`] the journal keeps of each key what leads to its last state: a value that was
        /// replaced is forgotten, and so is the earlier value of a field, a member or a score; additions of whole numbers
        /// to one field are joined; of a list that is cut again and again only what is left is kept. Expiries are
        /// absolute, and of a key that has expired before its turn nothing is left. What other clients wrote to the same keys
        /// meanwhile is overwritten or added to. If the connection breaks in a replay, a change that may have been made
        /// is made again only if that changes nothing, and is otherwise counted as in doubt. Commands of one atomic
        /// pipeline are carried out one by one, which only other processes can see.
        ///
        /// **Store and journal are memory of this process.** A crash or a shutdown of it during an outage loses both.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[must_use]
        pub struct Fallback {
            $(pub(crate) $name: $type,)+
            pub(crate) on_recovery: OnRecovery,
            pub(crate) stale: Option<Stale>,
        }

        impl Fallback {
            /// A store in memory, whose writes are discarded on recovery.
            pub const fn memory() -> Self {
                Self {
                    $($name: amount!($($default)+),)+
                    on_recovery: OnRecovery::Discard,
                    stale: None,
                }
            }

            $(
                #[doc = $sentence]
                #[doc = ""]
                #[doc = facts!(
                    default(default_text!($($default)+))
                    range(range_text!(($($range)+) () ()))
                    variable()
                )]
                $(#[doc = $doc])*
                pub const fn $name(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )+

            /// Reports values outside their ranges.
            pub(super) fn check(&self, report: &mut Report<'_>) {
                $(report.range($key, self.$name.measure(), &range!($($range)+));)+
                if let Some(stale) = self.stale {
                    stale.check(report);
                }
            }

            /// Sets a part from text, if it is one of the table.
            fn set_bound(&mut self, key: &str, text: &str) -> Option<Result<(), String>> {
                match key {
                    $($key => Some(bounded(text, &range!($($range)+)).map(|value| self.$name = value)),)+
                    _ => None,
                }
            }

            /// The bounds as text, each with its key.
            fn bounds(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, self.$name.shown()),)+]
            }

            /// The table as data, and the parts that are set by hand.
            pub(super) const FIELDS: &'static [Field] = &[$(Field {
                key: $key,
                names: &[],
                #[cfg(test)]
                unit: <$type as Setting>::KIND,
                schema: <$type as Setting>::SCHEMA,
                #[cfg(test)]
                range: range_text!(($($range)+) () ()),
                #[cfg(test)]
                default: default_text!($($default)+),
                example: example!($($default)+),
                variable: None,
                #[cfg(test)]
                sentence: $sentence,
            },)+ OF_CHOICE, OF_AGE, OF_STALE_ENTRIES];
        }
    };
}

fallback! {
    /// The most keys of the store.
    ///
    /// When there are more, those go that were not used for longest.
    max_entries as "fallback.max_entries": usize, default(65_536), range(1..=16_777_216);

    /// The most bytes of keys and values in the store.
    ///
    /// When there are more, the keys go that were not used for longest. A single command of more than half of it is
    /// not served. The memory of an entry beside its key and value is counted as an estimate.
    max_bytes as "fallback.max_bytes": usize, default(64 MiB), range(1 KiB..=64 GiB);

    /// The most changes that are kept for the server.
    ///
    /// When there are more, the changes of the keys are dropped that were not changed for longest, and counted. A key
    /// that is written again and again takes one, whatever its value.
    max_journal_entries as "fallback.max_journal_entries": usize,
        default(65_536), range(1..=16_777_216);

    /// The most bytes of changes that are kept for the server.
    ///
    /// As [`max_journal_entries`](Self::max_journal_entries).
    max_journal_bytes as "fallback.max_journal_bytes": usize,
        default(64 MiB), range(1 KiB..=64 GiB);
}

impl Fallback {
    /// What becomes of the writes of an outage when the server is back.
    ///
    /// Default: [`OnRecovery::Discard`].
    pub const fn on_recovery(mut self, choice: OnRecovery) -> Self {
        self.on_recovery = choice;
        self
    }
}

/// The values that may be older than the outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stale {
    pub(crate) max_age: Duration,
    pub(crate) max_entries: usize,
}

/// The limits of [`Stale`].
const AGES: RangeInclusive<Duration> = range!(1 ms..=1 year);
const ENTRIES: RangeInclusive<u64> = 1..=16_777_216;

const OF_CHOICE: Field = Field {
    key: "fallback.on_recovery",
    names: &[],
    #[cfg(test)]
    unit: OnRecovery::KIND,
    schema: OnRecovery::SCHEMA,
    #[cfg(test)]
    range: "discard or replay",
    #[cfg(test)]
    default: "discard",
    example: "discard",
    variable: None,
    #[cfg(test)]
    sentence: " What becomes of the writes of an outage when the server is back.",
};

const OF_AGE: Field = Field {
    key: "fallback.stale_reads.max_age",
    names: &[],
    #[cfg(test)]
    unit: Duration::KIND,
    schema: Duration::SCHEMA,
    #[cfg(test)]
    range: "1 ms to 1 year",
    #[cfg(test)]
    default: "none",
    example: "60",
    variable: None,
    #[cfg(test)]
    sentence: " The greatest age of values that were read before the outage; without it none are served.",
};

const OF_STALE_ENTRIES: Field = Field {
    key: "fallback.stale_reads.max_entries",
    names: &[],
    #[cfg(test)]
    unit: usize::KIND,
    schema: usize::SCHEMA,
    #[cfg(test)]
    range: "1 to 16_777_216",
    #[cfg(test)]
    default: "1_024",
    example: "1024",
    variable: None,
    #[cfg(test)]
    sentence: " The most values that are remembered for the next outage.",
};

impl Stale {
    /// What a file leaves out: the values of a minute, and not many.
    const fn of_file() -> Self {
        Self {
            max_age: Duration::from_secs(60),
            max_entries: 1_024,
        }
    }

    fn check(self, report: &mut Report<'_>) {
        report.range(OF_AGE.key, self.max_age, &AGES);
        report.range(OF_STALE_ENTRIES.key, self.max_entries.measure(), &ENTRIES);
    }
}

impl Fallback {
    /// During an outage, `GET` and `MGET` of a key that was not written in it give the string that the server was last
    /// seen to have, if that is at most `max_age` ago.
    ///
    /// Default: off. Range: an age of 1 ms to 1 year, and 1 to 16_777_216 entries, of at most
    /// [`max_bytes`](Self::max_bytes) together.
    ///
    /// Such a value is old by design: other clients may have changed it. It has
    /// [`Source::Memory`](crate::Source::Memory). Strings are remembered that `GET` and `MGET` have read, or `SET`, `SETEX`,
    /// `PSETEX` and `MSET` have written, through a handle of this database and outside of an atomic pipeline. They are
    /// forgotten when this process changes the key otherwise, or may have done so: a script, an `EXEC` on a lease, or a
    /// command that may write any key forgets all. A time to live is known, and kept, of a string that this process has
    /// written; of others choose an age below theirs. Other commands, such as `EXISTS` or `INCR`, do not see these values.
    ///
    /// A program that reads a key, changes the value and writes it back needs this, or has to ask for the
    /// [source](crate::Database::query_with_source): otherwise it takes a key that is not in the store for a new one, and
    /// with [`OnRecovery::Replay`] overwrites at the server what was there.
    ///
    /// The price is paid while the server is well: every call of the database takes a lock for a moment, and every
    /// string that is read or written is copied.
    pub const fn stale_reads(mut self, max_age: Duration, max_entries: usize) -> Self {
        self.stale = Some(Stale {
            max_age,
            max_entries,
        });
        self
    }
}

impl Default for Fallback {
    fn default() -> Self {
        Self::memory()
    }
}

impl Fallback {
    /// Sets a part from text. The key is one of the table.
    pub(super) fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
        if let Some(set) = self.set_bound(key, text) {
            return set;
        }
        if key == OF_CHOICE.key {
            self.on_recovery = OnRecovery::read(text)?;
            return Ok(());
        }
        let mut stale = self.stale.unwrap_or(Stale::of_file());
        if key == OF_AGE.key {
            stale.max_age = bounded(text, &AGES)?;
        } else {
            stale.max_entries = bounded(text, &ENTRIES)?;
        }
        self.stale = Some(stale);
        Ok(())
    }

    /// The parts as text, each with its key.
    fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts = self.bounds();
        parts.push((OF_CHOICE.key, self.on_recovery.shown()));
        if let Some(stale) = self.stale {
            parts.push((OF_AGE.key, stale.max_age.shown()));
            parts.push((OF_STALE_ENTRIES.key, stale.max_entries.shown()));
        }
        parts
    }
}

/// A quantity within its range.
fn bounded<Q: Quantity + Setting>(
    text: &str,
    range: &RangeInclusive<Q::Measure>,
) -> Result<Q, String> {
    let value = Q::read(text)?;
    within(value.measure(), range)?;
    Ok(value)
}

/// `memory` for the defaults; its parts have keys of their own.
impl Setting for Fallback {
    const KIND: &'static str = "memory, off, or a map of its parts";
    const SCHEMA: Schema = Schema::Parts(&["memory", "off"]);

    fn read(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("memory") {
            return Ok(Self::memory());
        }
        check_on(text, Self::KIND).map(|()| Self::memory())
    }

    fn shown(&self) -> String {
        shown_parts(&self.parts())
    }

    #[cfg(feature = "serde")]
    fn write(&self, _: &'static str, texts: &mut Vec<(&'static str, String)>) {
        texts.extend(self.parts());
    }
}

impl Setting for OnRecovery {
    const KIND: &'static str = "discard or replay";
    const SCHEMA: Schema = Schema::Choices(&["discard", "replay"]);

    fn read(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "discard" => Ok(Self::Discard),
            "replay" => Ok(Self::Replay),
            _ => Err(not(text, Self::KIND)),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Discard => "discard".into(),
            Self::Replay => "replay".into(),
        }
    }
}
