//! What the end of an attempt says about the server and about the command.

use crate::{
    error::{Execution, Stage},
    events::Reason,
};

/// How an attempt ended, as far as anybody judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End<'a> {
    /// A reply that is no error.
    Reply,
    /// An error reply with this code.
    ErrorReply(&'a str),
    /// The deadline passed at this stage.
    TimedOut(Stage),
    /// The connection broke.
    ConnectionLost,
    /// This process refused or gave up by itself.
    Local,
}

/// What it says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server works, even if it did not like the command.
    Healthy,
    /// The server fails everybody: this counts against it.
    Failing(Reason),
    /// Nothing.
    Silent,
}

/// Judges the server. Connection timeouts, reply timeouts, lost connections and the replies of a
/// server that serves nobody count against it; an error that the command deserved does not (the
/// rule of Envoy's outlier detection, with the server-wide error replies added).
pub(crate) fn verdict(end: End<'_>) -> Verdict {
    match end {
        End::Reply => Verdict::Healthy,
        End::ErrorReply(code) => match code {
            "LOADING" => Verdict::Failing(Reason::Loading),
            "BUSY" => Verdict::Failing(Reason::Busy),
            "MASTERDOWN" | "CLUSTERDOWN" => Verdict::Failing(Reason::PrimaryDown),
            _ => Verdict::Healthy,
        },
        End::TimedOut(Stage::Reply) => Verdict::Failing(Reason::Unresponsive),
        // The pool reports failed dials and lost connections itself, once for all who were hit.
        End::TimedOut(Stage::Connect | Stage::Queue) | End::ConnectionLost => Verdict::Silent,
        End::Local => Verdict::Silent,
    }
}

/// Whether a command that was answered with an error may have had an effect. A script can write
/// and fail afterwards, so for one only the refusals that come before it starts are certain.
pub(crate) fn execution_of_error(code: &str, runs_script: bool) -> Execution {
    match code {
        "NOSCRIPT" | "LOADING" | "BUSY" | "MASTERDOWN" | "NOAUTH" | "NOPERM" | "EXECABORT" => {
            Execution::NotExecuted
        }
        _ if runs_script => Execution::Unknown,
        _ => Execution::NotExecuted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_fails_everybody_is_failing() {
        let cases = [
            (End::Reply, Verdict::Healthy),
            (End::ErrorReply("WRONGTYPE"), Verdict::Healthy),
            (End::ErrorReply("NOSCRIPT"), Verdict::Healthy),
            (End::ErrorReply("NOPERM"), Verdict::Healthy),
            (End::ErrorReply("OOM"), Verdict::Healthy),
            (
                End::ErrorReply("LOADING"),
                Verdict::Failing(Reason::Loading),
            ),
            (End::ErrorReply("BUSY"), Verdict::Failing(Reason::Busy)),
            (
                End::ErrorReply("MASTERDOWN"),
                Verdict::Failing(Reason::PrimaryDown),
            ),
            (
                End::TimedOut(Stage::Reply),
                Verdict::Failing(Reason::Unresponsive),
            ),
            (End::TimedOut(Stage::Connect), Verdict::Silent),
            (End::ConnectionLost, Verdict::Silent),
            (End::Local, Verdict::Silent),
        ];
        for (end, expected) in cases {
            assert_eq!(verdict(end), expected, "{end:?}");
        }
    }

    #[test]
    fn a_failed_script_may_have_written() {
        assert_eq!(execution_of_error("ERR", true), Execution::Unknown);
        assert_eq!(execution_of_error("NOSCRIPT", true), Execution::NotExecuted);
        assert_eq!(execution_of_error("ERR", false), Execution::NotExecuted);
    }
}
