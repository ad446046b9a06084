//! Goal: the journal brings the server to the state that callers were told. Method: random changes and random failures,
//! against a small model of a server.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    journal_rig::{Rig, journal, lot_of, run},
    *,
};

/// A server that knows the commands that a journal sends.
#[derive(Default, PartialEq, Debug)]
struct Model {
    strings: BTreeMap<Vec<u8>, i64>,
    lists: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    sets: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
    hashes: BTreeMap<(Vec<u8>, Vec<u8>), i64>,
}

impl Model {
    fn run(&mut self, words: &[Vec<u8>]) {
        let number = |word: &[u8]| String::from_utf8_lossy(word).parse().unwrap_or(0);
        match (&*words[0], &words[1..]) {
            (b"SET", [key, value]) => drop(self.strings.insert(key.clone(), number(value))),
            (b"DEL", [key]) => drop(self.strings.remove(key)),
            (b"INCRBY", [key, amount]) => {
                *self.strings.entry(key.clone()).or_default() += number(amount);
            }
            (b"HINCRBY", [key, field, amount]) => {
                let field = (key.clone(), field.clone());
                *self.hashes.entry(field).or_default() += number(amount);
            }
            (b"HSET", [key, fields @ ..]) => {
                for pair in fields.chunks_exact(2) {
                    let field = (key.clone(), pair[0].clone());
                    self.hashes.insert(field, number(&pair[1]));
                }
            }
            (b"SADD", [key, members @ ..]) => {
                let set = self.sets.entry(key.clone()).or_default();
                set.extend(members.iter().cloned());
            }
            (b"SREM", [key, members @ ..]) => {
                let set = self.sets.entry(key.clone()).or_default();
                set.retain(|member| !members.contains(member));
            }
            (b"LPUSH", [key, elements @ ..]) => {
                let list = self.lists.entry(key.clone()).or_default();
                list.splice(0..0, elements.iter().rev().cloned());
            }
            (b"RPUSH", [key, elements @ ..]) => {
                let list = self.lists.entry(key.clone()).or_default();
                list.extend(elements.iter().cloned());
            }
            (b"LTRIM", [key, first, last]) => {
                let list = self.lists.entry(key.clone()).or_default();
                match (number(first), number(last)) {
                    (0, last) => list.truncate(last as usize + 1),
                    (first, _) => drop(list.drain(..list.len().saturating_sub(-first as usize))),
                }
            }
            other => panic!("{other:?} is not modelled"),
        }
    }
}

/// Lots that are lost before they were sent, or whose replies are, may be told from lots that ran only by what
/// cannot be repeated.
#[test]
fn random_outages_end_in_the_state_that_callers_were_told() {
    for seed in 0..1_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut journal, mut told, mut server) =
            (journal(Keeps::All), Model::default(), Model::default());
        for step in 0..random.usize(1..60) {
            let line = random_line(&mut random, step);
            let words: Vec<_> = line
                .split(' ')
                .map(|word| word.as_bytes().to_vec())
                .collect();
            told.run(&words);
            run(&mut journal, &[&line]);
            if random.u8(0..8) == 0 {
                replay(&mut journal, &mut server, &mut random);
            }
        }
        while journal.len() > 0 {
            replay(&mut journal, &mut server, &mut random);
        }
        assert_eq!(journal.bytes(), 0);
        assert_eq!(server, told, "seed {seed}");
    }
}

/// Keys of each type have names of their own.
fn random_line(random: &mut fastrand::Rng, step: usize) -> String {
    let (key, part) = (random.u8(0..3), random.u8(0..3));
    match random.u8(0..10) {
        0 => format!("SET k{key} {step}"),
        1 => format!("DEL k{key}"),
        2 => format!("INCRBY k{key} {}", random.i64(-9..9)),
        3 => format!("HINCRBY h{key} f{part} {}", random.i64(-9..9)),
        4 => format!("HSET h{key} f{part} {step}"),
        5 => format!("SADD s{key} m{part}"),
        6 => format!("SREM s{key} m{part}"),
        7 => format!("LPUSH l{key} {step}"),
        8 => format!("RPUSH l{key} {step}"),
        _ if random.bool() => format!("LTRIM l{key} 0 {part}"),
        _ => format!("LTRIM l{key} {} -1", -1 - i32::from(part)),
    }
}

/// Makes a lot. Some of it may not be made, because it is lost or because the server is full, maybe for its first commands
/// only. Where that would not be noticed its replies may be lost.
fn replay(journal: &mut Rig, server: &mut Model, random: &mut fastrand::Rng) {
    let bounds = LotBounds {
        command_bytes: random.usize(0..500),
        ..lot_of(random.usize(1..8))
    };
    let lot = journal.take(bounds, 2_000);
    let is = |words: &[Vec<u8>], names: &[&[u8]]| names.contains(&&*words[0]);
    let may_lose = |words: &Vec<Vec<u8>>| is(words, &[b"SET", b"DEL", b"SADD", b"SREM"]);
    let end = match random.u8(0..4) {
        0 => Replayed::NotSent,
        1 if lot.iter().all(may_lose) => Replayed::Unknown,
        2 => Replayed::NotYet,
        _ => Replayed::Done,
    };
    let has_room_from = random.usize(0..16);
    let ends: Vec<_> = lot
        .iter()
        .enumerate()
        .map(|(index, words)| match end {
            Replayed::NotYet if is(words, &[b"DEL", b"SREM", b"LTRIM"]) => Replayed::Done,
            // The elements of a list would come in another order.
            Replayed::NotYet if is(words, &[b"LPUSH", b"RPUSH"]) => Replayed::NotYet,
            Replayed::NotYet if index >= has_room_from => Replayed::Done,
            end => end,
        })
        .collect();
    for (words, end) in lot.iter().zip(&ends) {
        if matches!(end, Replayed::Done | Replayed::Unknown) {
            server.run(words);
        }
    }
    journal.settle(&ends, 2_000);
}

/// The commands of the lot after one that has ended like this.
fn sent_again(lines: &[&str], ends: &[Replayed]) -> Vec<String> {
    let mut journal = journal(Keeps::All);
    run(&mut journal, lines);
    assert_eq!(journal.take(lot_of(9), 2_000).len(), ends.len());
    journal.settle(ends, 2_000);
    let lot = journal.take(lot_of(9), 2_000).into_iter();
    lot.map(|words| String::from_utf8_lossy(&words.join(&b' ')).into_owned())
        .collect()
}

/// A server that is full has room again halfway through a lot.
#[test]
fn what_was_added_before_a_value_is_set_is_added_once_more() {
    use Replayed::{Done, NotYet, Refused};
    for (lines, middle) in [
        (["SET k 5", "DEL big", "INCRBY k 1"], Done),
        (["HSET h f 5", "DEL big", "HINCRBY h f 1"], Done),
        (["HDEL h f", "DEL big", "HINCRBY h f 1"], Done),
        (["ZADD z 5 m", "DEL big", "ZINCRBY z 1 m"], Done),
        // The value before it was of another type.
        (["SET k 5", "DEL big", "INCRBY k 1"], Refused),
    ] {
        let again = sent_again(&lines, &[NotYet, Done, middle]);
        assert_eq!(again, [lines[0], lines[2]], "{middle:?}");
    }
    let others = sent_again(&["HSET h f 5", "HINCRBY h g 1"], &[NotYet, Done]);
    assert_eq!(others, ["HSET h f 5"]);
}

#[test]
fn a_large_change_is_sent_in_pieces() {
    const MOST: usize = 10_000;
    let bounds = LotBounds {
        command_bytes: MOST,
        ..lot_of(9)
    };
    let mut journal = journal(Keeps::All);
    for number in 0..10_000 {
        run(
            &mut journal,
            &[&format!("RPUSH l {number}"), &format!("SADD s {number}")],
        );
    }
    assert_eq!(journal.len(), 2);
    let (mut server, mut is_first) = (Model::default(), true);
    // Pieces that were not made come before the others again, and those before what comes meanwhile.
    for end in [Replayed::NotSent, Replayed::Done].into_iter().cycle() {
        let lot = journal.take(bounds, 2_000);
        if lot.is_empty() {
            break;
        }
        for words in &lot {
            let bytes: usize = words.iter().map(Vec::len).sum();
            assert!(bytes <= MOST, "{bytes}");
            if end == Replayed::Done {
                server.run(words);
            }
        }
        if std::mem::take(&mut is_first) {
            run(&mut journal, &["RPUSH l later", "SADD s later"]);
        }
        journal.settle(&vec![end; lot.len()], 2_000);
    }
    let elements = (0..10_000).map(|number| number.to_string().into_bytes());
    let elements: Vec<_> = elements.chain([b"later".to_vec()]).collect();
    assert_eq!(server.lists[&b"l"[..]], elements);
    assert_eq!(server.sets[&b"s"[..]].len(), 10_001);
    assert_eq!((journal.len(), journal.bytes()), (0, 0));
}
