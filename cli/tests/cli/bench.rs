//! `bench` measures, and leaves no key behind.

use std::time::Duration;

use rustix::process::Signal;

use crate::{
    common::{RedisServer, eventually, ports::free_port},
    config_file::ConfigFile,
    program::{Program, run},
};

const SOON: Duration = Duration::from_secs(30);

const SHORT: [&str; 7] = [
    "bench",
    "--seconds",
    "300ms",
    "--clients",
    "8",
    "--keys",
    "1200",
];

#[test]
fn a_server_is_measured_beside_redis_benchmark_and_no_key_is_left() {
    let server = RedisServer::start();
    assert_eq!(server.cli(&["SET", "mine", "kept"]), "OK");
    let url = server.url();
    let ended = run(&[&SHORT[..], &["--json", &url]].concat());
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let document = ended.json();
    let steward = &document["redis_steward"];
    let commands = steward["commands"].as_u64().expect("a number");
    assert!(commands > 0 && steward["failures"] == 0, "{document:#}");
    assert_eq!(steward["latency"]["count"], commands);
    let peer = &document["redis_benchmark"];
    assert!(
        peer["commands_per_second"].as_f64() > Some(0.0),
        "{document:#}"
    );
    assert!(peer["set"]["requests"].as_u64() > Some(0), "{document:#}");
    assert_eq!(server.cli(&["DBSIZE"]), "1");
    // Both have written and read, and only their own keys.
    assert!(server.commandstat("set") > commands / 4);
    assert!(server.commandstat("get") > commands / 4);

    let table = run(&[&SHORT[..], &["--reads", "100", &url]].concat());
    assert_eq!(table.code, Some(0), "{table:#?}");
    assert!(
        table.stdout.contains("redis-benchmark") && table.stdout.contains("█"),
        "{table:#?}"
    );
    assert_eq!(server.cli(&["DBSIZE"]), "1");
}

#[test]
fn a_password_is_not_given_to_another_program() {
    let server = RedisServer::builder().requirepass("sesame").start();
    let file = ConfigFile::of(&[("main", &server.url()), ("other", &server.url_with_db(3))]);
    let ended = run(&[&SHORT[..], &["--database", "other", file.path()]].concat());
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let reason = "no redis-benchmark: it would show the password";
    assert!(ended.stdout.contains(reason), "{ended:#?}");
    ended.hides("sesame");
    let undecided = run(&["bench", file.path()]);
    assert_eq!(undecided.code, Some(2), "{undecided:#?}");
    assert!(
        undecided
            .stderr
            .contains("choose one of main, other by --database")
    );
}

#[test]
fn an_interrupted_run_removes_its_keys() {
    let server = RedisServer::start();
    let url = server.url();
    let bench = Program::start(
        &["bench", "--seconds", "10min", "--clients", "2", &url],
        &[],
    );
    let keys = || server.cli(&["DBSIZE"]).parse::<u64>().expect("a number");
    eventually(SOON, "keys", || keys() > 0);
    bench.signal(Signal::INT);
    let ended = bench.end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("interrupted"), "{ended:#?}");
    assert_eq!(keys(), 0);
}

#[test]
fn writes_under_way_have_ended_before_the_keys_are_removed() {
    let server = RedisServer::start();
    let url = server.url();
    // A value that is written for a while, by all clients at a time.
    let bench = Program::start(
        &[
            "bench",
            "--seconds",
            "10min",
            "--clients",
            "16",
            "--keys",
            "16",
            "--size",
            "4000000",
            "--reads",
            "0",
            &url,
        ],
        &[],
    );
    eventually(SOON, "writes", || server.commandstat("set") > 32);
    bench.signal(Signal::INT);
    let ended = bench.end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[test]
fn a_redis_benchmark_that_is_interrupted_leaves_no_key() {
    let server = RedisServer::start();
    let url = server.url();
    let bench = Program::start(
        &[
            "bench",
            "--seconds",
            "2",
            "--clients",
            "8",
            "--reads",
            "0",
            &url,
        ],
        &[],
    );
    let is_running = || server.cli(&["CLIENT", "LIST"]).lines().count() > 8;
    eventually(SOON, "redis-benchmark", is_running);
    bench.signal(Signal::INT);
    let ended = bench.end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("interrupted"), "{ended:#?}");
    assert_eq!(server.cli(&["DBSIZE"]), "0", "{ended:#?}");
}

#[test]
fn too_much_memory_is_refused_before_the_server_is_reached() {
    let dead = format!("redis://127.0.0.1:{}", free_port());
    let many = ["--clients", "65535", "--size", "16777216", "--keys", "1"];
    let refused = run(&[&["bench"], &many[..], &[&dead]].concat());
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    let reason = "and 256 MiB is the most; lower --clients or --size";
    assert!(refused.stderr.contains(reason), "{refused:#?}");
    let keys = run(&["bench", "--size", "16777216", &dead]);
    assert_eq!(keys.code, Some(2), "{keys:#?}");
    assert!(keys.stderr.contains("lower --keys or --size"), "{keys:#?}");
}

#[test]
fn a_dead_server_is_no_result() {
    let dead = format!("redis://127.0.0.1:{}", free_port());
    let ended = run(&[&SHORT[..], &["--json", &dead]].concat());
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(ended.json()["ok"], false);
}

#[test]
fn the_embedded_server_can_be_measured_alone() {
    let ended = run(&[&SHORT[..], &["--json", "--alone", "memory://"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.json()["redis_benchmark_missing"], "it was not wanted");
}
