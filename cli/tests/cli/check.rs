//! `check` finds bad files, dead servers, wrong passwords and missing rights, and its exit code tells.

use serde_json::Value;

use crate::{
    common::{RedisServer, older_than, ports::free_port},
    config_file::ConfigFile,
    program::run,
};

fn check(file: &ConfigFile) -> (Option<i32>, Value) {
    let ended = run(&["check", "--json", file.path()]);
    (ended.code, ended.json())
}

#[test]
fn servers_that_work_are_well() {
    let server = RedisServer::builder().requirepass("sesame").start();
    let file = ConfigFile::of(&[("main", &server.url()), ("cache", &server.url_with_db(5))]);
    let table = run(&["check", "--strict", file.path()]);
    assert_eq!(table.code, Some(0), "{table:#?}");
    table.hides("sesame");
    assert!(!table.stdout.contains('\x1b'), "no colours in a pipe");
    let main = table.stdout.lines().find(|line| line.starts_with("main"));
    let main = main.expect("a line of main");
    assert!(
        main.contains(&format!("127.0.0.1:{}", server.port())),
        "{main}"
    );
    assert!(main.contains("healthy") && main.ends_with("all"), "{main}");

    let (code, document) = check(&file);
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["ok"], true);
    assert_eq!(document["databases"]["cache"]["healthy"], true);
    assert_eq!(document["databases"]["cache"]["role"], "master");
    if !older_than(7, 0, "ACL DRYRUN") {
        assert_eq!(document["databases"]["main"]["rights"]["method"], "dry_run");
    }
    assert_eq!(server.clients_named("redis-steward").len(), 0);
}

#[test]
fn a_dead_server_is_not_ready_and_the_others_are_told_all_the_same() {
    let server = RedisServer::start();
    let dead = format!("redis://127.0.0.1:{}", free_port());
    let file = ConfigFile::of(&[("dead", &dead), ("live", &server.url())]);
    let (code, document) = check(&file);
    assert_eq!(code, Some(1), "{document:#}");
    assert_eq!(document["ok"], false);
    assert_eq!(document["databases"]["dead"]["ok"], false);
    assert_eq!(document["databases"]["dead"]["state"], "down");
    assert_eq!(document["databases"]["dead"]["rights"], Value::Null);
    assert_eq!(document["databases"]["live"]["ok"], true);

    let table = run(&["check", file.path()]);
    assert_eq!(table.code, Some(1));
    assert!(
        table
            .stdout
            .contains("dead: down (the server cannot be reached)")
    );
}

#[test]
fn a_fallback_does_not_hide_a_dead_server() {
    let text = format!(
        "databases: {{main: {{port: {}, fallback: memory}}}}",
        free_port()
    );
    let (code, document) = check(&ConfigFile::new(&text));
    assert_eq!(code, Some(1), "{document:#}");
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let server = RedisServer::builder().requirepass("sesame").start();
    let url = server.url().replace("sesame", "opensesame");
    let table = run(&["check", ConfigFile::of(&[("main", &url)]).path()]);
    assert_eq!(table.code, Some(1), "{table:#?}");
    assert!(
        table.stdout.contains("the server rejects this client"),
        "{table:#?}"
    );
    table.hides("opensesame");
}

#[test]
fn missing_rights_are_told_with_their_costs() {
    if older_than(7, 0, "ACL DRYRUN") {
        return;
    }
    let server = RedisServer::start();
    let rules = ["on", ">sesame", "~*", "+@all", "-@dangerous", "-@admin"];
    let user = |name, more: &[&str]| {
        let order = [&["ACL", "SETUSER", name], &rules[..], more].concat();
        assert_eq!(server.cli(&order), "OK");
    };
    user("app", &[]);
    user("curious", &["+acl"]);
    let url = |name| server.url().replace("://", &format!("://{name}:sesame@"));
    let file = ConfigFile::of(&[("main", &url("app")), ("other", &url("curious"))]);
    let (code, document) = check(&file);
    assert_eq!(code, Some(0), "{document:#}");
    for (database, method) in [("main", "running"), ("other", "dry_run")] {
        let rights = &document["databases"][database]["rights"];
        assert_eq!(rights["method"], method, "{document:#}");
        let missing = rights["missing"].as_array().expect("missing rights");
        let commands: Vec<_> = missing.iter().map(|right| &right["command"]).collect();
        assert_eq!(commands, ["INFO", "CLIENT LIST", "CLIENT UNBLOCK"]);
        assert!(missing.iter().all(|right| right["problem"] == "denied"));
    }

    let table = run(&["check", "--strict", file.path()]);
    assert_eq!(table.code, Some(1), "{table:#?}");
    assert!(
        table
            .stdout
            .contains("other: the user curious may not run INFO, so that health")
    );
    table.hides("sesame");
}

#[test]
fn a_bad_file_is_told_with_all_places() {
    let file = ConfigFile::new("databases:\n  main: {prot: 6379}\n  cache: {db: many}\n");
    let table = run(&["check", file.path()]);
    assert_eq!((table.code, &*table.stdout), (Some(2), ""));
    for line in [2, 3] {
        let position = format!("{}:{line}:", file.path());
        assert!(table.stderr.contains(&position), "{}", table.stderr);
    }
    let (code, document) = check(&file);
    assert_eq!(code, Some(2));
    let problems = document["problems"].as_array().expect("problems");
    assert_eq!(problems.len(), 2, "{document:#}");
    assert_eq!(problems[1]["column"].as_u64(), Some(15), "{document:#}");

    let missing = run(&["check", "/nowhere/at/all.yaml"]);
    assert_eq!(missing.code, Some(2), "{missing:#?}");
}

#[test]
fn bad_usage_has_a_code_of_its_own_and_help_has_examples() {
    for arguments in [
        &["check"][..],
        &["look"],
        &["check", "--within", "soon", "a"],
    ] {
        let ended = run(arguments);
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:#?}");
    }
    let help = run(&["check", "--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Examples:"), "{}", help.stdout);
}
