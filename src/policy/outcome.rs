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
        End::ErrorReply(code) => match Reason::of_code(code) {
            Some(reason) => Verdict::Failing(reason),
            None => Verdict::Healthy,
        },
        End::TimedOut(Stage::Reply) => Verdict::Failing(Reason::Unresponsive),
        // The pool reports failed dials and lost connections itself, once for all who were hit.
        End::TimedOut(Stage::Connect | Stage::Queue) | End::ConnectionLost => Verdict::Silent,
        End::Local => Verdict::Silent,
    }
}

/// Whether a command that was answered with an error may have had an effect.
///
/// The codes are those by which a server refuses a command before it runs, or after looking at a
/// value and before changing it. What is not among them, of a module or of a newer server, may come
/// from anywhere. A script can write, and then fail with any text that its author chose, so for one
/// only the code that says that there is no such script is certain.
pub(crate) fn execution_of_error(code: &str, runs_script: bool) -> Execution {
    match code {
        "NOSCRIPT" => Execution::NotExecuted,
        _ if runs_script => Execution::Unknown,
        "ERR" | "WRONGTYPE" | "OOM" | "READONLY" | "MISCONF" | "NOREPLICAS" | "LOADING"
        | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK" | "CROSSSLOT"
        | "NOAUTH" | "NOPERM" | "DENIED" | "EXECABORT" | "BUSYGROUP" | "BUSYKEY" | "NOGROUP"
        | "NOTBUSY" | "UNKILLABLE" | "INPROG" | "NOPROTO" | "WRONGPASS" | "UNBLOCKED" | "INDEX"
        | "NOQUORUM" => Execution::NotExecuted,
        _ => Execution::Unknown,
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
        for code in ["ERR", "BUSY", "LOADING", "NOPERM", "MASTERDOWN"] {
            assert_eq!(execution_of_error(code, true), Execution::Unknown);
        }
        assert_eq!(execution_of_error("NOSCRIPT", true), Execution::NotExecuted);
        assert_eq!(execution_of_error("ERR", false), Execution::NotExecuted);
    }

    #[test]
    fn what_an_unknown_code_means_is_not_known() {
        assert_eq!(execution_of_error("IOERR", false), Execution::Unknown);
        assert_eq!(execution_of_error("MYMODULE", false), Execution::Unknown);
    }
}
