//! `watch` sees a server die and come back, as lines and on a terminal, which is as before afterwards.

use std::{
    fs::File,
    io::Read as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    common::{RedisServer, ports::free_port},
    config_file::ConfigFile,
    program::{Program, run},
    terminal::{ENTER, LEAVE, OnTerminal, terminal},
};

#[test]
fn a_server_that_dies_and_comes_back_is_seen_in_lines() {
    let server = RedisServer::start();
    let file = ConfigFile::of(&[("main", &server.url())]);
    let watch = Program::start(
        &["watch", "--lines", "--interval", "200ms", file.path()],
        &[],
    );
    watch.line(|line| line.contains("main: healthy, circuit closed"));
    watch.line(|line| line.contains("= main healthy p50 "));
    server.kill();
    watch.line(|line| line.contains("main: down (the server cannot be reached), circuit open"));
    watch.line(|line| line.contains("= main down"));
    server.restart();
    watch.line(|line| line.contains("main: healthy, circuit closed"));
    watch.signal(Signal::TERM);
    assert_eq!(watch.end().code, Some(0));
}

#[test]
fn each_line_is_json_if_that_is_wanted() {
    let server = RedisServer::builder().requirepass("sesame").start();
    let dead = format!("redis://:sesame@127.0.0.1:{}/5", free_port());
    let watch = [
        "watch",
        "--json",
        "--interval",
        "100ms",
        &server.url(),
        &dead,
    ];
    let watch = Program::start(&watch, &[]);
    let name = dead.trim_start_matches("redis://:sesame@");
    let is_down = |line: &Value| line["database"] == name && line["state"] == "down";
    let down = watch.json_line(is_down);
    assert_eq!(
        (&down["type"], &down["circuit_state"]),
        (&"event".into(), &"open".into())
    );
    assert_eq!(down["reason"], "unreachable");
    let live = format!("127.0.0.1:{}", server.port());
    let works = |line: &Value| {
        let row = &line["databases"][&live];
        row["p99_ms"].is_f64() && row["server_commands_per_second"].is_u64()
    };
    let summary = watch.json_line(works);
    assert_eq!(summary["databases"][name]["state"], "down");
    assert_eq!(summary["databases"][name]["p99_ms"], Value::Null);
    watch.signal(Signal::INT);
    let ended = watch.end();
    assert_eq!(ended.code, Some(0));
    ended.hides("sesame");
}

#[test]
fn it_ends_by_itself_if_that_is_wanted_and_refuses_what_it_cannot_watch() {
    let ended = run(&["watch", "--for", "1", "memory://"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("healthy"), "{ended:#?}");
    let bad = run(&["watch", "redis://:sesame@:many"]);
    assert_eq!(bad.code, Some(2), "{bad:#?}");
    bad.hides("sesame");
    let mixed = run(&["watch", "redis://localhost", "a:sesame@b"]);
    assert_eq!(mixed.code, Some(2), "{mixed:#?}");
    mixed.hides("sesame");
    let no_scheme = run(&["watch", ":sesame@localhost:6379"]);
    assert_eq!(no_scheme.code, Some(2), "{no_scheme:#?}");
    no_scheme.hides("sesame");
}

#[test]
fn a_terminal_shows_a_table_and_is_as_before_afterwards() {
    let server = RedisServer::start();
    let file = ConfigFile::of(&[("main", &server.url()), ("other", &server.url_with_db(1))]);
    let mut watch = OnTerminal::start(&["watch", file.path()]);
    watch.until_shown("server/s");
    watch.until_shown("main: healthy");
    assert!(!watch.is_cooked());
    watch.press("i");
    watch.until_shown("main is isolated in this view only");
    watch.until_shown("main: isolated");
    watch.press("r");
    watch.until_shown("main is reset in this view only");
    watch.press("q");
    assert!(watch.end().success());
    watch.until_written(LEAVE);
    assert!(watch.written().contains(ENTER));
    assert!(watch.is_cooked());
}

#[test]
fn a_terminal_that_goes_away_is_told_and_no_panic() {
    let (outside, inside) = terminal();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_redis-steward"))
        .args(["watch", "memory://"])
        .env("TERM", "xterm")
        .stdin(inside.try_clone().expect("another handle"))
        .stdout(inside)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut outside = File::from(outside);
    let mut shown = [0; 512];
    outside.read_exact(&mut shown).expect("a screen");
    drop(outside);
    let begin = Instant::now();
    let is_running = |watch: &mut Child| watch.try_wait().expect("a child").is_none();
    while is_running(&mut watch) && begin.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(10));
    }
    // An error says that it has ended.
    let _ = watch.kill();
    let status = watch.wait().expect("its end");
    let mut messages = String::new();
    let mut stderr = watch.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut messages).expect("messages");
    assert_eq!(status.code(), Some(1), "{messages}");
    assert!(
        messages.contains("the terminal is not as it was"),
        "{messages}"
    );
    assert!(!messages.contains("panicked"), "{messages}");
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let mut watch = OnTerminal::start(&["watch", "memory://"]);
    watch.until_shown("healthy");
    watch.signal(Signal::TERM);
    assert!(watch.end().success());
    watch.until_written(LEAVE);
    assert!(watch.is_cooked());
}
