//! Goal: the keys of every command are found where the server finds them. Method: words that stand for many others, a real
//! server's descriptions of its commands, and its own answers for the same words.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    KeyRange, Upper, described_tests::of_the_server, key_patterns::Pattern, keys,
    reviewed_tests::reviewed,
};
use crate::common::{Reply, older_than};

/// One of each kind that is not a key, or keys, directly behind the name.
const SAMPLES: &[(&str, &str)] = &[
    ("GET k", "1"),
    ("get", ""),
    ("MGET a b c", "1 2 3"),
    ("MSET a 1 b 2", "1 3"),
    ("MSETNX a 1 b 2", "1 3"),
    ("MSETEX 2 a 1 b 2 EX 9", "2 4"),
    ("BITOP AND d a b", "2 3 4"),
    ("BLPOP a b 0", "1 2"),
    ("BRPOPLPUSH a b 0", "1 2"),
    ("BLMOVE a b LEFT LEFT 0", "1 2"),
    ("BLMPOP 0 2 a b LEFT", "3 4"),
    ("BZMPOP 0 2 a b MIN", "3 4"),
    ("LMPOP 2 a b LEFT", "2 3"),
    ("ZMPOP 1 a MIN", "2"),
    ("LCS a b LEN", "1 2"),
    ("SINTERCARD 2 a b LIMIT 1", "2 3"),
    ("ZINTERCARD 2 a b LIMIT 1", "2 3"),
    ("ZUNION 2 a b WITHSCORES", "2 3"),
    ("ZINTER 2 a b", "2 3"),
    ("ZDIFF 2 a b", "2 3"),
    ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "1 3 4"),
    ("ZINTERSTORE d 2 a b", "1 3 4"),
    ("ZDIFFSTORE d 2 a b", "1 3 4"),
    ("EVAL s 2 a b x", "3 4"),
    ("EVAL s 0 x", ""),
    ("EVAL s 3 a b", ""),
    ("EVAL s -1 a b", ""),
    ("EVAL s n a b", ""),
    ("EVALSHA s 1 a x", "3"),
    ("EVAL_RO s 1 a", "3"),
    ("EVALSHA_RO s 1 a", "3"),
    ("FCALL f 1 a x", "3"),
    ("FCALL_RO f 1 a x", "3"),
    ("XREAD STREAMS a b 0 0", "2 3"),
    ("XREAD COUNT 1 BLOCK 0 streams a 0", "6"),
    ("XREADGROUP GROUP g c COUNT 9 NOACK STREAMS a b > >", "8 9"),
    ("XREADGROUP GROUP STREAMS STREAMS STREAMS a >", "5"),
    ("SORT a BY nosort GET STORE LIMIT 0 1 STORE d", "1 10"),
    ("SORT a STORE b STORE c", "1 5"),
    ("SORT a", "1"),
    ("SORT_RO a BY x GET y", "1"),
    ("GEORADIUS a 0 0 1 m", "1"),
    ("GEORADIUS a 0 0 1 m ASC STORE d", "1 8"),
    ("GEORADIUS a 0 0 1 m COUNT 1 STOREDIST d", "1 9"),
    ("GEORADIUSBYMEMBER a x 1 m STORE d", "1 6"),
    ("MIGRATE h 1 k 0 9", "3"),
    ("MIGRATE h 1 k 0 9 COPY", "3"),
    ("XINFO STREAM a", "2"),
    ("XINFO HELP", ""),
    ("XGROUP CREATE a g $", "2"),
    ("OBJECT ENCODING a", "2"),
    ("MEMORY USAGE a", "2"),
    ("MEMORY STATS", ""),
    ("GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m", "1 2"),
    ("RENAME a b", "1 2"),
    ("SMOVE a b m", "1 2"),
    ("PFMERGE d a b", "1 2 3"),
    ("PING", ""),
    ("PUBLISH c m", ""),
    ("SCAN 0", ""),
];

/// Others, which `COMMAND GETKEYS` of servers does not know, or sees differently for a reason.
const SAMPLES_APART: &[(&str, &str)] = &[
    ("SPUBLISH c m", "1"),
    ("SSUBSCRIBE a b", "1 2"),
    ("DEBUG OBJECT a", "2"),
    ("DEBUG SLEEP 1", ""),
    ("STRALGO LCS KEYS a b LEN", "3 4"),
    ("STRALGO LCS STRINGS a b", ""),
    ("JSON.MGET a b $", "1 2"),
    ("JSON.MSET a $ 1 b $ 2", "1 4"),
    ("JSON.SET a $ 1", "1"),
    ("JSON.DEBUG MEMORY a", "2"),
    ("TS.MADD a 1 1 b 1 1", "1 4"),
    ("TS.CREATERULE a b AGGREGATION avg 1", "1 2"),
    ("TS.NRANGE 2 a b - +", "2 3"),
    ("TS.MGET FILTER a=b", ""),
    ("CMS.MERGE d 2 a b", "1 3 4"),
    ("TDIGEST.MERGE d 1 a", "1 3"),
    ("BF.ADD a x", "1"),
    ("FT.SEARCH i q", ""),
    ("FT.SUGADD a s 1", "1"),
    ("VADD a VALUES 1 1 x", "1"),
    ("BLESS SET a NO-EVICT", "2"),
    ("BLESS SCAN 0", ""),
    ("HIMPORT SET a f 1", "2"),
    ("HIMPORT PREPARE f a", ""),
    ("SUNIONCARD 2 a b", "2 3"),
    ("CLIENT KILL ID 1", ""),
    ("NEWER a b", ""),
];

/// The keys of a command, as the server has told them.
fn found(words: &[impl AsRef<[u8]>], survey: Option<KeyRange>) -> Vec<usize> {
    let words = words.iter().map(AsRef::as_ref);
    keys(words, |_| survey).map(|(at, _)| at).collect()
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

#[test]
fn the_keys_of_each_kind_of_command_are_found() {
    for (command, expected) in SAMPLES.iter().chain(SAMPLES_APART) {
        let expected: Vec<usize> = expected
            .split_whitespace()
            .map(|at| at.parse().expect("a number"))
            .collect();
        assert_eq!(found(&words(command), None), expected, "{command}");
        let lower = command.to_ascii_lowercase();
        assert_eq!(found(&words(&lower), None), expected, "{lower}");
    }
    let keys_of_an_empty_word = [
        "MIGRATE", "h", "1", "", "0", "9", "AUTH", "KEYS", "KEYS", "a", "b",
    ];
    assert_eq!(found(&keys_of_an_empty_word, None), [9, 10]);
    let with_user = [
        "MIGRATE", "h", "1", "", "0", "9", "AUTH2", "KEYS", "KEYS", "KEYS", "a",
    ];
    assert_eq!(found(&with_user, None), [10]);
    assert!(found(&[""; 0], None).is_empty());
}

#[test]
fn each_key_is_told_with_its_word() {
    let command = [b"MSET".as_slice(), b"a", b"1", b"b", b"2"];
    let found: Vec<_> = keys(command.into_iter(), |_| None).collect();
    assert_eq!(found, [(1, b"a".as_slice()), (3, b"b")]);
}

#[test]
fn a_command_on_no_list_has_the_keys_that_the_server_tells() {
    let told = |first, last, step| {
        found(
            &words("NEWER a b c d"),
            Some(KeyRange::new(first, last, step)),
        )
    };
    assert_eq!(told(1, 1, 1), [1]);
    assert_eq!(told(1, -1, 1), [1, 2, 3, 4]);
    assert_eq!(told(1, -2, 2), [1, 3]);
    assert_eq!(told(2, 3, 1), [2, 3]);
    for (first, last, step) in [
        (0, 0, 0),
        (1, 1, 0),
        (0, 4, 1),
        (1, -9, 1),
        (3, 2, 1),
        (9, -1, 1),
    ] {
        let told = told(first, last, step);
        assert!(told.is_empty(), "{first} {last} {step}: {told:?}");
    }
    assert_eq!(told(4, 9, 1), [4]);
}

#[test]
fn every_reviewed_command_has_a_pattern() {
    for words in reviewed().into_values().map(|(_, words)| words) {
        let name = Upper::of(words[0].as_bytes());
        let second = words.get(1).map(|word| word.as_bytes());
        assert!(Pattern::of(&name, second).is_some(), "{words:?}");
    }
}

proptest! {
    #[test]
    fn any_words_have_keys_among_them(
        name in select(SAMPLES),
        rest in vec(prop_oneof!["[0-9a-z]{0,3}", "STREAMS|KEYS|STORE|GROUP|AUTH2|-1|9999999999999999999"], 0..12),
    ) {
        let mut command = words(name.0);
        command.truncate(3);
        command.extend(rest);
        let found = found(&command, None);
        prop_assert!(found.is_sorted_by(|one, next| one < next), "{command:?}: {found:?}");
        prop_assert!(found.iter().all(|at| (1..command.len()).contains(at)), "{command:?}: {found:?}");
    }
}

/// The specifications say more keys than there are, or fewer, for a reason.
const OTHERWISE_SPECIFIED: &[(&str, &str)] = &[
    ("EVAL s 3 a b", "there are fewer words than keys"),
    ("EVAL s -1 a b", "there cannot be fewer than no keys"),
];

#[test]
fn the_servers_descriptions_of_its_commands_agree() {
    let Some((_, commands)) = of_the_server() else {
        return;
    };
    let mut compared = 0;
    for command in &commands {
        for sample in command.samples(SAMPLES) {
            let text = sample.join(" ");
            let own = found(&sample, None);
            if OTHERWISE_SPECIFIED.iter().any(|(other, _)| *other == text) {
                continue;
            }
            if !command.is_movable() {
                // As a command that is on no list would be routed.
                let mut unlisted = sample.clone();
                unlisted[0] = "NEWER".to_owned();
                let by_range = found(&unlisted, Some(command.range));
                // The server gives the first range where two are apart.
                let is_apart = matches!(&*command.words[0], "bitop");
                assert!(
                    own == by_range || is_apart,
                    "{text}: {own:?}, and by the range {by_range:?}"
                );
            }
            if let Some(specified) = command.specified(&sample) {
                let is_described = !command.specs.is_empty() || command.range.first == 0;
                if is_described && !(command.specs.is_empty() && command.is_movable()) {
                    assert_eq!(own, specified, "{text}");
                    compared += 1;
                }
            }
        }
    }
    assert!(
        compared >= 100 || older_than(7, 0, "specifications of keys"),
        "{compared}"
    );
}

#[test]
fn the_server_finds_the_same_keys() {
    let Some((server, commands)) = of_the_server() else {
        return;
    };
    let mut compared = 0;
    for command in &commands {
        // Channels of shards are no keys to the server, and have a slot all the same.
        if ["spublish", "ssubscribe", "sunsubscribe", "clusterscan"].contains(&&*command.words[0]) {
            continue;
        }
        // The server refuses a question of one word.
        for sample in command
            .samples(SAMPLES)
            .into_iter()
            .filter(|sample| sample.len() > 1)
        {
            let question = ["COMMAND".to_owned(), "GETKEYS".to_owned()];
            let question: Vec<_> = question.iter().chain(&sample).collect();
            let answer = server.try_bytes(&question).expect("an answer");
            let expected: Vec<String> = match &answer {
                Reply::Array(keys) => keys.iter().map(ToString::to_string).collect(),
                Reply::Error(error)
                    if error.contains("no key arguments")
                        || error.contains("Invalid arguments") =>
                {
                    Vec::new()
                }
                other => panic!("{sample:?}: {other:?}"),
            };
            let own = found(&sample, None);
            let own: Vec<_> = own.into_iter().map(|at| sample[at].clone()).collect();
            let (mut own, mut expected) = (own, expected);
            own.sort_unstable();
            expected.sort_unstable();
            assert_eq!(own, expected, "{sample:?}");
            compared += 1;
        }
    }
    assert!(compared >= 300, "{compared}");
}
