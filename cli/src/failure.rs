//! Why a run ends early, and the exit code for it.

use std::{io, process::ExitCode};

use redis_steward::{ConfigError, Error, FrontError, Problem, StartError};
use serde_json::{Value, json};

use crate::output::Output;

/// The exit code for a file or a command line that cannot be used.
const UNUSABLE: u8 = 2;

#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration has problems.
    Config(ConfigError),
    /// The command line asks for something that does not fit.
    Usage(String),
    /// Results cannot be written, or the system refuses something.
    Io(io::Error),
    /// Something else went wrong on the way.
    Run(String),
}

impl Failure {
    /// Tells the user, and returns the exit code.
    pub(crate) fn report(self, output: &Output) -> ExitCode {
        let (message, code) = match &self {
            // The reader of the results has seen enough, for instance `head`.
            Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Config(error) => (error.to_string(), UNUSABLE),
            Self::Usage(message) => (message.clone(), UNUSABLE),
            Self::Io(error) => (error.to_string(), 1),
            Self::Run(message) => (message.clone(), 1),
        };
        output.message(format_args!("redis-steward: {message}"));
        // If it cannot be written, the message above has to do.
        let _ = output.json_only(&self.document(&message));
        ExitCode::from(code)
    }

    fn document(&self, message: &str) -> Value {
        match self {
            Self::Config(error) => {
                let problems: Vec<_> = error.problems().iter().map(problem).collect();
                json!({"ok": false, "problems": problems})
            }
            _ => json!({"ok": false, "error": message}),
        }
    }
}

fn problem(problem: &Problem) -> Value {
    let position = problem.position();
    json!({
        "database": problem.database(),
        "field": problem.field(),
        "message": problem.message(),
        "file": position.map(|position| position.file()),
        "line": position.map(|position| position.line()),
        "column": position.map(|position| position.column()),
    })
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => Self::Config(error),
            other => Self::Run(other.to_string()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<FrontError> for Failure {
    fn from(error: FrontError) -> Self {
        match error {
            // The machine is at fault and not the command line.
            FrontError::Listen { .. } | FrontError::Runtime => Self::Run(error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}
