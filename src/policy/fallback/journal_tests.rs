//! Goal: the journal brings the server to the state that callers were told, makes nothing twice that would be
//! noticed, and stays within its bounds. Method: changes by hand, and random ones against a small model of a
//! server.

use super::*;

const WIDE: Bounds = Bounds {
    entries: 1_000,
    bytes: 1 << 20,
};

fn journal(keeps: Keeps) -> Journal {
    Journal::new(keeps, WIDE)
}

fn run(journal: &mut Journal, lines: &[&str]) {
    for line in lines {
        let words: Vec<_> = line.split(' ').map(str::as_bytes).collect();
        for (key, change) in Served::changes(&words, LocalReply::Something, 1_000) {
            journal.record(key, change);
        }
    }
}

fn take(journal: &mut Journal, most: usize) -> Vec<String> {
    let lot = journal.take(most, usize::MAX, 2_000).into_iter();
    lot.map(|words| String::from_utf8_lossy(&words.join(&b' ')).into_owned())
        .collect()
}

#[test]
fn of_each_key_only_what_is_needed_is_kept() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &[
            "SET a 1",
            "INCR n",
            "RPUSH l x",
            "SET a 2",
            "INCRBY n 4",
            "RPUSH l y z",
            "EXPIRE a 60",
            "DEL b",
            "SET c 1",
            "DEL c",
            "HSET h f 1",
            "HDEL h f",
            "EXPIRE n 60",
            "EXPIRE n 90",
        ],
    );
    assert_eq!(
        take(&mut journal, 100),
        [
            "INCRBY n 5",
            "RPUSH l x y z",
            "SET a 2 PX 59000",
            "DEL b",
            "DEL c",
            "HSET h f 1",
            "HDEL h f",
            "PEXPIRE n 89000",
        ]
    );
}

#[test]
fn where_a_time_is_over_the_key_goes() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &[
            "SET a 1 PX 500",
            "SADD s m",
            "PEXPIRE s 1000",
            "SET b 1 PX 1001",
        ],
    );
    assert_eq!(
        take(&mut journal, 100),
        ["DEL a", "SADD s m", "DEL s", "SET b 1 PX 1"]
    );
}

#[test]
fn a_journal_of_removals_keeps_them_whatever_is_written_after() {
    let mut journal = journal(Keeps::Removals);
    run(
        &mut journal,
        &[
            "SET a 1",
            "DEL b",
            "SET b 2",
            "SREM s m",
            "SADD s m",
            "EXPIRE c 0",
            "INCR d",
        ],
    );
    assert_eq!(take(&mut journal, 100), ["DEL b", "SREM s m", "DEL c"]);
}

#[test]
fn a_lot_that_was_not_made_comes_back_before_later_changes() {
    let mut journal = journal(Keeps::All);
    run(&mut journal, &["SET a 1", "RPUSH l x", "SET b 1"]);
    assert_eq!(take(&mut journal, 2), ["SET a 1", "RPUSH l x"]);
    run(&mut journal, &["SET a 2", "RPUSH l y"]);
    let settled = journal.settle(&[Replayed::NotSent, Replayed::NotYet], 2_000);
    assert_eq!((settled.done, settled.in_doubt), (0, 0));
    assert_eq!(
        take(&mut journal, 9),
        ["RPUSH l x", "SET b 1", "SET a 2", "RPUSH l y"]
    );
}

#[test]
fn what_may_have_been_made_is_repeated_only_where_nobody_would_notice() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &["INCR n", "SET a 1", "INCR a", "SADD s m", "RPUSH l x"],
    );
    take(&mut journal, 9);
    let settled = journal.settle(&[Replayed::Unknown; 5], 2_000);
    assert_eq!(settled.in_doubt, 2);
    assert_eq!(take(&mut journal, 9), ["SET a 1", "INCRBY a 1", "SADD s m"]);
    let settled = journal.settle(&[Replayed::Done, Replayed::Refused, Replayed::Done], 2_000);
    assert_eq!((settled.done, settled.refused), (2, 1));
    assert_eq!((journal.len(), journal.bytes()), (0, 0));
}

#[test]
fn a_full_journal_drops_the_keys_that_were_not_changed_for_longest() {
    let bounds = Bounds {
        entries: 3,
        bytes: 10_000,
    };
    let mut journal = Journal::new(Keeps::All, bounds);
    run(
        &mut journal,
        &[
            "SET a 1", "INCR a", "SET b 1", "SET c 1", "SET b 2", "SET d 1",
        ],
    );
    // Both changes of `a` went together.
    assert_eq!(journal.take_dropped(), 2);
    assert_eq!(take(&mut journal, 9), ["SET c 1", "SET b 2", "SET d 1"]);
    journal.settle(&[Replayed::Done; 3], 2_000);
    let long = format!("SET e {}", "x".repeat(20_000));
    run(&mut journal, &["SET f 1", &long]);
    assert_eq!((journal.len(), journal.take_dropped()), (0, 2));
    assert_eq!(journal.bytes(), 0);
}

#[test]
fn a_server_that_puts_changes_off_is_waited_for_but_not_for_ever() {
    let mut journal = journal(Keeps::All);
    run(&mut journal, &["SET a 1", "SET b 1"]);
    for now in [2_000, 6_000, 11_999] {
        take(&mut journal, 9);
        let settled = journal.settle(&[Replayed::NotYet; 2], now);
        assert_eq!((settled.refused, journal.len()), (0, 2));
    }
    take(&mut journal, 9);
    let settled = journal.settle(&[Replayed::NotYet; 2], 12_000);
    assert_eq!((settled.refused, journal.len()), (2, 0));
}

/// A server that knows the commands that a journal sends.
#[derive(Default, PartialEq, Debug)]
struct Model {
    strings: std::collections::BTreeMap<Vec<u8>, i64>,
    lists: std::collections::BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

impl Model {
    fn run(&mut self, words: &[Vec<u8>]) {
        let number = |word: &[u8]| String::from_utf8_lossy(word).parse().unwrap_or(0);
        match (&*words[0], &words[1..]) {
            (b"SET", [key, value]) => {
                self.lists.remove(key);
                self.strings.insert(key.clone(), number(value));
            }
            (b"DEL", [key]) => {
                self.lists.remove(key);
                self.strings.remove(key);
            }
            (b"INCRBY", [key, amount]) => {
                *self.strings.entry(key.clone()).or_default() += number(amount);
            }
            (b"RPUSH", [key, elements @ ..]) => {
                let list = self.lists.entry(key.clone()).or_default();
                list.extend(elements.iter().cloned());
            }
            other => panic!("{other:?} is not modelled"),
        }
    }
}

/// Lots that are lost before they were sent, or whose replies are, may be told from lots that ran only by what
/// cannot be repeated.
#[test]
fn random_outages_end_in_the_state_that_callers_were_told() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut journal, mut told, mut server) =
            (journal(Keeps::All), Model::default(), Model::default());
        for step in 0..random.usize(1..60) {
            // Strings and lists have keys of their own.
            let (key, list) = (random.u8(0..4), random.u8(0..2));
            let line = match random.u8(0..4) {
                0 => format!("SET k{key} {step}"),
                1 => format!("DEL k{key}"),
                2 => format!("INCRBY k{key} {}", random.i64(-9..9)),
                _ => format!("RPUSH l{list} {step}"),
            };
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
        assert_eq!(server, told, "seed {seed}");
    }
}

/// Makes a lot. Some of it may not be made, and where that would not be noticed its replies may be lost.
fn replay(journal: &mut Journal, server: &mut Model, random: &mut fastrand::Rng) {
    let lot = journal.take(random.usize(1..8), usize::MAX, 2_000);
    let may_lose = |words: &Vec<Vec<u8>>| matches!(&*words[0], b"SET" | b"DEL");
    let end = match random.u8(0..3) {
        0 => Replayed::NotSent,
        1 if lot.iter().all(may_lose) => Replayed::Unknown,
        _ => Replayed::Done,
    };
    if end != Replayed::NotSent {
        lot.iter().for_each(|words| server.run(words));
    }
    journal.settle(&vec![end; lot.len()], 2_000);
}
