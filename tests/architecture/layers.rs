//! Goal: the layers of the crate stay apart. Method: the tests read the sources, with one test for each
//! rule of ARCHITECTURE.md.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files of a folder of `src`, or a single file, without unit tests and comments.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root.join(room), &mut found);
    assert!(!found.is_empty(), "there is no {room}");
    found
}

fn collect(path: &Path, found: &mut Vec<(PathBuf, String)>) {
    if path.is_dir() {
        // A folder of this name holds only tests, as a file of it does.
        if path.ends_with("tests") {
            return;
        }
        for entry in fs::read_dir(path).expect("a folder") {
            collect(&entry.expect("an entry").path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        // These files hold only tests, to which the rules do not apply.
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| {
            name.ends_with("_tests.rs") || ["tests.rs", "oracle.rs", "paused.rs"].contains(&name)
        }) {
            return;
        }
        let text = fs::read_to_string(path).expect("a source file");
        // Tests come last, in the file or in files of their own.
        let tests = ["#[cfg(test)]\nmod tests", "#[cfg(test)]\n#[path"];
        let ends = tests.iter().filter_map(|marker| text.rfind(marker));
        let code = &text[..ends.min().unwrap_or(text.len())];
        // The rules do not apply to comments.
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: Vec<_> = code.lines().filter(is_code).collect();
        found.push((path.to_owned(), code.join("\n")));
    }
}

/// Whether the code contains this word as a whole. A word with `::` at its end is a module, and not a
/// variable of that name.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && (word.ends_with("::") || !after.is_some_and(is_part))
    })
}

#[track_caller]
fn assert_absent(room: &str, words: &[&str]) {
    for (path, code) in sources(room) {
        for word in words {
            assert!(!names(&code, word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn policy_is_pure() {
    assert_absent(
        "policy",
        &[
            "actix",
            "tokio",
            "tracing",
            "rand",
            "fastrand",
            "async",
            "await",
            "Instant::now",
            "SystemTime",
            "redis",
            "net::",
            "actors::",
            "messages::",
            "config::",
        ],
    );
}

/// A subscriber of `tracing` is code of the application. It runs on the thread of the log, and for spans in the task of
/// the caller.
#[test]
fn only_the_log_and_the_span_name_tracing() {
    for (path, code) in sources("") {
        if !path.ends_with("src/log.rs") && !path.ends_with("src/span.rs") {
            assert!(
                !names(&code, "tracing"),
                "{} logs by itself",
                path.display()
            );
        }
    }
}

/// The pool's machine is a value: places come to it through a trait.
#[test]
fn the_machine_of_a_pool_shares_nothing() {
    assert_absent("policy/pool", &["Arc", "Rc", "Mutex", "Permits", "Permit"]);
}

#[test]
fn net_knows_no_actors_and_no_policy() {
    assert_absent(
        "net",
        &["actix", "actors", "messages", "policy", "state::", "call::"],
    );
}

#[test]
fn only_the_supervisor_names_other_actors() {
    let actors = [
        "SupervisorActor",
        "PoolActor",
        "RelayActor",
        "HealthActor",
        "JanitorActor",
        "SentinelsActor",
        "SubscribersActor",
    ];
    for (file, own) in [
        ("actors/pool", "PoolActor"),
        ("actors/relay.rs", "RelayActor"),
        ("actors/health", "HealthActor"),
        ("actors/janitor.rs", "JanitorActor"),
        ("actors/sentinels.rs", "SentinelsActor"),
        ("actors/subscribers", "SubscribersActor"),
    ] {
        let other_actors: Vec<_> = actors.into_iter().filter(|actor| *actor != own).collect();
        assert_absent(file, &other_actors);
    }
}

#[test]
fn handles_do_not_name_actors() {
    for file in ["database.rs", "blocking", "call"] {
        assert_absent(file, &["actors", "Addr"]);
    }
}

#[test]
fn raw_configuration_is_not_used_after_resolve() {
    for room in [
        "net",
        "actors",
        "policy",
        "call",
        "state",
        "database.rs",
        "blocking",
        "registry.rs",
    ] {
        assert_absent(room, &["Config", "DatabaseConfig"]);
    }
}

#[test]
fn no_module_is_called_util_or_common() {
    for (path, _) in sources("") {
        let path = path.with_extension("");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let inside = path.strip_prefix(root).expect("a source file");
        for part in inside.iter().filter_map(|part| part.to_str()) {
            let nothing = ["utils", "util", "helpers", "common", "misc"];
            assert!(!nothing.contains(&part), "{}", path.display());
        }
    }
}

#[test]
fn no_unsafe_no_unwrap_and_expectations_say_bug() {
    for (path, code) in sources("") {
        assert!(!names(&code, "unsafe"), "{} names unsafe", path.display());
        assert!(!code.contains(".unwrap()"), "{} unwraps", path.display());
        for expectation in code.split(".expect(\"").skip(1) {
            assert!(
                expectation.starts_with("BUG: "),
                "{} expects more",
                path.display()
            );
        }
    }
}

/// Decisions and calls take the time and chance as values; `state/clock.rs` is where calls read them. The embedded
/// server has a clock of its own, and chance is a part of its state.
#[test]
fn only_shells_read_the_clock_and_roll_dice() {
    let shells = ["state", "net", "actors", "internals.rs"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, code) in sources("") {
        let inside = path.strip_prefix(&root).expect("a source file");
        if shells.iter().any(|shell| inside.starts_with(shell)) {
            continue;
        }
        for word in ["Instant::now", "SystemTime::now", "fastrand", "elapsed()"] {
            // The feed stamps events with the time of the day.
            let is_known = word == "SystemTime::now" && inside.ends_with("events/feed.rs")
                || inside.ends_with("memory/clock.rs")
                // Nothing is decided by the number that a supervisor has.
                || word == "fastrand" && inside.ends_with("events/run.rs")
                || word == "fastrand" && inside.starts_with("memory");
            assert!(
                is_known || !names(&code, word),
                "{} names {word}",
                path.display()
            );
        }
    }
}

#[test]
fn actors_know_the_state_and_not_the_engine_of_calls() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, code) in sources("actors") {
        // It runs the commands that actors of the application send.
        let runs_commands = path.starts_with(root.join("actors/relay.rs"));
        assert!(
            runs_commands || !names(&code, "CallEngine"),
            "{}",
            path.display()
        );
    }
}
