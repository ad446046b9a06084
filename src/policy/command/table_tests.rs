//! Goal: every command has been reviewed, and has the place that the review expects. Method: the lists of
//! reviewed commands are compared with the rules, and with the flags of a real server. A command of the
//! server that is on no list is an error.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Block, Class as Parsed, Effect, Place, Refusal,
    reviewed_tests::{
        BLOCKING, Class, FLAGGED_AS_WRITES, HARMFUL, HARMLESS, LOOKS_AT_THE_SERVER, REVIEWED,
    },
};
use crate::common::{RedisServer, older_than, resp::Reply};

/// The expected rules for a class: its place for a handle, its refusal on a lease, its effect, and whether it
/// may run twice.
struct Expected {
    place: Place,
    on_lease: Option<Refusal>,
    effect: Effect,
    only_reads: bool,
}

fn expected(class: Class) -> Expected {
    let shared = Expected {
        place: Place::Shared,
        on_lease: None,
        effect: Effect::Nothing,
        only_reads: false,
    };
    let refused = |refusal, effect| Expected {
        place: Place::Refused(refusal),
        effect,
        ..shared
    };
    match class {
        Class::Reads => Expected {
            only_reads: true,
            ..shared
        },
        Class::Writes | Class::Other => shared,
        Class::Blocks => Expected {
            place: Place::Leased(Block::Forever),
            ..shared
        },
        Class::Watches => refused(Refusal::Session, Effect::Watches),
        Class::Queues => refused(Refusal::Session, Effect::Queues),
        Class::EndsTransaction => refused(Refusal::Session, Effect::EndsTransaction),
        Class::Session => refused(Refusal::Session, Effect::Lasting),
        Class::Subscription => refused(Refusal::Subscription, Effect::Lasting),
        Class::Stream => Expected {
            on_lease: Some(Refusal::Replies),
            ..refused(Refusal::Replies, Effect::Lasting)
        },
        Class::Administrative => Expected {
            on_lease: Some(Refusal::Administrative),
            ..refused(Refusal::Administrative, Effect::Nothing)
        },
    }
}

/// Every reviewed command by its name, with its class and its words.
fn reviewed() -> BTreeMap<&'static str, (Class, Vec<&'static str>)> {
    let listed = REVIEWED
        .iter()
        .flat_map(|(class, names)| names.split_whitespace().map(move |name| (*class, name)))
        .map(|(class, name)| (name, (class, name.split('|').collect())));
    let blocking = BLOCKING.iter().map(|command| {
        let words: Vec<_> = command.split(' ').collect();
        (words[0], (Class::Blocks, words))
    });
    let mut table = BTreeMap::new();
    for (name, row) in listed.chain(blocking) {
        assert!(table.insert(name, row).is_none(), "{name} is listed twice");
    }
    table
}

/// The words in lower, upper and mixed case.
fn spellings(words: &[&str]) -> [Vec<String>; 3] {
    let mixed = |word: &&str| {
        let change = |(at, c): (usize, char)| match at % 2 {
            0 => c.to_ascii_uppercase(),
            _ => c.to_ascii_lowercase(),
        };
        word.char_indices().map(change).collect()
    };
    [
        words.iter().map(|word| word.to_ascii_lowercase()).collect(),
        words.iter().map(|word| word.to_ascii_uppercase()).collect(),
        words.iter().map(mixed).collect(),
    ]
}

#[test]
fn every_reviewed_command_has_its_expected_place_and_effect() {
    for (class, words) in reviewed().into_values() {
        let expected = expected(class);
        let administers = class == Class::Administrative;
        for words in spellings(&words) {
            let parsed = Parsed::of(words.iter().map(String::as_bytes));
            assert_ne!(parsed, Parsed::Unknown, "{words:?}");
            assert_eq!(parsed.place(false), expected.place, "{words:?}");
            assert_eq!(
                parsed.refusal_on_lease(false),
                expected.on_lease,
                "{words:?}"
            );
            let permitted = if administers {
                (Place::Shared, None)
            } else {
                (expected.place, expected.on_lease)
            };
            let with_permission = (parsed.place(true), parsed.refusal_on_lease(true));
            assert_eq!(with_permission, permitted, "{words:?}");
            assert_eq!(parsed.effect(), expected.effect, "{words:?}");
            assert_eq!(parsed.only_reads(), expected.only_reads, "{words:?}");
        }
    }
}

#[test]
fn arguments_do_not_change_the_class_of_a_plain_name() {
    let table = reviewed();
    let families: BTreeSet<_> = table
        .keys()
        .filter_map(|name| name.split_once('|'))
        .collect();
    let is_family = |name| families.iter().any(|(family, _)| *family == name);
    for (name, (class, words)) in &table {
        if is_family(*name) || *class == Class::Blocks {
            continue;
        }
        let more = words.iter().copied().chain(["BLOCK", "0", "REPLY"]);
        let more = more.map(str::as_bytes);
        let expected = expected(*class);
        let parsed = Parsed::of(more);
        assert_eq!(parsed.place(false), expected.place, "{name}");
        assert_eq!(parsed.effect(), expected.effect, "{name}");
    }
}

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
        let writes = flagged("write");
        // The flags of modules are less strict.
        if name.contains('.') {
            assert!(!blocks || *class == Class::Blocks, "{}", explain());
            let only_reads = *class == Class::Reads && !among(FLAGGED_AS_WRITES);
            assert!(!writes || !only_reads, "{}", explain());
            continue;
        }
        assert_eq!(blocks, *class == Class::Blocks, "{}", explain());

        let mut looking = LOOKS_AT_THE_SERVER.split_whitespace();
        let looks = looking.any(|listed| listed == name);
        let reads = flagged("readonly") && name != "xread" || looks;
        assert_eq!(reads, *class == Class::Reads, "{}", explain());

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

#[test]
fn exceptions_have_the_classes_that_they_claim() {
    let table = reviewed();
    for (name, _) in HARMLESS {
        let class = table[name].0;
        assert!(matches!(class, Class::Other | Class::Reads), "{name}");
    }
    for (name, _) in HARMFUL {
        assert_eq!(table[name].0, Class::Administrative, "{name}");
    }
}

/// The flags of every command and every member of a family that a real server lists.
fn commands_of_the_server() -> BTreeMap<String, Vec<String>> {
    let server = RedisServer::start();
    let mut found = BTreeMap::new();
    collect(server.command(&["COMMAND"]), &mut found);
    found
}

/// Collects the flags. A description is a list: name, arity, flags, three key positions, and since 7.0
/// categories, tips, keys, and the descriptions of the members. Modules may write their names in capitals.
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
