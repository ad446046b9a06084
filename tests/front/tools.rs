//! Goal: the tools of Redis work on the front. Method: redis-cli and redis-benchmark as child processes.

use std::{
    net::SocketAddr,
    process::{Command, Output},
};

use crate::site::Site;

fn run(tool: &str, address: SocketAddr, arguments: &[&str]) -> String {
    let port = address.port().to_string();
    let mut command = Command::new(tool);
    let output = command
        .args(["-h", "127.0.0.1", "-p", &port])
        .args(arguments);
    let Output { stdout, stderr, .. } = output.output().expect("the tool runs");
    let text = [stdout, stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_works() {
    let site = Site::with(|main| main, |front| front.password("secret")).await;
    let cli = |arguments: &[&str]| {
        let login = ["--no-auth-warning", "-a", "secret"];
        run("redis-cli", site.address, &[&login, arguments].concat())
    };
    assert_eq!(cli(&["SET", "a", "1"]), "OK\n");
    assert_eq!(cli(&["INCR", "a"]), "2\n");
    assert_eq!(cli(&["-3", "HSET", "h", "f", "1"]), "1\n");
    let hash = cli(&["-3", "--no-raw", "HGETALL", "h"]);
    assert_eq!(hash, "1# \"f\" => \"1\"\n");
    assert_eq!(cli(&["BLPOP", "none", "0.05"]), "\n");
    assert!(cli(&["INFO", "server"]).contains("redis_version:"));
    assert!(cli(&["--scan"]).contains('h'));
    assert!(run("redis-cli", site.address, &["GET", "a"]).contains("NOAUTH"));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_pipes_lines() {
    let site = Site::start().await;
    let lines: String = (0..1_000)
        .map(|number| format!("SET key:{number} {number}\n"))
        .collect();
    let script = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(script.path(), lines).expect("a write");
    let port = site.address.port().to_string();
    let piped = Command::new("redis-cli")
        .args(["-p", &port, "--pipe"])
        .stdin(std::fs::File::open(script.path()).expect("the file"))
        .output()
        .expect("redis-cli runs");
    let report = String::from_utf8_lossy(&piped.stdout);
    assert!(report.contains("errors: 0, replies: 1000"), "{report}");
    assert_eq!(site.client().ask("DBSIZE"), ":1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_benchmark_runs_to_its_end() {
    let site = Site::start().await;
    let report = run(
        "redis-benchmark",
        site.address,
        &[
            "-t",
            "ping,set,get,incr,lpush,lpop,sadd,hset,zadd,mset",
            "-n",
            "2000",
            "-P",
            "16",
            "-q",
        ],
    );
    for test in ["PING_INLINE", "SET", "LPOP", "ZADD", "MSET (10 keys)"] {
        let is_done = |line: &str| {
            let line = line.rsplit('\r').next().unwrap_or_default();
            line.starts_with(&format!("{test}: ")) && line.contains("requests per second")
        };
        assert!(report.lines().any(is_done), "{test}: {report}");
    }
    assert!(!report.contains("Error from server"), "{report}");
}
