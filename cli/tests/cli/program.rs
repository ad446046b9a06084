//! The program under test.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::eventually;

/// No run of a test takes nearly as long.
const BOUND: Duration = Duration::from_secs(60);

/// The results of a run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The one JSON document of stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Neither stream shows the text.
    #[track_caller]
    pub(crate) fn hides(&self, secret: &str) {
        assert!(!self.stdout.contains(secret), "{}", self.stdout);
        assert!(!self.stderr.contains(secret), "{}", self.stderr);
    }
}

/// A run that may go on; dropping it kills it.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
    seen: Mutex<Vec<String>>,
}

/// Runs the program to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Program::start(arguments, &[]).end()
}

impl Program {
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_redis-steward"))
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let lines = lines(child.stdout.take().expect("stdout"));
        let errors = lines_of_errors(&mut child);
        Self {
            child,
            lines,
            errors,
            seen: Mutex::default(),
        }
    }

    /// The first line of stdout from here on for which this holds.
    #[track_caller]
    pub(crate) fn line(&self, is_meant: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + BOUND;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.lock().expect("seen").push(line.clone());
                    if is_meant(&line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no such line: {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    let errors: Vec<_> = self.errors.try_iter().collect();
                    panic!("stdout has ended: {:#?}\n{errors:#?}", self.seen);
                }
            }
        }
    }

    /// The first JSON line of stdout from here on for which this holds.
    #[track_caller]
    pub(crate) fn json_line(&self, is_meant: impl Fn(&Value) -> bool) -> Value {
        let read = |line: &str| -> Value { serde_json::from_str(line).expect("JSON in each line") };
        read(&self.line(|line| is_meant(&read(line))))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child that can be signalled");
    }

    /// Waits for the end, with all lines that were not asked for.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let mut code = None;
        eventually(BOUND, "the program ends", || {
            code = self.child.try_wait().expect("a child");
            code.is_some()
        });
        let text = |lines: &Receiver<String>| lines.iter().collect::<Vec<_>>().join("\n");
        Ended {
            code: code.and_then(|code| code.code()),
            stdout: text(&self.lines),
            stderr: text(&self.errors),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of_errors(child: &mut Child) -> Receiver<String> {
    lines(child.stderr.take().expect("stderr"))
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
