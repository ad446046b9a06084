//! What a call sends: one command, or a pipeline.

use redis::{Arg, Cmd, Pipeline, Value};

use crate::{
    execution::Execution,
    net::{Expected, Reply},
    policy::{
        command::{self, Effect},
        outcome::{End, Verdict, judge},
        read_only,
    },
};

/// Everything that an attempt needs to know of what it sends.
pub(super) trait Work {
    /// Encoded, with what answers it.
    fn pack(&self) -> (Vec<u8>, Expected);

    /// What answers it on a connection that nobody shares.
    fn expected_on_lease(&self) -> Expected;

    /// The worst that it may leave behind on its connection.
    fn effect(&self) -> Effect;

    /// Whether no transaction is open after it, by the reply to what was to end it.
    fn has_ended(&self, reply: &Reply) -> bool;

    /// The code of the last reply, if that is an error.
    fn error_code<'a>(&self, reply: &'a Reply) -> Option<&'a str> {
        match reply {
            Reply::One(value) => code(value),
            Reply::Many(values) => values.last().and_then(code),
        }
    }

    /// Whether it can have an effect and fail afterwards.
    fn runs_script(&self) -> bool;

    /// Whether it may run twice without anybody noticing.
    fn only_reads(&self) -> bool;

    /// What a reply with an error in it is evidence of.
    fn end_of_error<'a>(&self, reply: &'a Reply) -> End<'a>;
}

impl Work for Cmd {
    fn pack(&self) -> (Vec<u8>, Expected) {
        (self.get_packed_command(), Expected::One)
    }

    fn expected_on_lease(&self) -> Expected {
        match command::confirmations(args(self)) {
            Some(confirmations) => Expected::Confirmations(confirmations),
            None => Expected::One,
        }
    }

    fn effect(&self) -> Effect {
        command::effect(args(self))
    }

    fn has_ended(&self, reply: &Reply) -> bool {
        match reply {
            Reply::One(value) => self.effect() == Effect::EndsTransaction && ends(value),
            Reply::Many(_) => false,
        }
    }

    fn runs_script(&self) -> bool {
        command::runs_script(args(self))
    }

    fn only_reads(&self) -> bool {
        read_only::only_reads(args(self))
    }

    fn end_of_error<'a>(&self, reply: &'a Reply) -> End<'a> {
        let Reply::One(Value::ServerError(error)) = reply else {
            return End::Reply;
        };
        match self.runs_script() {
            true => End::ErrorOfScript(error.code()),
            false => End::ErrorReply(error.code()),
        }
    }
}

impl Work for Pipeline {
    fn pack(&self) -> (Vec<u8>, Expected) {
        (self.get_packed_pipeline(), self.expected_on_lease())
    }

    fn expected_on_lease(&self) -> Expected {
        Expected::Many(self.len() + extra_replies(self))
    }

    fn effect(&self) -> Effect {
        // An EXEC of its own ends what was begun before.
        let of_itself = match self.is_transaction() {
            true => Effect::EndsTransaction,
            false => Effect::Nothing,
        };
        self.cmd_iter()
            .map(Work::effect)
            .fold(of_itself, Effect::and)
    }

    fn has_ended(&self, reply: &Reply) -> bool {
        let Reply::Many(replies) = reply else {
            return false;
        };
        if self.is_transaction() {
            return replies.last().is_some_and(ends);
        }
        // What follows the last of them changes nothing.
        let effects = self.cmd_iter().map(Work::effect).zip(replies);
        let last = effects.filter(|it| it.0 != Effect::Nothing).last();
        last.is_some_and(|(effect, reply)| effect == Effect::EndsTransaction && ends(reply))
    }

    fn runs_script(&self) -> bool {
        self.cmd_iter().any(Work::runs_script)
    }

    fn only_reads(&self) -> bool {
        self.cmd_iter().all(Work::only_reads)
    }

    /// A pipeline that was refused as a whole is judged as a command is.
    fn end_of_error<'a>(&self, reply: &'a Reply) -> End<'a> {
        let Reply::Many(replies) = reply else {
            return End::Reply;
        };
        let mut codes = replies.iter().filter_map(code).peekable();
        let Some(&first) = codes.peek() else {
            return End::Reply;
        };
        if self.runs_script() {
            return End::ErrorOfScript(first);
        }
        let was_aborted =
            self.is_transaction() && replies.last().and_then(code) == Some("EXECABORT");
        let all_were_refused =
            codes.clone().count() == replies.len() && codes.clone().all(is_refusal);
        if was_aborted || all_were_refused {
            return End::ErrorReply(first);
        }
        // One command that the server fails because it fails everybody is enough.
        let says_something = |code: &&str| judge(End::ErrorReply(code)).verdict != Verdict::Healthy;
        End::ErrorInPipeline(codes.find(says_something).unwrap_or(first))
    }
}

/// The replies to the MULTI and EXEC around a transaction.
pub(super) fn extra_replies(pipeline: &Pipeline) -> usize {
    if pipeline.is_transaction() { 2 } else { 0 }
}

pub(crate) fn args(command: &Cmd) -> impl Iterator<Item = &[u8]> + Clone {
    command.args_iter().map(|arg| match arg {
        Arg::Simple(bytes) => bytes,
        // The number of a scan's cursor, which is never a name.
        _ => b"0",
    })
}

/// Whether what was to end a transaction has done so. (An UNWATCH can be queued itself.)
fn ends(reply: &Value) -> bool {
    let is_queued = matches!(reply, Value::SimpleString(text) if text == "QUEUED");
    !is_queued && matches!(code(reply), None | Some("EXECABORT"))
}

fn code(reply: &Value) -> Option<&str> {
    match reply {
        Value::ServerError(error) => Some(error.code()),
        _ => None,
    }
}

fn is_refusal(code: &str) -> bool {
    judge(End::ErrorReply(code)).execution == Execution::NotExecuted
}

#[cfg(test)]
mod tests {
    use redis::{cmd, pipe};

    use super::*;
    use crate::{
        common::{RedisServer, resp},
        sanitize,
    };

    /// Replies; those in capitals are errors.
    fn replies(words: &[&str]) -> Reply {
        let reply = |word: &&str| match word.chars().all(char::is_uppercase) {
            true => Value::ServerError(sanitize::from_line(&format!("{word} text"))),
            false => Value::SimpleString((*word).into()),
        };
        Reply::Many(words.iter().map(reply).collect())
    }

    #[test]
    fn the_commands_that_only_read_are_those_of_the_server() {
        let server = RedisServer::start();
        let resp::Reply::Array(commands) = server.command(&["COMMAND"]) else {
            panic!("a list")
        };
        assert!(commands.len() > 200, "{}", commands.len());
        for command in commands {
            let resp::Reply::Array(fields) = command else {
                panic!("a list of fields")
            };
            let (name, flags) = (fields[0].to_string(), fields[2].to_string());
            let command = cmd(&name);
            let says_so = flags.contains("readonly");
            let looks_at_the_server = ["command", "echo", "info", "lastsave", "object", "ping"]
                .into_iter()
                .chain(["pubsub", "role", "time", "xinfo"])
                .any(|other| name == other);
            assert_eq!(
                command.only_reads(),
                says_so || looks_at_the_server,
                "{name}: {flags}"
            );
            assert!(!(command.only_reads() && flags.contains("write")), "{name}");
        }
    }

    #[test]
    fn a_pipeline_that_was_refused_as_a_whole_is_judged_as_a_command() {
        let mut two = pipe();
        two.get("a").get("b");
        let end = |words: &[&str], expected| {
            let replies = replies(words);
            assert_eq!(two.end_of_error(&replies), expected, "{words:?}");
        };
        end(&["LOADING", "LOADING"], End::ErrorReply("LOADING"));
        end(&["READONLY", "MOVED"], End::ErrorReply("READONLY"));
        end(&["ok", "READONLY"], End::ErrorInPipeline("READONLY"));
        end(&["WRONGTYPE", "ok"], End::ErrorInPipeline("WRONGTYPE"));
        end(&["WRONGTYPE", "BUSY", "ok"], End::ErrorInPipeline("BUSY"));
        end(&["MYMODULE", "ERR"], End::ErrorInPipeline("MYMODULE"));
    }

    #[test]
    fn a_transaction_that_was_aborted_is_judged_by_what_aborted_it() {
        let mut two = pipe();
        two.atomic().set("a", 1).set("b", 1);
        let end = |words: &[&str], expected| {
            let replies = replies(words);
            assert_eq!(two.end_of_error(&replies), expected, "{words:?}");
        };
        end(
            &["ok", "READONLY", "READONLY", "EXECABORT"],
            End::ErrorReply("READONLY"),
        );
        end(
            &["ok", "queued", "queued", "ERR"],
            End::ErrorInPipeline("ERR"),
        );
    }

    #[test]
    fn what_runs_a_script_among_others_is_judged_as_a_script() {
        let mut pipeline = pipe();
        pipeline
            .get("a")
            .add_command(cmd("EVAL").arg("s").arg(0).take());
        let all_refused = replies(&["LOADING", "LOADING"]);
        assert_eq!(
            pipeline.end_of_error(&all_refused),
            End::ErrorOfScript("LOADING")
        );
        assert!(!pipeline.only_reads());
    }
}
