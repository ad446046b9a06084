use fastrand::Rng;

use super::{
    compare, compare_lines,
    words::{command, float, integer, key, one_of, pick, value},
};

pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    let key = |random: &mut Rng| key(random, "s");
    match random.u8(0..22) {
        0..3 => {
            let mut arguments = vec![key(random), value(random)];
            for _ in 0..random.u8(0..3) {
                let option = one_of(
                    random,
                    &["NX", "XX", "GET", "KEEPTTL", "EX", "PX", "PXAT", "nonsense"],
                );
                let takes_time = matches!(&option[..], b"EX" | b"PX" | b"PXAT");
                arguments.push(option);
                if takes_time {
                    arguments.push(one_of(
                        random,
                        &["100000", "0", "-1", "x", "9223372036854775807"],
                    ));
                }
            }
            command(random, "SET", arguments)
        }
        3 => {
            let arguments = vec![key(random)];
            let name = pick(
                random,
                &["GET", "GETDEL", "STRLEN", "INCR", "DECR", "GETEX"],
            );
            command(random, name, arguments)
        }
        4 => {
            // A time in milliseconds would pass between the two servers.
            let option = one_of(random, &["PERSIST", "EX", "PXAT"]);
            let arguments = vec![key(random), option, integer(random)];
            command(random, "GETEX", arguments)
        }
        5 | 6 => {
            let name = pick(random, &["INCRBY", "DECRBY"]);
            let arguments = vec![key(random), integer(random)];
            command(random, name, arguments)
        }
        7 | 8 => {
            let arguments = vec![key(random), float(random)];
            command(random, "INCRBYFLOAT", arguments)
        }
        9 | 10 => {
            let name = pick(random, &["APPEND", "SETNX", "GETSET"]);
            let arguments = vec![key(random), value(random)];
            command(random, name, arguments)
        }
        11 | 12 => {
            let arguments = vec![key(random), integer(random), integer(random)];
            command(random, "GETRANGE", arguments)
        }
        13 => {
            let offset = one_of(random, &["0", "1", "5", "-1", "x", "600000000"]);
            let arguments = vec![key(random), offset, value(random)];
            command(random, "SETRANGE", arguments)
        }
        14 => {
            let arguments = vec![key(random), key(random), key(random)];
            command(random, "MGET", arguments)
        }
        15 | 16 => {
            let name = pick(random, &["MSET", "MSETNX"]);
            let arguments = vec![key(random), value(random), key(random), value(random)];
            command(random, name, arguments)
        }
        17 => {
            let name = pick(random, &["SETEX", "PSETEX"]);
            let time = one_of(random, &["100000", "0", "x"]);
            let arguments = vec![key(random), time, value(random)];
            command(random, name, arguments)
        }
        18 => {
            let mut arguments = vec![key(random), key(random)];
            for _ in 0..random.u8(0..3) {
                arguments.push(one_of(random, &["LEN", "IDX", "WITHMATCHLEN"]));
            }
            command(random, "LCS", arguments)
        }
        19 => vec![
            one_of(random, &["nonsense", "GET", "SET", "", "getx"]),
            value(random),
        ],
        _ => {
            let arguments = vec![key(random)];
            command(random, "GET", arguments)
        }
    }
}

#[test]
fn strings() {
    compare("strings", generate);
}

#[test]
fn lines_about_strings() {
    compare_lines(&[
        "SET a 1 EX 10 KEEPTTL",
        "SET a 10.50",
        "INCRBYFLOAT a 0.1",
        "INCRBYFLOAT a 5.0e3",
        "SETRANGE b 0 x",
        "LCS a b IDX",
    ]);
}
