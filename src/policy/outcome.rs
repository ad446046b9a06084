//! What the end of an attempt says: about the command, about the server, and about another attempt.

use crate::{
    events::Reason,
    execution::{Execution, Stage},
};

/// How an attempt ended, as far as anybody judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptEnd<'a> {
    /// A reply that is no error.
    Reply,
    /// An error reply with this code.
    ErrorReply(&'a str),
    /// An error reply with this code to something that runs a script, whose author chooses the codes
    /// of its errors, and which may have written before.
    ErrorOfScript(&'a str),
    /// Some of the commands of a pipeline got an error reply, with this code.
    ErrorInPipeline(&'a str),
    /// The deadline passed at this stage.
    TimedOut(Stage),
    /// The deadline passed before the reply of a server that is quick need have come.
    TimedOutEarly,
    /// The connection broke, and the command had got so far.
    ConnectionLost(Execution),
    /// This process refused or gave up by itself, when the command had got so far.
    Local(Execution),
}

/// The one judgement of an attempt, for everybody who needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether the command may have run.
    pub(crate) execution: Execution,
    /// Whether another attempt may follow.
    pub(crate) again: RetryAdvice,
    /// What it says about the server.
    pub(crate) verdict: Verdict,
}

/// Whether another attempt may follow, as far as this one tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAdvice {
    /// It would give the same, or the server may have run the command and no caller could want that
    /// twice.
    Never,
    /// It did not run and may soon be accepted.
    Always,
    /// It may have run.
    IfIdempotent,
    /// It did not run, and may be accepted over a new connection: this one leads to the wrong server.
    Elsewhere,
    /// It did not run, because the server is not ready. A new connection is open once it is.
    OnceReady,
    /// It may have run, and its connection is gone.
    ElsewhereIfIdempotent,
}

/// What an attempt says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server works, even if it did not like the command.
    Healthy,
    /// It works, and refuses a kind of command to everybody. This does not count against it.
    Limited(Reason),
    /// The server fails everybody: this counts against it.
    Failing(Reason),
    /// Nothing.
    Silent,
}

/// Judges an attempt. For the breaker, connection timeouts, reply timeouts, lost connections and the
/// replies of a server that serves nobody count; an error that the command deserved does not (the
/// rule of Envoy's outlier detection, with the server-wide error replies added).
pub(crate) fn classify(end: AttemptEnd<'_>) -> Outcome {
    use Execution::{Executed, NotSent, Unknown};
    let (execution, again, verdict) = match end {
        AttemptEnd::Reply => (Executed, RetryAdvice::Never, Verdict::Healthy),
        AttemptEnd::ErrorReply(code) => return of_error(code),
        AttemptEnd::ErrorOfScript("NOSCRIPT") => return of_error("NOSCRIPT"),
        AttemptEnd::ErrorOfScript(_) => (Unknown, RetryAdvice::IfIdempotent, Verdict::Silent),
        // Others of its commands ran. The server is judged all the same.
        AttemptEnd::ErrorInPipeline(code) => (Executed, RetryAdvice::Never, of_error(code).verdict),
        // There is no time left for another attempt.
        AttemptEnd::TimedOut(Stage::Reply) => {
            let verdict = Verdict::Failing(Reason::Unresponsive);
            (Unknown, RetryAdvice::Never, verdict)
        }
        // A caller in a hurry shall not speak for all. If the reply turns out to be slow, its connection
        // counts that.
        AttemptEnd::TimedOutEarly => (Unknown, RetryAdvice::Never, Verdict::Silent),
        // It is this process that does not get on.
        AttemptEnd::TimedOut(Stage::Runtime) => (Unknown, RetryAdvice::Never, Verdict::Silent),
        // The pool reports failed dials and lost connections itself, once for all who were hit.
        AttemptEnd::TimedOut(Stage::Connect | Stage::Acquire | Stage::Queue) => {
            (NotSent, RetryAdvice::Never, Verdict::Silent)
        }
        AttemptEnd::ConnectionLost(Unknown) => {
            let again = RetryAdvice::ElsewhereIfIdempotent;
            (Unknown, again, Verdict::Silent)
        }
        AttemptEnd::ConnectionLost(execution) => {
            (execution, RetryAdvice::Elsewhere, Verdict::Silent)
        }
        AttemptEnd::Local(execution) => (execution, RetryAdvice::Never, Verdict::Silent),
    };
    Outcome {
        execution,
        again,
        verdict,
    }
}

/// The error replies that mean something. With most of them a server refuses a command before it
/// runs, or after looking at a value and before changing it. What is not among them, of a module or
/// of a newer server, may come from anywhere.
fn of_error(code: &str) -> Outcome {
    use Execution::{NotExecuted, Unknown};
    use RetryAdvice::{Always, Elsewhere, IfIdempotent, Never, OnceReady};
    use Verdict::{Failing, Healthy, Limited};
    let (execution, again, verdict) = match code {
        // The server serves nobody for a while.
        "LOADING" => (NotExecuted, OnceReady, Failing(Reason::Loading)),
        "BUSY" => (NotExecuted, Always, Failing(Reason::Busy)),
        "MASTERDOWN" | "CLUSTERDOWN" => (NotExecuted, Always, Failing(Reason::PrimaryDown)),
        // It serves, but not this: not at this moment,
        "TRYAGAIN" => (NotExecuted, Always, Healthy),
        "NOREPLICAS" => (NotExecuted, Always, Limited(Reason::NoReplicas)),
        // not here,
        "READONLY" => (NotExecuted, Elsewhere, Limited(Reason::ReadOnly)),
        // not to this connection, which was opened before a password was set,
        "NOAUTH" => (NotExecuted, Elsewhere, Healthy),
        // or not until somebody has mended it.
        "MISCONF" => (NotExecuted, Never, Limited(Reason::CannotSave)),
        "OOM" => (NotExecuted, Never, Limited(Reason::OutOfMemory)),
        // The command deserves it. The addresses that come with MOVED and ASK are never used.
        "ERR" | "WRONGTYPE" | "MOVED" | "ASK" | "CROSSSLOT" | "NOPERM" | "DENIED" | "EXECABORT"
        | "BUSYGROUP" | "BUSYKEY" | "NOGROUP" | "NOTBUSY" | "UNKILLABLE" | "INPROG" | "NOPROTO"
        | "WRONGPASS" | "UNBLOCKED" | "INDEX" | "NOQUORUM" => (NotExecuted, Never, Healthy),
        // `redis::Script` loads it and runs it again.
        "NOSCRIPT" => (NotExecuted, Never, Healthy),
        _ => (Unknown, IfIdempotent, Healthy),
    };
    Outcome {
        execution,
        again,
        verdict,
    }
}

/// What a call knows that has been through several attempts: one that may have run, may have run,
/// whatever became of the next.
pub(crate) fn combine(earlier: Execution, last: Execution) -> Execution {
    match (earlier, last) {
        (_, Execution::Executed) | (Execution::Executed, _) => Execution::Executed,
        (_, Execution::Unknown) | (Execution::Unknown, _) => Execution::Unknown,
        (_, Execution::NotExecuted) | (Execution::NotExecuted, _) => Execution::NotExecuted,
        (Execution::NotSent, Execution::NotSent) => Execution::NotSent,
    }
}

#[cfg(test)]
mod tests {
    use Execution::{Executed, NotExecuted, NotSent, Unknown};
    use Reason::{Busy, CannotSave, Loading, NoReplicas, OutOfMemory, PrimaryDown, ReadOnly};
    use RetryAdvice::{Always, Elsewhere, ElsewhereIfIdempotent, IfIdempotent, Never, OnceReady};
    use Verdict::{Failing, Healthy, Limited, Silent};

    use super::*;

    #[test]
    fn every_end_has_its_judgement() {
        for (end, execution, again, verdict) in [
            (AttemptEnd::Reply, Executed, Never, Healthy),
            (AttemptEnd::TimedOut(Stage::Connect), NotSent, Never, Silent),
            (AttemptEnd::TimedOut(Stage::Queue), NotSent, Never, Silent),
            (
                AttemptEnd::TimedOut(Stage::Reply),
                Unknown,
                Never,
                Failing(Reason::Unresponsive),
            ),
            (AttemptEnd::TimedOut(Stage::Runtime), Unknown, Never, Silent),
            (AttemptEnd::TimedOutEarly, Unknown, Never, Silent),
            (
                AttemptEnd::ConnectionLost(Unknown),
                Unknown,
                ElsewhereIfIdempotent,
                Silent,
            ),
            (
                AttemptEnd::ConnectionLost(NotSent),
                NotSent,
                Elsewhere,
                Silent,
            ),
            (AttemptEnd::Local(NotSent), NotSent, Never, Silent),
            (AttemptEnd::Local(Unknown), Unknown, Never, Silent),
            (AttemptEnd::ErrorInPipeline("ERR"), Executed, Never, Healthy),
            (
                AttemptEnd::ErrorInPipeline("BUSY"),
                Executed,
                Never,
                Failing(Busy),
            ),
            (
                AttemptEnd::ErrorOfScript("NOSCRIPT"),
                NotExecuted,
                Never,
                Healthy,
            ),
            (
                AttemptEnd::ErrorOfScript("ERR"),
                Unknown,
                IfIdempotent,
                Silent,
            ),
            (
                AttemptEnd::ErrorOfScript("BUSY"),
                Unknown,
                IfIdempotent,
                Silent,
            ),
            (
                AttemptEnd::ErrorOfScript("LOADING"),
                Unknown,
                IfIdempotent,
                Silent,
            ),
        ] {
            let expected = Outcome {
                execution,
                again,
                verdict,
            };
            assert_eq!(classify(end), expected, "{end:?}");
        }
    }

    #[test]
    fn every_error_reply_has_its_judgement() {
        for (codes, execution, again, verdict) in [
            ("LOADING", NotExecuted, OnceReady, Failing(Loading)),
            ("BUSY", NotExecuted, Always, Failing(Busy)),
            (
                "MASTERDOWN CLUSTERDOWN",
                NotExecuted,
                Always,
                Failing(PrimaryDown),
            ),
            ("TRYAGAIN", NotExecuted, Always, Healthy),
            ("NOREPLICAS", NotExecuted, Always, Limited(NoReplicas)),
            ("READONLY", NotExecuted, Elsewhere, Limited(ReadOnly)),
            ("NOAUTH", NotExecuted, Elsewhere, Healthy),
            ("MISCONF", NotExecuted, Never, Limited(CannotSave)),
            ("OOM", NotExecuted, Never, Limited(OutOfMemory)),
            (
                "MOVED ASK NOSCRIPT EXECABORT WRONGPASS NOPERM DENIED UNBLOCKED CROSSSLOT \
                 WRONGTYPE BUSYGROUP BUSYKEY NOGROUP INDEX ERR NOTBUSY UNKILLABLE INPROG NOPROTO",
                NotExecuted,
                Never,
                Healthy,
            ),
            ("IOERR MYMODULE", Unknown, IfIdempotent, Healthy),
        ] {
            for code in codes.split_whitespace() {
                let expected = Outcome {
                    execution,
                    again,
                    verdict,
                };
                assert_eq!(classify(AttemptEnd::ErrorReply(code)), expected, "{code}");
            }
        }
    }

    #[test]
    fn what_may_have_run_once_may_have_run() {
        assert_eq!(combine(Unknown, NotSent), Unknown);
        assert_eq!(combine(NotExecuted, NotSent), NotExecuted);
        assert_eq!(combine(NotExecuted, Unknown), Unknown);
        assert_eq!(combine(NotSent, NotSent), NotSent);
        assert_eq!(combine(Unknown, Executed), Executed);
    }
}
