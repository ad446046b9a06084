//! Goal: every command of a real server is reviewed, and the review agrees with the server's own flags.
//! Method: the lists of reviewed commands are compared with the reply to COMMAND. A command of the server
//! that is on no list is an error.

use std::collections::BTreeMap;

use crate::{
    common::{RedisServer, older_than, resp::Reply},
    lists::{Class, HARMFUL, HARMLESS, LOOKS_AT_THE_SERVER, reviewed},
};

/// A module flags them `write`, although they only read.
const FLAGGED_AS_WRITES: &[(&str, &str)] = &[(
    "topk.count",
    "it reads a counter; only Redis Stack 7.4 flags it so",
)];

#[test]
fn every_command_of_the_server_is_reviewed() {
    let table = reviewed();
    let listed = commands_of_the_server();
    assert!(listed.len() >= 200, "{}", listed.len());
    let unknown: Vec<_> = listed
        .keys()
        .filter(|name| !table.contains_key(name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "the server has commands that are not reviewed; decide their class, and add them to a list: \
         {unknown:?}"
    );
}

#[test]
fn the_flags_of_the_server_agree() {
    if older_than(
        7,
        0,
        "the flag `blocking`, and flags of each member of a family,",
    ) {
        return;
    }
    let table = reviewed();
    for (name, flags) in commands_of_the_server() {
        let Some((class, _)) = table.get(name.as_str()) else {
            continue;
        };
        let flagged = |flag: &str| flags.iter().any(|given| given == flag);
        let among = |exceptions: &[(&str, &str)]| exceptions.iter().any(|row| row.0 == name);
        let explain = || format!("{name} is {class:?}, and the server says {flags:?}");

        // WAIT has the flag since 7.2 only.
        let blocks = flagged("blocking") || name == "wait";
        let is_blocking = [Class::Blocks, Class::BlocksReading].contains(class);
        let writes = flagged("write");
        // The flags of modules are less strict.
        if name.contains('.') {
            assert!(!blocks || is_blocking, "{}", explain());
            let only_reads = *class == Class::Reads && !among(FLAGGED_AS_WRITES);
            assert!(!writes || !only_reads, "{}", explain());
            continue;
        }
        assert_eq!(blocks, is_blocking, "{}", explain());

        let mut looking = LOOKS_AT_THE_SERVER.split_whitespace();
        let looks = looking.any(|listed| listed == name);
        let reads = flagged("readonly") || looks;
        let is_read = [Class::Reads, Class::BlocksReading].contains(class);
        assert_eq!(reads, is_read, "{}", explain());

        let may_write = [
            Class::Writes,
            Class::Blocks,
            Class::Administrative,
            Class::Session,
        ];
        assert!(!writes || may_write.contains(class), "{}", explain());
        assert!(writes || *class != Class::Writes, "{}", explain());

        let publishes = ["publish", "spublish"].contains(&name.as_str());
        let asks = name.starts_with("pubsub|");
        let subscribes = flagged("pubsub") && !publishes && !asks;
        assert_eq!(subscribes, *class == Class::Subscription, "{}", explain());

        // CLIENT NO-EVICT changes the session, although the server only flags it `admin`.
        let is_refused = [Class::Administrative, Class::Stream].contains(class);
        let is_refused = is_refused || name == "client|no-evict";
        if flagged("admin") {
            assert_ne!(is_refused, among(HARMLESS), "{}", explain());
        } else if *class == Class::Administrative {
            assert!(among(HARMFUL), "{}", explain());
        }
    }
}

/// The flags of every command and every member of a family that a real server lists.
fn commands_of_the_server() -> BTreeMap<String, Vec<String>> {
    let server = RedisServer::start();
    let mut found = BTreeMap::new();
    collect(server.command(&["COMMAND"]), &mut found);
    found
}

/// Collects the flags. A description is a list: name, arity, flags, three key positions, since 6.0
/// categories, and since 7.0 tips, keys, and the descriptions of the members. Modules may write their names in capitals.
fn collect(descriptions: Reply, found: &mut BTreeMap<String, Vec<String>>) {
    let list = |reply: Reply| match reply {
        Reply::Array(items) => items,
        other => panic!("not a list: {other:?}"),
    };
    for description in list(descriptions) {
        let fields = list(description);
        let flags = list(fields[2].clone());
        let flags = flags.iter().map(ToString::to_string).collect();
        found.insert(fields[0].to_string().to_ascii_lowercase(), flags);
        if let Some(members) = fields.get(9) {
            collect(members.clone(), found);
        }
    }
}
