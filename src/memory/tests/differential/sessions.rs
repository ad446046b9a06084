//! Sessions of one client: logins, transactions, subscriptions, and commands about the server.

use fastrand::Rng;
use redis::Value;

use super::{
    SEQUENCES, compare_sequences,
    pair::{Pair, shown},
    words::{command, integer, key, one_of, pick, value},
};
use crate::memory::commands;

fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    match random.u8(0..24) {
        0..6 => {
            let name = pick(
                random,
                &["MULTI", "EXEC", "EXEC", "DISCARD", "UNWATCH", "RESET"],
            );
            {
                let rest = odd_rest(random);
                command(random, name, rest)
            }
        }
        6 | 7 => {
            let arguments = vec![key(random, "s"), key(random, "s")];
            command(random, "WATCH", arguments)
        }
        8 | 9 => {
            let name = pick(random, &["SET", "APPEND", "GETSET"]);
            let arguments = vec![key(random, "s"), value(random)];
            command(random, name, arguments)
        }
        10 => {
            let name = pick(random, &["GET", "INCR", "DEL", "TYPE"]);
            let arguments = vec![key(random, "s")];
            command(random, name, arguments)
        }
        11 => {
            let name = pick(
                random,
                &[
                    "SUBSCRIBE",
                    "PSUBSCRIBE",
                    "SSUBSCRIBE",
                    "UNSUBSCRIBE",
                    "SUNSUBSCRIBE",
                ],
            );
            let channels = vec![channel(random), channel(random)];
            command(random, name, channels)
        }
        12 => {
            let name = pick(random, &["UNSUBSCRIBE", "SUNSUBSCRIBE", "PUNSUBSCRIBE"]);
            let channels = vec![channel(random)];
            command(random, name, channels)
        }
        13 | 14 => {
            let name = pick(random, &["PUBLISH", "PUBLISH", "SPUBLISH"]);
            let arguments = vec![channel(random), value(random)];
            command(random, name, arguments)
        }
        15 => {
            let subcommand = pick(random, &["NUMSUB", "SHARDNUMSUB", "NUMPAT", "nonsense"]);
            let arguments = vec![subcommand.into(), channel(random)];
            command(random, "PUBSUB", arguments)
        }
        16 => words(pick(
            random,
            &[
                "HELLO x",
                "HELLO 1",
                "HELLO 03",
                "HELLO 2 nonsense",
                "HELLO 3 SETNAME",
                "HELLO 3 SETNAME \n",
                "HELLO 3 AUTH default",
                "HELLO 3 AUTH bob x",
            ],
        )),
        17 => {
            let user = one_of(random, &["default", "bob", ""]);
            let mut arguments = vec![user, value(random)];
            if random.bool() {
                arguments.remove(0);
            }
            command(random, "AUTH", arguments)
        }
        18 => {
            let name = pick(random, &["PING", "ECHO", "SELECT"]);
            let arguments = vec![integer(random)];
            command(random, name, arguments)
        }
        19 => {
            let rest = odd_rest(random);
            command(random, "PING", rest)
        }
        20 => client(random),
        21 => server(random),
        22 => {
            let name = pick(random, &["nonsense", "", "client", "config", "get"]);
            {
                let rest = odd_rest(random);
                command(random, name, rest)
            }
        }
        _ => getkeys(random),
    }
}

fn odd_rest(random: &mut Rng) -> Vec<Vec<u8>> {
    let is_odd = random.u8(0..20) == 0;
    if is_odd {
        vec![value(random)]
    } else {
        Vec::new()
    }
}

/// Few channels, so that a client meets its own messages.
fn channel(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["a", "b", "a*"])
}

fn client(random: &mut Rng) -> Vec<Vec<u8>> {
    let line = pick(
        random,
        &[
            "GETNAME",
            "SETNAME me",
            "SETNAME ",
            "SETNAME \n",
            "NO-EVICT ON",
            "NO-EVICT x",
            "GETREDIR",
            "TRACKINGINFO",
            "REPLY ON",
            "REPLY x",
            "LIST x",
            "LIST TYPE x",
            "LIST TYPE master",
            "LIST ID x",
            "LIST ID 999999",
            "KILL x",
            "KILL ID 0",
            "KILL ID x",
            "KILL ID 99999",
            "KILL USER bob",
            "KILL SKIPME x",
            "KILL TYPE x",
            "KILL TYPE master SKIPME no",
            "KILL ADDR",
            "KILL ADDR x LADDR",
            "UNBLOCK x",
            "UNBLOCK 99999",
            "UNBLOCK 99999 x",
            "UNBLOCK 99999 error",
            "PAUSE x",
            "PAUSE x y",
            "PAUSE -1",
            "UNPAUSE",
            "nonsense",
            "ID x",
        ],
    );
    words(&format!("CLIENT {line}"))
}

fn server(random: &mut Rng) -> Vec<Vec<u8>> {
    let line = pick(
        random,
        &[
            "CONFIG SET maxmemory abc",
            "CONFIG SET maxmemory 0",
            "CONFIG SET maxmemory -1",
            "CONFIG SET maxmemory 0 nonsense 1",
            "CONFIG SET maxmemory 0 maxmemory 0",
            "CONFIG SET maxmemory",
            "CONFIG SET maxmemory 0 x",
            "CONFIG SET databases 3",
            "CONFIG SET maxclients 0",
            "CONFIG SET maxclients x",
            "CONFIG SET maxmemory-policy allkeys-lru",
            "CONFIG SET MAXMEMORY-policy noeviction",
            "CONFIG GET databases",
            "CONFIG GET MAXMEMORY-P*y",
            "CONFIG GET nonsense",
            "CONFIG GET",
            "CONFIG RESETSTAT",
            "CONFIG RESETSTAT x",
            "CONFIG nonsense",
            "SLOWLOG GET x",
            "SLOWLOG GET -2",
            "SLOWLOG GET 1 2",
            "SLOWLOG RESET",
            "SLOWLOG LEN x",
            "MEMORY USAGE nokey",
            "MEMORY USAGE nokey x",
            "MEMORY USAGE s0 SAMPLES",
            "MEMORY USAGE s0 SAMPLES x",
            "MEMORY USAGE",
            "ACL WHOAMI",
            "ACL WHOAMI x",
            "ROLE",
            "ROLE x",
            "WAIT x 1",
            "WAIT 0 x",
            "WAIT 0 -1",
            "WAIT 0 0",
            "WAIT -1 5",
            "INFO nonsense",
            "COMMAND INFO nonsense client|nonsense",
            "COMMAND LIST FILTERBY",
            "COMMAND LIST FILTERBY x y",
            "COMMAND LIST FILTERBY MODULE y",
            "COMMAND nonsense",
            "CONFIG REWRITE",
            "MEMORY PURGE",
            "MODULE LIST",
            "LATENCY LATEST",
            "LATENCY LATEST x",
            "LATENCY HISTORY x",
            "LATENCY GRAPH x",
            "LATENCY RESET x",
            "CLUSTER INFO",
            "CLUSTER SLOTS x",
            "CLUSTER HELP",
            "CLUSTER nonsense",
            "READONLY",
            "READWRITE",
            "ASKING",
        ],
    );
    words(line)
}

/// No more than ten words: Redis disconnects a client that sends more before its login.
fn getkeys(random: &mut Rng) -> Vec<Vec<u8>> {
    let line = pick(
        random,
        &[
            "GET a",
            "GET",
            "GET a b",
            "MSET a b c d",
            "MSET a b c",
            "DEL a b c",
            "LCS a b",
            "GEORADIUS a 1 2 3 m STORE b",
            "GEORADIUSBYMEMBER a STORE 3 m COUNT STORE",
            "PING a",
            "nonsense a",
            "WATCH a b",
            "MEMORY USAGE a",
            "CLIENT ID",
            "CLIENT nonsense",
        ],
    );
    words(&format!("COMMAND GETKEYS {line}"))
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// Compares replies byte by byte: a subscriber gets several at once.
fn compare(first: &[&str], generate: impl Fn(&mut Rng) -> Vec<Vec<u8>>) {
    compare_sequences("sessions", SEQUENCES, |pair, random| {
        pair.check_bytes(&words("RESET"));
        if random.bool() {
            pair.ask(&words("HELLO 3"));
        }
        for line in first {
            pair.check_bytes(&words(line));
        }
        for _ in 0..60 {
            pair.check_bytes(&generate(random));
        }
        pair.check_bytes(&words("RESET"));
    });
}

#[test]
fn sessions() {
    compare(&[], generate);
}

#[test]
fn logins() {
    compare(
        &["CONFIG SET requirepass b", "RESET"],
        |random| match random.u8(0..12) {
            0 => words(pick(
                random,
                &["AUTH b", "AUTH default b", "AUTH x b", "AUTH a"],
            )),
            1 => words(pick(
                random,
                &[
                    "HELLO x",
                    "HELLO 3 AUTH x b",
                    "HELLO 3 AUTH default a",
                    "HELLO 2 SETNAME",
                    "HELLO 9",
                ],
            )),
            2 => words("CONFIG SET requirepass b"),
            3 => words("ACL WHOAMI"),
            4 => words("CONFIG GET requirepass"),
            _ => generate(random),
        },
    );
}

#[test]
fn lines_about_sessions() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    for line in [
        "EXEC x",
        "MULTI",
        "EXEC x",
        "EXEC",
        "MULTI",
        "WATCH a",
        "MULTI",
        "CLIENT nonsense",
        "EXEC",
        "MULTI",
        "SUBSCRIBE a b",
        "SET a 1",
        "EXEC",
        "UNSUBSCRIBE a b",
        "HELLO x",
        "HELLO 4",
        "HELLO 3 AUTH a",
        "HELLO 3 nonsense",
        "HELLO 3 SETNAME a\u{e4}",
        "SELECT 99999999999",
    ] {
        pair.check_bytes(&words(line));
    }
}

/// Compares what COMMAND says of the commands that both have.
#[test]
fn table() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let mut differences = Vec::new();
    for command in commands::table().all() {
        // Of a container, subcommands that a server lacks are left out, too.
        let (real, embedded) = pair.ask(&words(&format!("COMMAND INFO {}", command.name)));
        // Redis 7.2 has given these an option.
        let has_newer_option = matches!(command.name, "zrank" | "zrevrank");
        if let (Some(real), Some(embedded)) = (about(&real), about(&embedded))
            && real != embedded
            && !has_newer_option
        {
            differences.push(format!("real     {real:?}\nembedded {embedded:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// Name, arity, flags, positions of keys, categories and tips.
fn about(reply: &Value) -> Option<Vec<String>> {
    let Value::Array(commands) = reply else {
        return None;
    };
    let Some(Value::Array(parts)) = commands.first() else {
        return None;
    };
    let sorted = |part: &Value| match part {
        Value::Array(items) | Value::Set(items) => {
            let mut items: Vec<_> = items
                .iter()
                .map(shown)
                // Flags that the server has no use for.
                .filter(|item| {
                    !item.contains("no_mandatory_keys") && !item.contains("no_async_loading")
                })
                .collect();
            items.sort();
            items.join(" ")
        }
        other => shown(other),
    };
    Some(parts.iter().take(8).map(sorted).collect())
}
