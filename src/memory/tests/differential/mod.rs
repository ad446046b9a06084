//! Goal: the embedded server replies as a real one does. Method: the same random commands go to both, each
//! reply is compared, and in the end all data. A run prints its seed; `DIFFERENTIAL_SEED` repeats one, and
//! `DIFFERENTIAL_SEQUENCES` sets how many there are of each family.

mod acl;
mod bits;
mod blocking;
mod cluster;
mod dump;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
mod pair;
#[cfg(feature = "memory-lua")]
mod script_sources;
#[cfg(feature = "memory-lua")]
mod scripts;
mod sessions;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
mod tracking;
mod watch;
mod words;

use std::env;

use fastrand::Rng;

use self::pair::{Kind, Pair};

/// Commands in one sequence, after which the data is compared and removed.
const COMMANDS: usize = 60;
const SEQUENCES: u64 = 150;

/// Makes a random command of a family.
pub(super) type Generate = fn(&mut Rng) -> Vec<Vec<u8>>;

/// The families of commands about data.
pub(super) const FAMILIES: [Generate; 10] = [
    bits::generate,
    geo::generate,
    hashes::generate,
    hyperloglog::generate,
    keys::generate,
    lists::generate,
    sets::generate,
    sorted_sets::generate,
    streams::generate,
    strings::generate,
];

/// A source of randomness for each sequence. There are so many, unless the environment tells how many.
pub(super) fn sequences(family: &str, count: u64) -> impl Iterator<Item = Rng> {
    let number = |variable: &str| env::var(variable).ok().and_then(|text| text.parse().ok());
    let first = number("DIFFERENTIAL_SEED").unwrap_or_else(|| fastrand::u64(..u64::MAX / 2));
    let count = number("DIFFERENTIAL_SEQUENCES").unwrap_or(count);
    (first..first + count).map(move |seed| {
        println!("{family}: DIFFERENTIAL_SEED={seed} DIFFERENTIAL_SEQUENCES=1");
        Rng::with_seed(seed)
    })
}

/// Compares random sequences of commands, in both protocols.
fn compare(family: &str, generate: Generate) {
    compare_sequences(family, SEQUENCES, |pair, random| {
        pair.begin(if random.bool() { "2" } else { "3" });
        for _ in 0..COMMANDS {
            pair.check(&generate(random));
        }
        pair.check_data();
    });
}

fn compare_sequences(family: &str, count: u64, run: impl Fn(&mut Pair, &mut Rng)) {
    compare_with(Kind::Alone, family, count, run);
}

fn compare_with(kind: Kind, family: &str, count: u64, run: impl Fn(&mut Pair, &mut Rng)) {
    let Some(mut pair) = Pair::of(kind) else {
        return;
    };
    for mut random in sequences(family, count) {
        run(&mut pair, &mut random);
    }
}

/// Compares commands that once differed: a line each.
fn compare_lines(lines: &[&str]) {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    for protocol in ["2", "3"] {
        pair.begin(protocol);
        for line in lines {
            pair.check(&words_of(line));
        }
        pair.check_data();
    }
}

/// The words of a line.
fn words_of(line: &str) -> Vec<Vec<u8>> {
    let words = line.split(' ');
    words.map(|word| word.as_bytes().to_vec()).collect()
}
