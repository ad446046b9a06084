//! Goal: each command goes where the servers advise, or elsewhere for a reason. Method: words that stand for many others,
//! and the tips in a real server's answer to COMMAND.

use std::collections::BTreeMap;

use super::{Atomic, KeyPlace, Merge, Route, Split, Unroutable};
use crate::{
    common::older_than,
    policy::{
        command::{KeyRange, described_tests::of_the_server},
        slots::Slot,
    },
};

fn route(command: &str) -> Route {
    Route::of(command.split(' ').map(str::as_bytes), |_| None)
}

fn slot(key: &str) -> Slot {
    Slot::of(key.as_bytes())
}

fn place(command: usize, word: usize, key: &str) -> KeyPlace {
    KeyPlace {
        command,
        word,
        slot: slot(key),
    }
}

#[test]
fn commands_with_keys_go_to_the_node_of_their_slot() {
    for command in [
        "GET a",
        "MGET a {a}1",
        "EVAL s 1 a x",
        "SPUBLISH a m",
        "XREAD STREAMS a 0",
        "DEBUG OBJECT a",
    ] {
        assert_eq!(route(command), Route::Slot(slot("a")), "{command}");
    }
    assert_eq!(
        route("CLUSTER COUNTKEYSINSLOT 77"),
        Route::Slot(Slot::new(77).expect("a slot"))
    );
    assert_eq!(route("CLUSTER GETKEYSINSLOT x 1"), Route::Any);
}

#[test]
fn keys_in_several_slots_are_split_or_named() {
    assert_eq!(route("MGET a b"), Route::Split(Split::Values));
    assert_eq!(route("JSON.MGET a b $"), Route::Split(Split::Documents));
    assert_eq!(route("mset a 1 b 2"), Route::Split(Split::Pairs));
    assert_eq!(route("EXISTS a b"), Route::Split(Split::Count));
    assert_eq!(
        route("RENAME a b"),
        Route::Crossed(place(0, 1, "a"), place(0, 2, "b"))
    );
    assert_eq!(
        route("MSETNX a 1 {a} 2 b 3"),
        Route::Crossed(place(0, 1, "a"), place(0, 5, "b"))
    );
    assert_eq!(
        route("EVAL s 2 a b"),
        Route::Crossed(place(0, 3, "a"), place(0, 4, "b"))
    );
}

#[test]
fn a_command_on_no_list_goes_where_the_server_says_that_its_keys_are() {
    let words = || ["NEWER", "x", "a"].into_iter().map(str::as_bytes);
    let survey = |name: &[u8]| {
        assert_eq!(name, b"NEWER");
        Some(KeyRange::new(2, 2, 1))
    };
    assert_eq!(Route::of(words(), survey), Route::Slot(slot("a")));
    assert_eq!(Route::of(words(), |_| None), Route::Any);
    assert_eq!(Route::of(std::iter::empty(), |_| None), Route::Any);
}

#[test]
fn commands_without_keys_go_to_any_primary_or_to_all_or_nowhere() {
    for command in [
        "PING",
        "TIME",
        "PUBLISH c m",
        "COMMAND COUNT",
        "INFO",
        "CLUSTER NODES",
        "EVAL s 0",
        "RANDOMKEY",
        "FT.SEARCH i q",
        "CONFIG HELP",
        "CONFIG",
        "MGET",
        "SELECT 0",
        "UNWATCH",
        "CLIENT ID",
        "SCRIPT SHOW x",
    ] {
        assert_eq!(route(command), Route::Any, "{command}");
    }
    for (command, merge) in [
        ("DBSIZE", Merge::Sum),
        ("flushall async", Merge::AllSucceeded),
        ("SCRIPT EXISTS a", Merge::And),
        ("SCRIPT KILL", Merge::OneSucceeded),
        ("KEYS *", Merge::Joined),
        ("WAIT 1 0", Merge::Min),
        ("WAITAOF 1 1 0", Merge::Min),
    ] {
        assert_eq!(route(command), Route::EachPrimary(merge), "{command}");
    }
    for (command, reason) in [
        ("SCAN 0", Unroutable::Cursor),
        ("BLESS SCAN 0", Unroutable::Cursor),
        ("FT.CURSOR READ i 1", Unroutable::Cursor),
        ("CONFIG SET a b", Unroutable::OneNode),
        ("ACL SETUSER a", Unroutable::OneNode),
        ("CLIENT LIST", Unroutable::OneNode),
        ("CLUSTER FAILOVER", Unroutable::OneNode),
        ("SAVE", Unroutable::OneNode),
        ("MULTI", Unroutable::OneConnection),
        ("MONITOR", Unroutable::OneConnection),
    ] {
        assert_eq!(route(command), Route::Refused(reason), "{command}");
        assert!(reason.to_string().contains("of the cluster"));
    }
}

#[test]
fn an_atomic_pipeline_goes_to_the_one_node_of_its_keys() {
    let atomic = |commands: &[&str]| {
        let commands = commands.iter();
        Atomic::of(
            commands.map(|command| command.split(' ').map(str::as_bytes)),
            |_| None,
        )
    };
    assert_eq!(
        atomic(&["SET a 1", "PING", "MGET a {a}1"]),
        Atomic::Slot(slot("a"))
    );
    assert_eq!(atomic(&["PING", "TIME"]), Atomic::Any);
    assert_eq!(atomic(&[]), Atomic::Any);
    assert_eq!(
        atomic(&["PING", "SET a 1", "SET b 1"]),
        Atomic::Crossed(place(1, 1, "a"), place(2, 1, "b"))
    );
    // Nothing is split in a transaction.
    assert_eq!(
        atomic(&["MGET a b"]),
        Atomic::Crossed(place(0, 1, "a"), place(0, 2, "b"))
    );
    let count = format!("CLUSTER COUNTKEYSINSLOT {}", slot("a"));
    assert_eq!(atomic(&["GET a", &count]), Atomic::Slot(slot("a")));
    assert_eq!(
        atomic(&["GET b", &count]),
        Atomic::Crossed(place(0, 1, "b"), place(1, 2, "a"))
    );
    let refused = |command, reason| Atomic::Refused { command, reason };
    assert_eq!(
        atomic(&["SET a 1", "DBSIZE"]),
        refused(1, Unroutable::EachNode)
    );
    assert_eq!(
        atomic(&["SCAN 0", "SET a 1"]),
        refused(0, Unroutable::Cursor)
    );
}

/// Commands that go elsewhere than the tips of some server say.
const OTHERWISE: &[(&str, &str)] = &[
    ("acl|deluser", USERS),
    ("acl|save", USERS),
    ("acl|setuser", USERS),
    (
        "client|setinfo",
        "connections have names by the settings, and it is refused on shared ones",
    ),
    (
        "client|setname",
        "connections have names by the settings, and it is refused on shared ones",
    ),
    (
        "cluster|slot-stats",
        "its limit is for each node, and no rule orders the slots of several",
    ),
    (
        "clusterscan",
        "the cursor is a key to the slots, and leads to the node",
    ),
    ("config|resetstat", SETTINGS),
    ("config|rewrite", SETTINGS),
    ("config|set", SETTINGS),
    ("function|stats", REPORT),
    (
        "info",
        "one node's report is of use, and no rule puts several together",
    ),
    ("latency|doctor", REPORT),
    ("latency|graph", REPORT),
    ("latency|histogram", REPORT),
    ("latency|history", REPORT),
    ("latency|latest", REPORT),
    (
        "latency|reset",
        "the replies are numbers of events, so they are added up, as Valkey says and Redis does not",
    ),
    ("memory|doctor", REPORT),
    ("memory|malloc-stats", REPORT),
    ("memory|stats", REPORT),
    (
        "msetex",
        "conditions are for all keys together, and parts could not keep that",
    ),
    (
        "msetnx",
        "it sets all keys or none, and parts could not keep that",
    ),
    (
        "ping",
        "it asks whether a call is served; the health of each node is watched anyway",
    ),
    (
        "randomkey",
        "any key of any node will do, and one of an empty node is no better",
    ),
    (
        "scan",
        "cursors of several nodes need a cursor of their own",
    ),
];
const USERS: &str = "users are not replicated, and would be gone after a failover";
const SETTINGS: &str =
    "settings and statistics are of a node, and settings would be gone after a failover";
const REPORT: &str = "no rule puts reports of several nodes together";

/// What the tips of a command say; `None` without a tip about requests.
fn advised(tips: &[String]) -> Option<(&str, Option<&str>)> {
    let tip = |name: &str| {
        tips.iter()
            .find_map(|tip| tip.strip_prefix(name)?.strip_prefix(':'))
    };
    Some((tip("request_policy")?, tip("response_policy")))
}

fn follows(route: Route, advised: (&str, Option<&str>)) -> bool {
    let merge = match advised.1 {
        None => Merge::Joined,
        Some("agg_sum") => Merge::Sum,
        Some("agg_min") => Merge::Min,
        Some("agg_logical_and") => Merge::And,
        Some("all_succeeded") => Merge::AllSucceeded,
        Some("one_succeeded") => Merge::OneSucceeded,
        Some(_) => return false,
    };
    match (advised.0, route) {
        ("all_shards" | "all_nodes", route) => route == Route::EachPrimary(merge),
        ("multi_shard", Route::Split(split)) => matches!(
            (split, merge),
            (Split::Values, Merge::Joined)
                | (Split::Pairs, Merge::AllSucceeded)
                | (Split::Count, Merge::Sum)
        ),
        _ => false,
    }
}

#[test]
fn the_tips_of_the_server_are_followed_except_for_a_reason() {
    let Some((_, commands)) = of_the_server() else {
        return;
    };
    if older_than(7, 0, "tips") {
        return;
    }
    let otherwise: BTreeMap<_, _> = OTHERWISE.iter().copied().collect();
    assert_eq!(
        otherwise.len(),
        OTHERWISE.len(),
        "a command is listed twice"
    );
    let (mut followed, mut refused) = (0, 0);
    for command in &commands {
        let name = command.words.join("|");
        let is_otherwise = otherwise.contains_key(&*name);
        // The words are numbers, and so are the keys, which are in different slots.
        let samples = command.samples(&[("mset 1 2 3 4", "a value for each key")]);
        let sample = samples.last().expect("words");
        let route = Route::of(sample.iter().map(String::as_bytes), |_| None);
        let explain = || {
            format!(
                "{sample:?} has the tips {:?}, and goes to {route:?}",
                command.tips
            )
        };
        match advised(&command.tips) {
            Some(advised) => {
                assert!(follows(route, advised) || is_otherwise, "{}", explain());
                followed += 1;
            }
            None => {
                // Without a tip it goes to the node of its keys, or to any.
                let is_all = matches!(route, Route::EachPrimary(_));
                let splits = matches!(route, Route::Split(_));
                assert!(!is_all && !splits, "{}", explain());
                refused += usize::from(matches!(route, Route::Refused(_)));
            }
        }
    }
    assert!(followed >= 30, "{followed}");
    assert!(refused >= 30, "{refused}");
}
