//! Goal: every command has been reviewed, and has the place that the review expects. Method: the lists of
//! reviewed commands are compared with the rules. The integration tests compare them with a real server.

use std::collections::BTreeSet;

use super::{
    Block, Class as Parsed, Effect, Place, Refusal,
    reviewed_tests::{Class, HARMFUL, HARMLESS, reviewed},
};

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
        Class::Blocks | Class::BlocksReading => Expected {
            place: Place::Leased(Block::Forever),
            only_reads: class == Class::BlocksReading,
            ..shared
        },
        Class::Watches => refused(Refusal::Session, Effect::Watches),
        Class::Queues => refused(Refusal::Session, Effect::Queues),
        Class::EndsTransaction => refused(Refusal::Session, Effect::EndsTransaction),
        Class::Unwatches => Expected {
            effect: Effect::EndsTransaction,
            ..shared
        },
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
        if is_family(*name) || matches!(class, Class::Blocks | Class::BlocksReading) {
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
