//! The slot of a key in a Redis Cluster.

use std::{fmt, ops::RangeInclusive};

/// One of the 16,384 parts of a cluster's key space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(u16);

impl Slot {
    pub(crate) const COUNT: u16 = 16_384;

    /// The slot of this number; `None` from [`COUNT`](Self::COUNT) on.
    pub(crate) const fn new(number: u16) -> Option<Self> {
        if number < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The slot of a key, as the cluster specification defines it. If the key has a hash tag, that alone counts: the bytes
    /// between the first `{` and the first `}` behind it, unless there are none.
    pub(crate) fn of(key: &[u8]) -> Self {
        Self(crc16(hash_tag(key).unwrap_or(key)) % Self::COUNT)
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> + Clone {
        (0..Self::COUNT).map(Self)
    }

    pub(crate) const fn number(self) -> u16 {
        self.0
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Slots, which come in order, in as few ranges as can be.
pub(crate) fn ranges(slots: impl IntoIterator<Item = u16>) -> Vec<RangeInclusive<u16>> {
    let mut ranges = Vec::<RangeInclusive<u16>>::new();
    for slot in slots {
        match ranges.last_mut() {
            Some(last) if *last.end() + 1 == slot => *last = *last.start()..=slot,
            _ => ranges.push(slot..=slot),
        }
    }
    ranges
}

/// A range as people write it: `7000`, or `0-5460`.
pub(crate) fn write_range(f: &mut fmt::Formatter<'_>, slots: &RangeInclusive<u16>) -> fmt::Result {
    match (slots.start(), slots.end()) {
        (first, last) if first == last => write!(f, "{first}"),
        (first, last) => write!(f, "{first}-{last}"),
    }
}

/// Whether a part of the key alone decides about its slot.
pub(crate) fn has_hash_tag(key: &str) -> bool {
    hash_tag(key.as_bytes()).is_some()
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let behind = &key[open + 1..];
    let close = behind.iter().position(|byte| *byte == b'}')?;
    (close > 0).then(|| &behind[..close])
}

/// CRC-16/XMODEM: polynomial 0x1021, begins with 0, not reflected.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let [high, _] = crc.to_be_bytes();
        (crc << 8) ^ TABLE[usize::from(high ^ byte)]
    })
}

const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte: u16 = 0;
    while byte < 256 {
        let mut crc = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::vec,
        prelude::*,
        sample::select,
        test_runner::{Config, TestRunner},
    };

    use super::*;
    use crate::common::{RedisServer, Reply, skip_notice, version::is_embedded};

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn only_a_hash_tag_counts_if_there_is_one() {
        let same = |one: &str, other: &str| {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            assert_eq!(Slot::of(one), Slot::of(other), "{one:?} {other:?}");
        };
        same("{user1000}.following", "{user1000}.followers");
        same("{user1000}.following", "user1000");
        same("foo{{bar}}zap", "{bar");
        same("foo{bar}{zap}", "bar");
        same("foo}{bar}", "bar");
        let whole = |key: &str| {
            let key = key.as_bytes();
            assert_eq!(Slot::of(key).number(), crc16(key) % Slot::COUNT, "{key:?}");
        };
        for key in ["foo{}{bar}", "foo{bar", "foo}bar{", "{", "{}", ""] {
            whole(key);
        }
    }

    #[test]
    fn a_number_beyond_the_last_slot_is_none() {
        assert_eq!(Slot::new(16_383).map(Slot::number), Some(16_383));
        assert_eq!(Slot::new(16_384), None);
    }

    #[test]
    fn the_server_finds_the_same_slots() {
        if is_embedded() {
            skip_notice("the embedded server is no node of a cluster");
            return;
        }
        let server = RedisServer::builder().cluster().start();
        let byte = select(b"ab{}\0\xff".as_slice());
        let keys = prop_oneof![vec(byte, 0..8), vec(any::<u8>(), 0..40)];
        let compare = |key: &[u8]| {
            let question = [b"CLUSTER", b"KEYSLOT".as_slice(), key];
            let slot = server.try_bytes(&question).expect("an answer");
            assert_eq!(slot, Reply::Int(Slot::of(key).number().into()), "{key:?}");
        };
        for key in ["foo", "bar", "{user1000}.a", "foo{}{bar}", "foo{{bar}}zap"] {
            compare(key.as_bytes());
        }
        let mut runner = TestRunner::new(Config::with_cases(500));
        let compared = runner.run(&keys, |key| {
            compare(&key);
            Ok(())
        });
        compared.expect("the same slots");
    }
}
