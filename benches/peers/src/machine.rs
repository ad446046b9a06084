//! What the figures were measured on.

use std::{fmt, fs, process::Command, thread::available_parallelism};

use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    pub redis_server: String,
    pub rustc: String,
}

impl Machine {
    /// Looks. What cannot be found out is said to be unknown.
    pub fn this() -> Self {
        Self {
            cpu: cpu(),
            cores: available_parallelism().map_or(0, usize::from),
            kernel: first_line("uname", &["-sr"]),
            redis_server: redis_server(),
            rustc: first_line("rustc", &["--version"]),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            cores,
            kernel,
            redis_server,
            rustc,
        } = self;
        write!(
            f,
            "{cpu}, {cores} cores, {kernel}, redis-server {redis_server}, {rustc}"
        )
    }
}

fn cpu() -> String {
    let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = facts
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(unknown, |rest| {
        rest.trim_start_matches([' ', '\t', ':']).into()
    })
}

fn redis_server() -> String {
    let line = first_line("redis-server", &["--version"]);
    let version = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="));
    version.map_or(line.clone(), Into::into)
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let line = text.as_deref().and_then(|text| text.lines().next());
    line.map_or_else(unknown, Into::into)
}

fn unknown() -> String {
    "unknown".into()
}
