use fastrand::Rng;

use super::{
    compare, compare_lines,
    words::{command, key, one_of, pick},
};

/// BITCOUNT and BITPOS of a key that does not exist, or is of another type, read their arguments first since
/// Redis 7.4. The installed server may be older, so their arguments are valid here.
pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    let key = |random: &mut Rng| key(random, "s");
    match random.u8(0..20) {
        0 => {
            let bytes: Vec<u8> = (0..random.u8(0..6))
                .map(|_| [0, 255, random.u8(..)][random.usize(0..3)])
                .collect();
            let arguments = vec![key(random), bytes];
            command(random, "SET", arguments)
        }
        1..5 => {
            let bit = one_of(random, &["0", "1", "1", "2", "x", ""]);
            let arguments = vec![key(random), offset(random), bit];
            command(random, "SETBIT", arguments)
        }
        5 | 6 => {
            let arguments = vec![key(random), offset(random)];
            command(random, "GETBIT", arguments)
        }
        7..10 => {
            let mut words = vec!["BITCOUNT".into(), key(random)];
            if random.bool() {
                words.extend([position(random), position(random)]);
                if random.bool() {
                    words.push(one_of(random, &["BIT", "byte"]));
                }
            }
            words
        }
        10..13 => {
            let mut words = vec!["BITPOS".into(), key(random), one_of(random, &["0", "1"])];
            words.extend([position(random), position(random)]);
            words.push(one_of(random, &["BIT", "byte"]));
            words.truncate(random.usize(3..7));
            words
        }
        13..16 => {
            let operation = one_of(random, &["AND", "or", "XOR", "NOT", "NOT", "DIFFER"]);
            let mut arguments = vec![operation, key(random), key(random)];
            for _ in 0..random.u8(0..3) {
                arguments.push(key(random));
            }
            command(random, "BITOP", arguments)
        }
        _ => {
            let name = pick(random, &["BITFIELD", "BITFIELD", "BITFIELD_RO"]);
            let mut arguments = vec![key(random)];
            for _ in 0..random.u8(0..4) {
                arguments.extend(step(random, name == "BITFIELD_RO"));
            }
            command(random, name, arguments)
        }
    }
}

fn step(random: &mut Rng, reads: bool) -> Vec<Vec<u8>> {
    let names = ["GET", "SET", "INCRBY", "OVERFLOW"];
    let name = if reads && random.u8(0..8) > 0 {
        "GET"
    } else {
        pick(random, &names)
    };
    if name == "OVERFLOW" {
        let kind = one_of(random, &["WRAP", "sat", "FAIL", "SAT", "FAIL", "nonsense"]);
        return vec![name.into(), kind];
    }
    let kinds = [
        "u1", "i1", "u8", "i8", "u5", "i13", "u63", "i64", "u64", "i65", "u0", "x8",
    ];
    let count = if random.u8(0..10) == 0 {
        kinds.len()
    } else {
        8
    };
    let kind = one_of(random, &kinds[..count]);
    let mut words = vec![name.into(), kind, field_offset(random)];
    if name != "GET" {
        words.push(amount(random));
    }
    words
}

fn amount(random: &mut Rng) -> Vec<u8> {
    let odd = ["9223372036854775807", "-9223372036854775808", "x"];
    match random.u8(0..8) {
        0 => one_of(random, &odd),
        _ => random.i32(-300..300).to_string().into_bytes(),
    }
}

fn field_offset(random: &mut Rng) -> Vec<u8> {
    if random.bool() {
        return format!("#{}", random.u8(0..4)).into_bytes();
    }
    offset(random)
}

fn offset(random: &mut Rng) -> Vec<u8> {
    let odd = ["-1", "x", "4294967296", "#", "9223372036854775807"];
    match random.u8(0..20) {
        0 => one_of(random, &odd),
        _ => random.u8(0..50).to_string().into_bytes(),
    }
}

fn position(random: &mut Rng) -> Vec<u8> {
    random.i32(-50..50).to_string().into_bytes()
}

#[test]
fn bits() {
    compare("bits", generate);
}

#[test]
fn lines_about_bits() {
    compare_lines(&[
        "SET a foobar",
        "BITCOUNT a x 1",
        "BITCOUNT a 1 x nonsense",
        "BITCOUNT a 1 2 nonsense",
        "BITCOUNT a 1",
        "BITCOUNT a 1 2 BIT BIT",
        "BITCOUNT a -9223372036854775808 9223372036854775807",
        "BITPOS a 2",
        "BITPOS a x",
        "BITPOS a 1 x",
        "BITPOS a 1 0 x nonsense",
        "BITPOS a 1 0 1 nonsense",
        "BITPOS a 1 0 1 BIT BIT",
        "SET e ",
        "BITPOS e 0",
        "BITOP NOT e e",
        "BITFIELD f OVERFLOW SAT SET i13 13 -9223372036854775808 SET i64 64 -9223372036854775808",
        "BITFIELD a GET u8 #9223372036854775807",
    ]);
}
