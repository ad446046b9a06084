//! redis-benchmark beside this program, if it is installed.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use redis_steward::Config;
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    time::timeout,
};

use super::{halt::Halt, keys::Keys};
use crate::{arguments::BenchArguments, target};

const PROGRAM: &str = "redis-benchmark";

/// The longest value that fits into an argument of a program, with room to spare.
const LONGEST: u32 = 100_000;

/// How redis-benchmark reaches the server, or why it is not run.
#[derive(Debug)]
pub(super) struct Peer {
    address: String,
    arguments: Result<Vec<String>, String>,
}

/// The results of redis-benchmark.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) set: Option<Figures>,
    pub(super) get: Option<Figures>,
}

/// The results of one command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    requests: u64,
    pub(super) per_second: f64,
    /// Older versions do not tell these.
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) max_ms: Option<f64>,
}

impl Peer {
    pub(super) fn of(config: &Config, database: &str, bench: &BenchArguments) -> Self {
        let setting = |key| target::setting(config, key).remove(database);
        let address = setting("address").unwrap_or_default();
        let number = setting("number").unwrap_or_default();
        let has_password = setting("password").is_some_and(|password| password != "none");
        let arguments = if bench.alone {
            Err("it was not wanted".into())
        } else if has_password {
            // It takes a password only as an argument.
            Err("it would show the password to other users of this machine".into())
        } else if is_encrypted(&bench.target) {
            Err("it is not run over TLS, for which it would need the certificates as well".into())
        } else {
            reached(&address).map(|reached| [reached, vec!["--dbnum".into(), number]].concat())
        };
        Self { address, arguments }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Runs it for about as long, at the rate that was seen. It runs writes and reads one after the other. The error says
    /// why there is no result. When this returns, none is running.
    pub(super) async fn run(
        &self,
        keys: &Keys,
        arguments: &BenchArguments,
        rate: f64,
        halt: &Halt,
    ) -> Result<Compared, String> {
        let reached = self.arguments.as_ref().map_err(Clone::clone)?;
        if arguments.size > LONGEST {
            return Err("the values are too long for its command line".into());
        }
        let requests = rate * arguments.seconds.as_secs_f64();
        let reads = f64::from(arguments.reads) / 100.0;
        let run = async |share: f64, words| {
            let requests = (requests * share) as u64;
            if requests == 0 {
                return Ok(None);
            }
            let run = Run {
                reached,
                arguments,
                keys: keys.count(),
                requests,
                halt,
            };
            run.one(words).await.map(Some)
        };
        Ok(Compared {
            set: run(1.0 - reads, keys.set_words("__rand_int__")).await?,
            get: run(reads, keys.get_words("__rand_int__")).await?,
        })
    }
}

/// Whether the scheme of a URL asks for TLS.
fn is_encrypted(target: &str) -> bool {
    let scheme = target.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        ["rediss", "valkeys"]
            .iter()
            .any(|encrypted| scheme.eq_ignore_ascii_case(encrypted))
    })
}

/// The arguments that lead to an address.
fn reached(address: &str) -> Result<Vec<String>, String> {
    if let Some(path) = address.strip_prefix("unix:") {
        return Ok(vec!["-s".into(), path.into()]);
    }
    let split = address.rsplit_once(':');
    match split {
        Some((host, port)) if port.parse::<u16>().is_ok() => {
            let host = host.trim_matches(['[', ']']);
            Ok(["-h", host, "-p", port].map(str::to_owned).into())
        }
        _ => Err("it cannot reach a server inside of this process".into()),
    }
}

struct Run<'a> {
    reached: &'a [String],
    arguments: &'a BenchArguments,
    keys: u32,
    requests: u64,
    halt: &'a Halt,
}

impl Run<'_> {
    async fn one(&self, words: Vec<String>) -> Result<Figures, String> {
        let options = [
            ("-c", self.arguments.clients.to_string()),
            ("-n", self.requests.to_string()),
            ("-r", self.keys.to_string()),
        ];
        let mut command = Command::new(PROGRAM);
        command
            .args(self.reached)
            .args(options.iter().flat_map(|(key, value)| [*key, value]))
            .arg("--csv")
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("{PROGRAM} is not installed"),
            _ => format!("{PROGRAM} cannot be run: {error}"),
        })?;
        // Only a server that has become far slower takes so long.
        let bound = 5 * self.arguments.seconds + Duration::from_secs(30);
        let ended = tokio::select! {
            ended = timeout(bound, output(&mut child)) => {
                ended.map_err(|_| format!("{PROGRAM} did not end within {bound:?}"))
            }
            () = self.halt.asked() => Err("the run was interrupted".into()),
        };
        if ended.is_err() {
            // An error says that it has ended.
            let _ = child.kill().await;
        }
        let (text, status) =
            ended?.map_err(|error| format!("{PROGRAM} cannot be read: {error}"))?;
        let figures = Figures::read(&text, self.requests);
        figures.ok_or_else(|| format!("{PROGRAM} ended without a result ({status})"))
    }
}

/// What a program writes until it ends.
async fn output(child: &mut Child) -> io::Result<(String, ExitStatus)> {
    let mut text = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_end(&mut text).await?;
    }
    let status = child.wait().await?;
    Ok((String::from_utf8_lossy(&text).into_owned(), status))
}

impl Figures {
    /// Reads the last line: the name of the test, which has the words of the command, and numbers as in the line of
    /// heads. Without one, as in older versions, the only number is the rate.
    fn read(csv: &str, requests: u64) -> Option<Self> {
        let cells = |line: &str| -> Vec<String> {
            let cells = line.trim_matches('"').split("\",\"");
            cells.map(str::to_owned).collect()
        };
        let mut lines = csv.lines().filter(|line| line.starts_with('"'));
        let first = lines.next().map(cells)?;
        let (heads, values) = match lines.next_back() {
            Some(last) => (first, cells(last)),
            None => (vec!["test".into(), "rps".into()], first),
        };
        let number = |head: &str| -> Option<f64> {
            let at = heads.iter().position(|known| known == head)?;
            values.get(at)?.parse().ok()
        };
        Some(Self {
            requests,
            per_second: number("rps")?,
            p50_ms: number("p50_latency_ms"),
            p95_ms: number("p95_latency_ms"),
            p99_ms: number("p99_latency_ms"),
            max_ms: number("max_latency_ms"),
        })
    }

    fn document(&self) -> Value {
        json!({
            "requests": self.requests,
            "commands_per_second": self.per_second,
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "p99_ms": self.p99_ms,
            "max_ms": self.max_ms,
        })
    }
}

impl Compared {
    /// Commands per second over both runs.
    pub(super) fn per_second(&self) -> f64 {
        let runs = [&self.set, &self.get].into_iter().flatten();
        let (requests, seconds) = runs.fold((0.0, 0.0), |(requests, seconds), run| {
            let more = run.requests as f64;
            (requests + more, seconds + more / run.per_second.max(0.001))
        });
        if seconds > 0.0 {
            requests / seconds
        } else {
            0.0
        }
    }

    pub(super) fn document(&self) -> Value {
        json!({
            "commands_per_second": self.per_second(),
            "set": self.set.as_ref().map(Figures::document),
            "get": self.get.as_ref().map(Figures::document),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    #[test]
    fn results_of_new_and_old_versions_are_read() {
        let new = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\
            \"p99_latency_ms\",\"max_latency_ms\"\n\
            \"SET a:__rand_int__ xxx\",\"50000.00\",\"0.5\",\"0.1\",\"0.4\",\"0.8\",\"0.9\",\"2.0\"\n";
        let figures = Figures::read(new, 10).expect("figures");
        assert_eq!(
            (figures.per_second, figures.p50_ms, figures.max_ms),
            (50_000.0, Some(0.4), Some(2.0))
        );
        let old = Figures::read("\"GET a\",\"123.45\"\n", 10).expect("figures");
        assert_eq!((old.per_second, old.p50_ms), (123.45, None));
        assert_eq!(Figures::read("ERR no such thing\n", 10), None);
    }

    #[test]
    fn the_rate_of_both_runs_is_that_of_their_times() {
        let figures = |requests, per_second| {
            Some(Figures {
                requests,
                per_second,
                ..Figures::default()
            })
        };
        let compared = Compared {
            set: figures(100, 100.0),
            get: figures(300, 100.0),
        };
        assert!((compared.per_second() - 100.0).abs() < 0.001);
        let nothing = Compared {
            set: None,
            get: None,
        };
        assert!(nothing.per_second().abs() < 0.001);
    }

    #[test]
    fn it_is_not_run_beside_a_server_that_is_reached_by_tls() {
        for target in ["rediss://h", "valkeys://h:1/2", "REDISS://h"] {
            let arguments = Arguments::parse_from(["redis-steward", "bench", target]);
            let Command::Bench(bench) = arguments.command else {
                panic!("it is a bench");
            };
            let peer = Peer::of(&Config::new(), "main", &bench);
            let reason = peer.arguments.expect_err("a reason");
            assert!(reason.contains("TLS"), "{reason}");
        }
        for target in ["redis://rediss", "rediss.yaml", "valkey://h"] {
            assert!(!is_encrypted(target), "{target}");
        }
    }

    #[test]
    fn addresses_become_arguments() {
        assert_eq!(
            reached("[::1]:6379"),
            Ok(["-h", "::1", "-p", "6379"].map(str::to_owned).into())
        );
        assert_eq!(
            reached("unix:/run/redis.sock"),
            Ok(["-s", "/run/redis.sock"].map(str::to_owned).into())
        );
        assert!(reached("memory://x").is_err());
    }
}
