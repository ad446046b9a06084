//! `serve` is reached by redis-cli and by HTTP, through an outage, and ends at SIGTERM.

use std::{net::TcpStream, process::Command, time::Duration};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    common::{RedisServer, eventually},
    config_file::ConfigFile,
    http::{get, request, text},
    program::{Program, run},
};

const SOON: Duration = Duration::from_secs(30);

struct Served {
    program: Program,
    front: Vec<String>,
    http: String,
}

impl Served {
    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let fixed = [
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
        ];
        let program = Program::start(&[&fixed, arguments].concat(), variables);
        let line = program.json_line(|line| line["type"] == "listening");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            front: line["front"]
                .as_array()
                .expect("addresses")
                .iter()
                .map(text)
                .collect(),
            http: text(&line["http"]),
            program,
        }
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let port = self.front[0].rsplit(':').next().expect("a port");
        redis_cli(&[&["-p", port], arguments].concat())
    }

    fn becomes(&self, path: &str, status: u16) {
        eventually(SOON, path, || get(&self.http, path).0 == status);
    }

    fn end(self) -> String {
        self.program.signal(Signal::TERM);
        let ended = self.program.end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended.stdout
    }
}

fn redis_cli(arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(arguments).output();
    let output = output.expect("redis-cli runs");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[test]
fn clients_and_orchestrators_are_served_through_an_outage_until_a_signal() {
    let server = RedisServer::start();
    let file = ConfigFile::of(&[("main", &server.url())]);
    let folder = TempDir::new().expect("a folder");
    let socket = folder.path().join("front.sock");
    let socket = socket.to_str().expect("a path of characters");
    let served = Served::start(&["--listen", socket, file.path()], &[]);
    assert_eq!(served.cli(&["SET", "greeting", "hello"]), "OK");
    assert_eq!(redis_cli(&["-s", socket, "GET", "greeting"]), "hello");
    served.becomes("/ready", 200);
    let (status, health) = get(&served.http, "/health");
    assert_eq!(
        (status, &health["ready"]),
        (200, &true.into()),
        "{health:#}"
    );
    assert_eq!(health["databases"]["main"]["role"], "master");

    let (status, metrics) = text("GET", &served.http, "/metrics");
    assert_eq!(status, 200);
    let healthy = metrics.lines().find(|line| {
        line.starts_with("redis_steward_state{") && line.contains(r#"state="healthy""#)
    });
    assert!(
        healthy.is_some_and(|line| line.ends_with("} 1")),
        "{metrics}"
    );

    server.kill();
    served.becomes("/ready", 503);
    assert_eq!(get(&served.http, "/health").0, 503);
    let (status, live) = get(&served.http, "/live");
    assert_eq!(
        (status, &live["databases"]["main"]["state"]),
        (200, &"down".into())
    );
    let refused = served.cli(&["GET", "greeting"]);
    assert!(refused.starts_with("CIRCUITOPEN"), "{refused}");

    server.restart();
    served.becomes("/ready", 200);
    assert_eq!(served.cli(&["PING"]), "PONG");
    let (front, http) = (served.front[0].clone(), served.http.clone());
    let lines = served.end();
    assert!(lines.contains(r#""state":"down""#), "{lines}");
    let last = lines.lines().last().expect("a last line");
    assert_eq!(last, r#"{"type":"stopped","unfinished":0}"#);
    assert!(TcpStream::connect(front).is_err() && TcpStream::connect(http).is_err());
    assert!(!std::path::Path::new(socket).exists());
}

#[test]
fn numbers_are_those_of_the_file_and_a_password_keeps_others_out() {
    let server = RedisServer::start();
    let file = ConfigFile::of(&[("main", &server.url()), ("jobs", &server.url_with_db(5))]);
    let variables = [("FRONT_PASSWORD", "sesame")];
    let served = Served::start(
        &["--password-env", "FRONT_PASSWORD", file.path()],
        &variables,
    );
    assert!(served.cli(&["PING"]).starts_with("NOAUTH"));
    let login = ["--no-auth-warning", "-a", "sesame"];
    assert_eq!(
        served.cli(&[&login[..], &["-n", "5", "SET", "job", "1"]].concat()),
        "OK"
    );
    assert_eq!(served.cli(&[&login[..], &["GET", "job"]].concat()), "");
    let missing = served.cli(&[&login[..], &["-n", "1", "GET", "job"]].concat());
    assert!(missing.contains("ERR"), "{missing}");
    assert!(!served.end().contains("sesame"));
}

#[test]
fn other_paths_and_methods_are_refused() {
    let served = Served::start(&[ConfigFile::of(&[("main", "memory://")]).path()], &[]);
    assert_eq!(get(&served.http, "/").0, 404);
    assert_eq!(request("DELETE", &served.http, "/health").0, 405);
    served.end();
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    let same = ConfigFile::of(&[("a", "memory://x/0"), ("b", "memory://y/0")]);
    let numbers = run(&["serve", "--http", "off", same.path()]);
    assert_eq!(numbers.code, Some(2), "{numbers:#?}");
    assert!(
        numbers.stderr.contains("gives the number 0 to a and to b"),
        "{numbers:#?}"
    );
    let without_zero = ConfigFile::of(&[("a", "memory://x/1"), ("b", "memory://x/2")]);
    let begin = run(&["serve", "--http", "off", without_zero.path()]);
    assert_eq!(begin.code, Some(2), "{begin:#?}");
    let one = ConfigFile::of(&[("a", "memory://")]);
    for remote in [["--listen", "0.0.0.0:0"], ["--http", "0.0.0.0:0"]] {
        let listen = ["--listen", "127.0.0.1:0"];
        let refused = run(&[&["serve"], &listen[..], &remote, &[one.path()]].concat());
        assert_eq!(refused.code, Some(2), "{refused:#?}");
    }
    let unset = run(&["serve", "--password-env", "NO_SUCH_VARIABLE", one.path()]);
    assert_eq!(unset.code, Some(2), "{unset:#?}");
}

#[test]
fn a_chosen_database_is_where_clients_begin() {
    let server = RedisServer::start();
    let file = ConfigFile::of(&[("a", &server.url_with_db(1)), ("b", &server.url_with_db(2))]);
    let served = Served::start(&["--database", "b", file.path()], &[]);
    assert_eq!(served.cli(&["SET", "key", "value"]), "OK");
    assert_eq!(served.cli(&["-n", "2", "GET", "key"]), "value");
    assert_eq!(served.cli(&["-n", "1", "GET", "key"]), "");
    served.end();
}
