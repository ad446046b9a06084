//! Rights of users. `ACL DRYRUN` tells what a user may do without doing it.

use fastrand::Rng;
use redis::Value;

use super::{compare_sequences, pair::Pair};
use crate::memory::{commands, keys::COUNTED, signature::Signature};

/// Users with rights to some keys, and to some commands.
const USERS: [(&str, &str); 6] = [
    ("keys", "on nopass +@all %R~r* %W~w* ~b*"),
    (
        "parts",
        "on nopass +@all %R~r* (%W~w* +@write) (~b* +@read)",
    ),
    (
        "reader",
        "on nopass allkeys +@read -@dangerous +@connection -keys",
    ),
    (
        "writer",
        "on nopass allkeys -@all +@write +@fast -@set +client|id",
    ),
    (
        "channels",
        "on nopass allkeys +@all -@admin &r* &w1 -config +config|get",
    ),
    ("nothing", "on nopass"),
];

const NAMES: [&str; 5] = ["r1", "w1", "b1", "z1", "r*"];

/// Options that change how keys are used.
const OPTIONS: [&str; 7] = [
    "GET",
    "SET",
    "INCRBY",
    "OVERFLOW",
    "STORE",
    "STOREDIST",
    "NX",
];

/// A command of the table with names in the place of its arguments.
fn request(random: &mut Rng) -> Vec<Vec<u8>> {
    let table = commands::table();
    let command = &table.all()[random.usize(..table.all().len())];
    let mut request: Vec<Vec<u8>> = command
        .name
        .split('|')
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let least = command.arity.unsigned_abs() as usize;
    // Half of what follows STREAMS are keys. The source of PFMERGE is a key that Redis 7.0 overlooks without others.
    let length = match command.name {
        "xread" | "xreadgroup" => least,
        "pfmerge" => least + 1,
        _ if command.arity < 0 => random.usize(least..=least + 4),
        _ => least,
    };
    while request.len() < length {
        request.push(argument(command, request.len(), random));
    }
    request
}

fn argument(command: &Signature, position: usize, random: &mut Rng) -> Vec<u8> {
    let is_count = |(name, at): &(&str, usize)| *name == command.name && *at == position;
    if COUNTED.iter().any(is_count) {
        return b"1".to_vec();
    }
    let is_read = matches!(command.name, "xread" | "xreadgroup");
    let words = match position {
        _ if is_read && position + 3 == command.arity.unsigned_abs() as usize => &["STREAMS"][..],
        0..2 => &NAMES[..],
        _ if random.bool() => &NAMES[..],
        _ => &OPTIONS[..],
    };
    words[random.usize(..words.len())].as_bytes().to_vec()
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// What a reply of DRYRUN says: whether the user may, and if not, whether it is for the command.
fn verdict(reply: &Value) -> String {
    let text = match reply {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => return format!("{other:?}"),
    };
    // Redis 7.2 has put the user's name in the place of "This user".
    let (_, denied) = text.split_once(" has no ").unwrap_or(("", &text));
    denied.to_owned()
}

#[test]
fn users_may_do_the_same() {
    compare_sequences("acl", 4, |pair, random| {
        pair.begin("3");
        for (name, rules) in USERS {
            pair.check(&words(&format!("ACL SETUSER {name} reset {rules}")));
        }
        for _ in 0..1500 {
            let request = request(random);
            let (name, _) = USERS[random.usize(..USERS.len())];
            let dryrun = [words(&format!("ACL DRYRUN {name}")), request].concat();
            let (real, embedded) = pair.ask(&dryrun);
            // A newer command, or one whose arguments Redis 7.0 knows otherwise.
            let real = verdict(&real);
            if real.contains("not found") || real.contains("wrong number of arguments") {
                continue;
            }
            assert_eq!(real, verdict(&embedded), "{}", pair.history());
        }
    });
}

#[test]
fn lines_about_rights() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    pair.begin("2");
    for (name, rules) in USERS {
        pair.check(&words(&format!("ACL SETUSER {name} reset {rules}")));
    }
    for (name, rules) in [
        ("category", "on nopass allkeys +select|1 -@connection"),
        ("later", "on nopass allkeys -@connection +select|1"),
        ("twice", "on nopass allkeys +select|1 +select|1 -select"),
    ] {
        pair.check(&words(&format!("ACL SETUSER {name} {rules}")));
    }
    for line in [
        "category SELECT 1",
        "later SELECT 1",
        "later SELECT 2",
        "twice SELECT 1",
        "keys SET w1 GET",
        "keys SET w1 1 GET",
        "keys SET w1 1 NX GET",
        "keys SET b1 GET GET",
        "keys BITFIELD r1 GET u8 0",
        "keys BITFIELD r1 OVERFLOW WRAP GET u8 0",
        "keys BITFIELD r1 GET u8 0 OVERFLOW SAT",
        "keys BITFIELD r1 OVERFLOW SAT",
        "keys BITFIELD r1 OVERFLOW",
        "keys BITFIELD r1 GET u8",
        "keys BITFIELD r1 GET u8 0 GET",
        "keys BITFIELD r1 OVERFLOW GET GET u8 0",
        "keys BITFIELD r1 OVERFLOW WRAP SET u8 0 1",
        "keys BITFIELD r1 NX",
        "keys BITFIELD w1 SET u8 0 1",
        "keys SORT b1 GET STORE z1",
        "keys SORT b1 BY STORE STORE w1",
        "keys SORT b1 LIMIT STORE STORE z1",
        "keys SORT b1 LIMIT STORE z1",
        "keys SORT r1 STORE z1 STORE w1",
        "keys SORT r1 STORE STORE z1",
        "keys SORT r1 STORE",
        "keys GEORADIUS r1 0 0 1 m STORE z1 STOREDIST w1",
        "keys GEORADIUS r1 0 0 1 m STOREDIST w1 STORE z1",
        "keys GEORADIUS r1 0 0 1 STORE z1",
        "keys GEORADIUS r1 0 0 1 m STORE STOREDIST w1",
        "keys GEORADIUSBYMEMBER r1 a 1 m STORE w1 STORE",
        "keys GEORADIUSBYMEMBER r1 a 1 m STORE z1",
    ] {
        let (real, embedded) = pair.ask(&words(&format!("ACL DRYRUN {line}")));
        assert_eq!(verdict(&real), verdict(&embedded), "{}", pair.history());
    }
}

#[test]
fn rules_are_refused_alike() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    pair.begin("2");
    for line in [
        "ACL SETUSER u +",
        "ACL SETUSER u +nope",
        "ACL SETUSER u +@nope",
        "ACL SETUSER u -@",
        "ACL SETUSER u (+get",
        "ACL SETUSER u ()",
        "ACL SETUSER u (+get ~a)",
        "ACL SETUSER u (+nope)",
        "ACL SETUSER u (on)",
        "ACL SETUSER u #12",
        "ACL SETUSER u !12",
        "ACL SETUSER u <nope",
        "ACL SETUSER u allkeys ~x",
        "ACL SETUSER u %RW~x %X~x",
        "ACL SETUSER u %~x",
        "ACL SETUSER u %RR~x",
        "ACL SETUSER u allchannels &x",
        "ACL SETUSER u +config|get|x",
        "ACL SETUSER u +config|nope",
        "ACL SETUSER u +get|x",
        "ACL SETUSER u +get|",
        "ACL SETUSER u -get|x",
        "ACL SETUSER u -client|id -shutdown +replicaof -debug -cluster",
        "ACL SETUSER u foo",
        "ACL SETUSER u",
        "ACL DELUSER default",
        "ACL DELUSER u nobody",
        "ACL GETUSER nobody",
        "ACL USERS",
        "ACL CAT",
        "ACL CAT nope",
        "ACL CAT a b",
        "ACL GENPASS 0",
        "ACL GENPASS x",
        "ACL GENPASS 5000",
        "ACL GENPASS 1 2",
        "ACL LOG x",
        "ACL LOG 1 2",
        "ACL LOG RESET",
        "ACL LOG",
        "ACL LOAD",
        "ACL SAVE",
        "ACL DRYRUN nobody get a",
        "ACL DRYRUN default nope",
        "ACL DRYRUN default get",
        "ACL DRYRUN default get a",
        "ACL WHOAMI",
        "ACL nope",
        "ACL HELP",
    ] {
        pair.check(&words(line));
    }
}
