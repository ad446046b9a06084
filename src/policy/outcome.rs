//! The classification of an attempt: its execution state, the verdict on the server, and whether another
//! attempt may follow.

use super::refusals;
use crate::{
    events::Reason,
    execution::{Execution, Stage},
    reply_code::{ErrorReply, ReplyCode},
};

/// The end of an attempt, as far as its classification depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptEnd<'a> {
    /// A reply that is no error.
    Reply,
    /// A reply that exceeds a limit of this crate.
    ReplyTooLarge,
    /// This error reply.
    ErrorReply(ErrorReply<'a>),
    /// This error reply to a script. Its author chooses codes and texts, and it may have written before.
    ErrorOfScript(ErrorReply<'a>),
    /// Some of the commands of a pipeline got an error reply, of which this one says most about the server.
    ErrorInPipeline(ErrorReply<'a>),
    /// The server discarded a transaction. This error reply is the reason.
    TransactionDiscarded(ErrorReply<'a>),
    /// The deadline passed at this stage.
    TimedOut(Stage),
    /// The deadline passed before a healthy server need have replied.
    TimedOutEarly,
    /// The connection broke, with the command in this state.
    ConnectionLost(Execution),
    /// This process refused or gave up the command, which was in this state.
    Local(Execution),
}

/// The one classification of an attempt, from which all decisions about it follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether the command may have run.
    pub(crate) execution: Execution,
    /// Whether another attempt may follow.
    pub(crate) again: RetryAdvice,
    /// The verdict on the server.
    pub(crate) verdict: Verdict,
}

/// Whether another attempt may follow, by the result of this one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAdvice {
    /// Another attempt would give the same result, has no time left, or would repeat commands that ran.
    Never,
    /// The command did not run and may soon be accepted.
    Always,
    /// The command may have run.
    IfIdempotent,
    /// The command did not run, and may be accepted over a new connection: this one leads to the wrong
    /// server.
    Elsewhere,
    /// The command did not run, because the server is not ready. A new connection opens once it is.
    OnceReady,
    /// The command may have run, and its connection is gone.
    ElsewhereIfIdempotent,
}

/// The verdict of an attempt on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server works, even if it refused the command.
    Healthy,
    /// The server works, and refuses a kind of command to all callers. This does not count against it.
    Limited(Reason),
    /// The server fails all callers. This counts against it.
    Failing(Reason),
    /// No verdict.
    Silent,
}

/// Classifies an attempt. Connection timeouts, reply timeouts, lost connections and server-wide error
/// replies count for the breaker. Errors caused by the command do not (the rule of Envoy's outlier detection,
/// with the server-wide error replies added).
pub(crate) fn classify(end: AttemptEnd<'_>) -> Outcome {
    use Execution::{Executed, NotSent, Unknown};
    let (execution, again, verdict) = match end {
        // One reply is as good a sign as the other.
        AttemptEnd::Reply | AttemptEnd::ReplyTooLarge => {
            (Executed, RetryAdvice::Never, Verdict::Healthy)
        }
        AttemptEnd::ErrorReply(error) => return of_error(error),
        AttemptEnd::ErrorOfScript(error) if is_missing_script(error) => return of_error(error),
        // A script can answer with any code and text, those of the server included, so none tells anything
        // about the server. Another attempt would most likely end with the same error.
        AttemptEnd::ErrorOfScript(_) => (Unknown, RetryAdvice::Never, Verdict::Silent),
        // Other commands of the pipeline ran. The error still counts for the verdict.
        AttemptEnd::ErrorInPipeline(error) => {
            (Executed, RetryAdvice::Never, of_error(error).verdict)
        }
        AttemptEnd::TransactionDiscarded(error) => {
            let reason = of_error(error);
            // An error that proves nothing by itself is the command's own.
            let again = match reason.execution {
                Execution::NotExecuted => reason.again,
                _ => RetryAdvice::Never,
            };
            (Execution::NotExecuted, again, reason.verdict)
        }
        // No time is left for another attempt.
        AttemptEnd::TimedOut(Stage::Reply) => {
            let verdict = Verdict::Failing(Reason::Unresponsive);
            (Unknown, RetryAdvice::Never, verdict)
        }
        // A short timeout is no evidence against the server. If the reply turns out to be slow, the
        // connection reports it.
        AttemptEnd::TimedOutEarly => (Unknown, RetryAdvice::Never, Verdict::Silent),
        // The runtime of this process is stalled, not the server.
        AttemptEnd::TimedOut(Stage::Runtime) => (Unknown, RetryAdvice::Never, Verdict::Silent),
        // The pool reports failed dials and lost connections itself, once for all affected callers.
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

/// Whether the server did not know the script. Its own text is asked for, because a script may answer with
/// the code.
fn is_missing_script(error: ErrorReply<'_>) -> bool {
    error.code == "NOSCRIPT" && error.text.starts_with("No matching script")
}

/// Classifies an error reply. With most known codes a server refuses a command before it runs, or after it
/// has read a value and before it changes one. The general code proves that only with a text of the server's
/// own, and an unknown code, of a module or of a newer server, may come after a change.
fn of_error(error: ErrorReply<'_>) -> Outcome {
    use Execution::{NotExecuted, Unknown};
    use RetryAdvice::{Always, Elsewhere, IfIdempotent, Never, OnceReady};
    use Verdict::{Failing, Healthy, Limited};
    let (execution, again, verdict) = match ReplyCode::of(error.code) {
        // The server runs no commands for a while.
        ReplyCode::Loading => (NotExecuted, OnceReady, Failing(Reason::Loading)),
        ReplyCode::Busy => (NotExecuted, Always, Failing(Reason::Busy)),
        ReplyCode::PrimaryDown => (NotExecuted, Always, Failing(Reason::PrimaryDown)),
        // The server works, but does not run this command: not at this moment,
        ReplyCode::TryAgain => (NotExecuted, Always, Healthy),
        ReplyCode::NoReplicas => (NotExecuted, Always, Limited(Reason::NoReplicas)),
        // not here,
        ReplyCode::ReadOnly => (NotExecuted, Elsewhere, Limited(Reason::ReadOnly)),
        // not to this connection, which was opened before a password was set,
        ReplyCode::NotAuthenticated => (NotExecuted, Elsewhere, Failing(Reason::Rejected)),
        // or not until an operator has repaired it.
        ReplyCode::CannotSave => (NotExecuted, Never, Limited(Reason::CannotSave)),
        ReplyCode::OutOfMemory => (NotExecuted, Never, Limited(Reason::OutOfMemory)),
        // The command causes the error. The addresses in MOVED and ASK are never used, and
        // `redis::Script` loads a missing script and runs it again.
        ReplyCode::NoPermission
        | ReplyCode::Rejected
        | ReplyCode::NoProtocol
        | ReplyCode::Unblocked
        | ReplyCode::Deserved => (NotExecuted, Never, Healthy),
        ReplyCode::General if refusals::is_proven(error.text) => (NotExecuted, Never, Healthy),
        // Most are still the command's own mistake, which another attempt would repeat.
        ReplyCode::General => (Unknown, Never, Healthy),
        ReplyCode::Unknown => (Unknown, IfIdempotent, Healthy),
    };
    Outcome {
        execution,
        again,
        verdict,
    }
}

/// The execution state of a call after several attempts: if one of them may have run, the call may have run,
/// whatever the later attempts say.
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

    /// The error reply of this line.
    fn error(line: &str) -> ErrorReply<'_> {
        let (code, text) = line.split_once(' ').unwrap_or((line, ""));
        ErrorReply { code, text }
    }

    #[test]
    fn every_end_has_its_classification() {
        for (end, execution, again, verdict) in [
            (AttemptEnd::Reply, Executed, Never, Healthy),
            (AttemptEnd::ReplyTooLarge, Executed, Never, Healthy),
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
            (
                AttemptEnd::ErrorInPipeline(error("ERR syntax error")),
                Executed,
                Never,
                Healthy,
            ),
            (
                AttemptEnd::ErrorInPipeline(error("BUSY")),
                Executed,
                Never,
                Failing(Busy),
            ),
            (
                AttemptEnd::ErrorOfScript(error("NOSCRIPT No matching script. Please use EVAL.")),
                NotExecuted,
                Never,
                Healthy,
            ),
            (
                AttemptEnd::TransactionDiscarded(error("READONLY")),
                NotExecuted,
                Elsewhere,
                Limited(ReadOnly),
            ),
            (
                AttemptEnd::TransactionDiscarded(error("MYMODULE text")),
                NotExecuted,
                Never,
                Healthy,
            ),
            (
                AttemptEnd::TransactionDiscarded(error("ERR Connection timed out")),
                NotExecuted,
                Never,
                Healthy,
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

    /// A script may answer with any code, and with the server's own text.
    #[test]
    fn no_error_of_a_script_is_trusted() {
        for line in [
            "ERR syntax error",
            "MYERR text",
            "NOSCRIPT mine",
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script.",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "READONLY You can't write against a read only replica.",
            "MASTERDOWN",
        ] {
            let expected = Outcome {
                execution: Unknown,
                again: Never,
                verdict: Silent,
            };
            let outcome = classify(AttemptEnd::ErrorOfScript(error(line)));
            assert_eq!(outcome, expected, "{line}");
        }
    }

    #[test]
    fn the_general_code_proves_a_refusal_only_with_a_text_of_the_server() {
        for (line, execution) in [
            (
                "ERR unknown command '***', with args beginning with: ***",
                NotExecuted,
            ),
            ("ERR no such key", NotExecuted),
            ("ERR", Unknown),
            ("ERR Connection timed out", Unknown),
        ] {
            let expected = Outcome {
                execution,
                again: Never,
                verdict: Healthy,
            };
            let outcome = classify(AttemptEnd::ErrorReply(error(line)));
            assert_eq!(outcome, expected, "{line}");
        }
    }

    #[test]
    fn every_code_of_an_error_reply_has_its_classification() {
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
            ("NOAUTH", NotExecuted, Elsewhere, Failing(Reason::Rejected)),
            ("MISCONF", NotExecuted, Never, Limited(CannotSave)),
            ("OOM", NotExecuted, Never, Limited(OutOfMemory)),
            (
                "MOVED ASK NOSCRIPT EXECABORT WRONGPASS NOPERM DENIED UNBLOCKED CROSSSLOT \
                 WRONGTYPE BUSYGROUP BUSYKEY NOGROUP INDEX NOTBUSY UNKILLABLE INPROG NOPROTO",
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
                let outcome = classify(AttemptEnd::ErrorReply(error(code)));
                assert_eq!(outcome, expected, "{code}");
            }
        }
    }

    #[test]
    fn a_later_attempt_does_not_hide_that_an_earlier_one_may_have_run() {
        assert_eq!(combine(Unknown, NotSent), Unknown);
        assert_eq!(combine(NotExecuted, NotSent), NotExecuted);
        assert_eq!(combine(NotExecuted, Unknown), Unknown);
        assert_eq!(combine(NotSent, NotSent), NotSent);
        assert_eq!(combine(Unknown, Executed), Executed);
    }
}
