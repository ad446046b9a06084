//! What servers announce of their maintenance, as values.
//!
//! The format is that of `CLIENT MAINT_NOTIFICATIONS`: a word, a sequence number, and for most words a time in seconds.
//!
//! - this file: an announcement · `parts`: the shards or slots that it names · `works`: what is under way
//! - `bulletin`: what a pool is told

mod bulletin;
mod parts;
mod works;

use std::time::Duration;

use redis::Value;

pub(crate) use self::{
    bulletin::{Bulletin, Moving},
    works::{Work, Works},
};
use self::{parts::Parts, works::AnnouncedWork};
use crate::config::Address;

/// An announcement that a server has made on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Announcement {
    Moving(Moving),
    /// Replies may be slow from about this time on.
    Begins {
        work: AnnouncedWork,
        within: Duration,
    },
    /// That is over, at the parts that are named.
    Ended(AnnouncedWork),
}

/// The longest time that is believed. A longer one is as good as a mistake.
const LONGEST: Duration = Duration::from_secs(60 * 60);

impl Announcement {
    /// Whether pushes of this kind are announcements.
    pub(crate) fn is_kind(kind: &str) -> bool {
        kind == "MOVING" || begun(kind).is_some() || ended(kind).is_some()
    }

    /// Reads a push. It is `None` if it is no announcement, or one that makes no sense.
    pub(crate) fn read(kind: &str, data: &[Value]) -> Option<Self> {
        // All announcements are numbered.
        let (first, rest) = data.split_first()?;
        let number = number(first)?;
        let announced = |work, rest: &[Value]| AnnouncedWork {
            work,
            number,
            parts: parts(work, rest),
        };
        if kind == "MOVING" {
            let within = seconds(rest.first()?)?;
            let to = match rest.get(1) {
                None | Some(Value::Nil) => None,
                Some(told) => match text(told)? {
                    // The word is that of clients of the field.
                    "" | "null" => None,
                    told => Some(address(told)?),
                },
            };
            return Some(Self::Moving(Moving { within, to }));
        }
        if let Some(work) = begun(kind) {
            // Slots are named in its place.
            let (within, rest) = match (work, rest) {
                (Work::SlotMigration, _) | (_, []) => (Duration::ZERO, rest),
                (_, [time, rest @ ..]) => (seconds(time)?, rest),
            };
            let work = announced(work, rest);
            return Some(Self::Begins { work, within });
        }
        let work = ended(kind)?;
        Some(Self::Ended(announced(work, rest)))
    }
}

fn begun(kind: &str) -> Option<Work> {
    Some(match kind {
        "MIGRATING" => Work::Migration,
        "FAILING_OVER" => Work::Failover,
        "SMIGRATING" => Work::SlotMigration,
        _ => return None,
    })
}

fn ended(kind: &str) -> Option<Work> {
    Some(match kind {
        "MIGRATED" => Work::Migration,
        "FAILED_OVER" => Work::Failover,
        "SMIGRATED" => Work::SlotMigration,
        _ => return None,
    })
}

/// The parts that are named, in texts or in arrays of them, together with addresses in some cases.
fn parts(work: Work, named: &[Value]) -> Parts {
    let mut texts = Vec::new();
    for value in named {
        collect(value, &mut texts);
    }
    let texts = texts.iter().map(String::as_str);
    match work {
        Work::Migration | Work::Failover => Parts::shards(texts),
        Work::SlotMigration => Parts::slots(texts),
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(values) => {
            for value in values {
                collect(value, texts);
            }
        }
        Value::Int(number) => texts.push(number.to_string()),
        other => texts.extend(text(other).map(str::to_owned)),
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    Some(Duration::from_secs(number(value)?).min(LONGEST))
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => text(other)?.parse().ok(),
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// A host and a port. An IPv6 address may have brackets.
fn address(told: &str) -> Option<Address> {
    let (host, port) = told.rsplit_once(':')?;
    let in_brackets = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Address::of_host(in_brackets.unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn moving(seconds: u64, host: &str) -> Option<Announcement> {
        Some(Announcement::Moving(Moving {
            within: Duration::from_secs(seconds),
            to: Address::of_host(host, 6380),
        }))
    }

    fn work(work: Work, parts: Parts) -> AnnouncedWork {
        AnnouncedWork {
            work,
            number: 1,
            parts,
        }
    }

    fn shards(names: &[&str]) -> Parts {
        Parts::shards(names.iter().copied())
    }

    fn triplet(slots: &str) -> Value {
        let addresses = ["10.0.0.1:6379", "node-2.example:7000"];
        let texts = addresses.into_iter().chain([slots]);
        Value::Array(texts.map(bulk).collect())
    }

    #[test]
    fn announcements_are_read_whatever_their_numbers_look_like() {
        let one = || Value::Int(1);
        let to = |address: &str| vec![one(), bulk("15"), bulk(address)];
        for (kind, data, expected) in [
            ("MOVING", to("new.host:6380"), moving(15, "new.host")),
            ("MOVING", to("[fd00::1]:6380"), moving(15, "fd00::1")),
            ("MOVING", to("fd00::1:6380"), moving(15, "fd00::1")),
            (
                "MOVING",
                vec![bulk("7"), Value::Int(2), Value::Nil],
                Some(Announcement::Moving(Moving {
                    within: Duration::from_secs(2),
                    to: None,
                })),
            ),
            (
                "MOVING",
                to("null"),
                Some(Announcement::Moving(Moving {
                    within: Duration::from_secs(15),
                    to: None,
                })),
            ),
            (
                "MIGRATING",
                vec![one(), Value::Int(9), bulk("[\"1\"]")],
                Some(Announcement::Begins {
                    work: work(Work::Migration, shards(&["1"])),
                    within: Duration::from_secs(9),
                }),
            ),
            (
                "FAILING_OVER",
                vec![one(), Value::Int(i64::MAX)],
                Some(Announcement::Begins {
                    work: work(Work::Failover, Parts::Untold),
                    within: LONGEST,
                }),
            ),
            (
                "SMIGRATING",
                vec![one(), bulk("0-100,7")],
                Some(Announcement::Begins {
                    work: work(Work::SlotMigration, Parts::Slots(vec![(0, 100), (7, 7)])),
                    within: Duration::ZERO,
                }),
            ),
            (
                "FAILED_OVER",
                vec![one(), bulk("x"), Value::Array(vec![Value::Int(2)])],
                Some(Announcement::Ended(work(
                    Work::Failover,
                    shards(&["x", "2"]),
                ))),
            ),
            (
                "SMIGRATED",
                vec![one(), Value::Array(vec![])],
                Some(Announcement::Ended(work(
                    Work::SlotMigration,
                    Parts::Untold,
                ))),
            ),
            (
                "SMIGRATED",
                vec![one(), Value::Array(vec![triplet("1,5-9"), triplet("70")])],
                Some(Announcement::Ended(work(
                    Work::SlotMigration,
                    Parts::Slots(vec![(1, 1), (5, 9), (70, 70)]),
                ))),
            ),
        ] {
            assert!(Announcement::is_kind(kind));
            assert_eq!(Announcement::read(kind, &data), expected, "{kind} {data:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        let told = |time: Value, to: Value| vec![Value::Int(1), time, to];
        for (kind, data) in [
            ("MOVING", vec![]),
            ("MOVING", vec![Value::Int(1)]),
            ("MOVING", vec![bulk("one"), Value::Int(1), Value::Nil]),
            ("MOVING", told(Value::Int(-1), Value::Nil)),
            ("MOVING", told(bulk("soon"), Value::Nil)),
            ("MOVING", told(Value::Int(1), Value::Int(7))),
            ("MOVING", told(Value::Int(1), bulk("nowhere"))),
            ("MOVING", told(Value::Int(1), bulk("host:0"))),
            ("MOVING", told(Value::Int(1), bulk("host:70000"))),
            ("MOVING", told(Value::Int(1), bulk(":6379"))),
            ("MOVING", told(Value::Int(1), bulk("a host:6379"))),
            ("MIGRATING", vec![Value::Int(1), Value::Nil]),
            ("MIGRATED", vec![Value::Nil]),
        ] {
            assert!(Announcement::is_kind(kind));
            assert_eq!(Announcement::read(kind, &data), None, "{kind} {data:?}");
        }
        assert!(!Announcement::is_kind("message"));
        assert_eq!(Announcement::read("message", &[Value::Int(1)]), None);
    }
}
