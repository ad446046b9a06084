//! The commands on single fields' expiries, HGETDEL, HGETEX and HSETEX are newer than the real server.

use fastrand::Rng;

use super::{
    compare, compare_lines,
    words::{command, float, integer, key, one_of, pick, value},
};

/// The field of HINCRBYFLOAT, whose sums are long.
const FLOAT: &[u8] = b"f";

fn field(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..30) {
        0 => Vec::new(),
        1 => {
            b"a field that is longer than sixty-four bytes, so that its hash becomes a table".into()
        }
        _ => one_of(random, &["a", "b", "c", "d", "1", "f"]),
    }
}

fn fields(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = vec![key(random, "m")];
    for _ in 0..random.u8(0..4) {
        arguments.push(field(random));
    }
    arguments
}

pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    match random.u8(0..24) {
        0..5 => {
            let mut arguments = vec![key(random, "m")];
            for _ in 0..random.u8(0..4) {
                arguments.extend([field(random), value(random)]);
            }
            let name = pick(random, &["HSET", "HSET", "HMSET"]);
            command(random, name, arguments)
        }
        5 => {
            let arguments = vec![key(random, "m"), field(random), value(random)];
            command(random, "HSETNX", arguments)
        }
        6..10 => {
            let (key, field) = (key(random, "m"), field(random));
            let names: &[&str] = if field == FLOAT {
                &["HGET", "HEXISTS"]
            } else {
                &["HGET", "HEXISTS", "HSTRLEN"]
            };
            let name = pick(random, names);
            command(random, name, vec![key, field])
        }
        10 | 11 => {
            let arguments = fields(random);
            command(random, "HMGET", arguments)
        }
        12 | 13 => {
            let arguments = fields(random);
            command(random, "HDEL", arguments)
        }
        14 | 15 => {
            let arguments = vec![key(random, "m")];
            let name = pick(random, &["HGETALL", "HKEYS", "HVALS", "HLEN", "DEL"]);
            command(random, name, arguments)
        }
        16 | 17 => {
            let field = one_of(random, &["a", "b", "c", "1"]);
            let arguments = vec![key(random, "m"), field, integer(random)];
            command(random, "HINCRBY", arguments)
        }
        18 | 19 => {
            let arguments = vec![key(random, "m"), FLOAT.into(), float(random)];
            command(random, "HINCRBYFLOAT", arguments)
        }
        20 | 21 => sample(random),
        _ => scan(random),
    }
}

/// HRANDFIELD where the reply does not depend on chance: of all fields, or of none.
fn sample(random: &mut Rng) -> Vec<Vec<u8>> {
    let count = [
        "0",
        "100",
        "9223372036854775807",
        "4611686018427387903",
        "-9223372036854775807",
        "-9223372036854775808",
        "-9223372036854775809",
        "x",
        "",
        "1.5",
    ];
    let count = one_of(random, &count);
    // A negative count that is in range is huge.
    let option = match &count[..] {
        b"-9223372036854775807" => vec!["WITHVALUES"],
        _ => vec!["WITHVALUES", "withvalues", "nonsense", ""],
    };
    let mut arguments = vec![key(random, "m"), count];
    if arguments[1].starts_with(b"-") || random.bool() {
        arguments.push(one_of(random, &option));
    }
    arguments.insert(0, b"HRANDFIELD".into());
    arguments
}

fn scan(random: &mut Rng) -> Vec<Vec<u8>> {
    let cursor = one_of(random, &["0", "0", "0", "x", " 0", "0x1"]);
    let mut arguments = vec![key(random, "m"), cursor];
    for _ in 0..random.u8(0..3) {
        let option = one_of(random, &["MATCH", "COUNT", "match", "TYPE", "nonsense"]);
        let value: &[&str] = if option.eq_ignore_ascii_case(b"match") {
            &["*", "a", "[ab]", "?", "x*", ""]
        } else {
            &["100", "1000", "0", "-1", "x"]
        };
        arguments.push(option);
        arguments.push(one_of(random, value));
    }
    // Enough for all, so that the reply does not depend on how the server walks.
    arguments.extend([b"COUNT".to_vec(), b"1000".to_vec()]);
    arguments.insert(0, b"HSCAN".into());
    arguments
}

#[test]
fn hashes() {
    compare("hashes", generate);
}

#[test]
fn lines_about_hashes() {
    compare_lines(&[
        "HSET h a 1 b 2 c 3",
        "HRANDFIELD h 5 WITHVALUES",
        "HRANDFIELD h -9223372036854775807 WITHVALUES",
        "HRANDFIELD h 5 WITHVALUES x",
        "HRANDFIELD nothing",
        "HRANDFIELD nothing 1 x",
        "HSCAN nothing 0 nonsense",
        "HSCAN h 7 COUNT 1",
        "HSCAN h 0 COUNT 0",
        "HINCRBYFLOAT h a inf",
        "HSET h a inf",
        "HINCRBYFLOAT h a 1",
    ]);
}
