use fastrand::Rng;

use super::{
    compare, compare_lines,
    words::{command, integer, key, one_of, pick, value},
};

fn keys(random: &mut Rng) -> Vec<Vec<u8>> {
    (0..random.u8(0..4)).map(|_| key(random, "x")).collect()
}

pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    match random.u8(0..24) {
        0..6 => {
            let mut arguments = vec![key(random, "x")];
            arguments.extend((0..random.u8(0..6)).map(|_| value(random)));
            // With the key left out, a member would be the key, which may be binary.
            arguments.insert(0, b"SADD".into());
            arguments
        }
        6..9 => {
            let mut arguments = vec![key(random, "x")];
            arguments.extend((0..random.u8(0..4)).map(|_| value(random)));
            let name = pick(random, &["SREM", "SREM", "SMISMEMBER"]);
            command(random, name, arguments)
        }
        9 | 10 => {
            let arguments = vec![key(random, "x"), value(random)];
            command(random, "SISMEMBER", arguments)
        }
        11 | 12 => {
            let arguments = vec![key(random, "x")];
            let name = pick(random, &["SMEMBERS", "SCARD", "DEL"]);
            command(random, name, arguments)
        }
        13 | 14 => {
            let arguments = vec![key(random, "x"), key(random, "x"), value(random)];
            command(random, "SMOVE", arguments)
        }
        15 | 16 => {
            let arguments = keys(random);
            let name = pick(random, &["SINTER", "SUNION", "SDIFF"]);
            command(random, name, arguments)
        }
        17 | 18 => {
            let mut arguments = vec![key(random, "x")];
            arguments.extend(keys(random));
            let name = pick(random, &["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
            command(random, name, arguments)
        }
        19 | 20 => intersect(random),
        21 => sample(random),
        _ => scan(random),
    }
}

fn intersect(random: &mut Rng) -> Vec<Vec<u8>> {
    let number = one_of(random, &["1", "2", "2", "3", "0", "-1", "x", ""]);
    let mut arguments = vec![number];
    arguments.extend(keys(random));
    if random.bool() {
        arguments.push(one_of(random, &["LIMIT", "limit", "nonsense"]));
        arguments.push(integer(random));
    }
    command(random, "SINTERCARD", arguments)
}

/// Where the reply does not depend on chance: of all members, or of none.
fn sample(random: &mut Rng) -> Vec<Vec<u8>> {
    let name = pick(random, &["SPOP", "SRANDMEMBER"]);
    let mut counts = vec!["0", "100", "9223372036854775807", "x", "", "1.5"];
    counts.push("-9223372036854775808");
    if name == "SPOP" {
        counts.push("-1");
    }
    let mut arguments = vec![key(random, "x"), one_of(random, &counts)];
    if random.u8(0..10) == 0 {
        arguments.push(value(random));
    }
    arguments.insert(0, name.into());
    arguments
}

fn scan(random: &mut Rng) -> Vec<Vec<u8>> {
    let cursor = one_of(random, &["0", "0", "0", "x", " 0", "0x1"]);
    let mut arguments = vec![key(random, "x"), cursor];
    for _ in 0..random.u8(0..3) {
        let option = one_of(random, &["MATCH", "COUNT", "TYPE", "nonsense"]);
        let value: &[&str] = match &option[..] {
            b"MATCH" => &["*", "a", "[ab]", "?", "x*", ""],
            _ => &["100", "1000", "0", "-1", "x"],
        };
        arguments.push(option);
        arguments.push(one_of(random, value));
    }
    // Enough for all, so that the reply does not depend on how the server walks.
    arguments.extend([b"COUNT".to_vec(), b"1000".to_vec()]);
    arguments.insert(0, b"SSCAN".into());
    arguments
}

#[test]
fn sets() {
    compare("sets", generate);
}

#[test]
fn lines_about_sets() {
    compare_lines(&[
        "SADD a 3 1 2",
        "SRANDMEMBER a 5",
        "SRANDMEMBER nothing 1",
        "SPOP nothing 1",
        "SPOP nothing",
        "SPOP a -1",
        "SPOP a x",
        "SPOP a 1 2",
        "SMOVE nothing a 1",
        "SET s 1",
        "SMOVE nothing s 1",
        "SMOVE a s 9",
        "SINTER nothing s",
        "SINTERCARD 1 a LIMIT",
        "SINTERCARD 1 a LIMIT x",
        "SINTERCARD 3 a a",
        "SADD b 1 x",
        "EXPIRE b 100",
        "SDIFFSTORE b a nothing",
        "SSCAN a 7 COUNT 1",
        "SUNIONSTORE s nothing",
        "EXISTS s",
    ]);
}
