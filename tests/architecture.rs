//! Goal: the rooms of the house stay apart. Method: the sources are read, and each rule of
//! ARCHITECTURE.md is a row here.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files of a room, or a single one, without their unit tests.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root.join(room), &mut found);
    assert!(!found.is_empty(), "there is no {room}");
    found
}

fn collect(path: &Path, found: &mut Vec<(PathBuf, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            collect(&entry.expect("an entry").path(), found);
        }
    } else if path.extension().is_some_and(|it| it == "rs") {
        // Whole files of tests; they may do what the code may not.
        let name = path.file_name().and_then(|it| it.to_str());
        if name
            .is_some_and(|it| it.ends_with("_tests.rs") || it == "oracle.rs" || it == "paused.rs")
        {
            return;
        }
        let text = fs::read_to_string(path).expect("a source file");
        let tests = ["#[cfg(test)]\nmod tests", "#[cfg(test)]\n#[path"];
        let ends = tests.iter().filter_map(|it| text.find(it));
        let code = &text[..ends.min().unwrap_or(text.len())];
        // Comments may name what code may not.
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: Vec<_> = code.lines().filter(is_code).collect();
        found.push((path.to_owned(), code.join("\n")));
    }
}

/// Whether a word stands in the code, not as a part of another.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
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
            "net",
            "actors",
            "messages",
            "config",
        ],
    );
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
        &["actix", "actors", "messages", "policy", "dispatch"],
    );
}

#[test]
fn no_actor_names_another_but_the_supervisor() {
    let actors = [
        "SupervisorActor",
        "PoolActor",
        "HealthActor",
        "JanitorActor",
    ];
    for (file, own) in [
        ("actors/pool", "PoolActor"),
        ("actors/health", "HealthActor"),
        ("actors/janitor.rs", "JanitorActor"),
    ] {
        let others: Vec<_> = actors.into_iter().filter(|it| *it != own).collect();
        assert_absent(file, &others);
    }
}

#[test]
fn handles_know_no_actor() {
    for file in ["database.rs", "blocking", "dispatch"] {
        assert_absent(file, &["actors", "Addr"]);
    }
}

#[test]
fn raw_configuration_ends_at_resolve() {
    for room in [
        "net",
        "actors",
        "policy",
        "dispatch",
        "database.rs",
        "blocking",
        "registry.rs",
    ] {
        assert_absent(room, &["Config", "DatabaseConfig"]);
    }
}

#[test]
fn no_room_is_called_after_nothing() {
    for (path, _) in sources("") {
        let path = path.with_extension("");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let inside = path.strip_prefix(root).expect("a source file");
        for part in inside.iter().filter_map(|it| it.to_str()) {
            let nothing = ["utils", "util", "helpers", "common", "misc"];
            assert!(!nothing.contains(&part), "{}", path.display());
        }
    }
}

#[test]
fn nothing_is_unsafe_and_nothing_unwraps_bare() {
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
