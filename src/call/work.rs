//! The work of a call: one command, or a pipeline.

use redis::{Arg, Cmd, Pipeline, Value};

use crate::{
    execution::Execution,
    net::{Confirmation, Expected, Reply},
    policy::{
        command::{Class, Effect},
        outcome::{AttemptEnd, Verdict, classify},
    },
    reply_code::ErrorReply,
};

/// The properties of a command or pipeline that an attempt depends on.
pub(super) trait Work {
    /// The encoded bytes, and the replies that will answer them.
    fn pack(&self) -> (Vec<u8>, Expected);

    /// The replies that answer it on an exclusive connection, where subscriptions are permitted.
    fn expected_on_lease(&self) -> Expected;

    /// The strongest effect that it may leave behind on its connection.
    fn effect(&self) -> Effect;

    /// Whether the reply shows that a transaction was ended, so that none is open any more.
    fn has_ended(&self, reply: &Reply) -> bool;

    /// The code of the last reply, if that is an error.
    fn error_code<'a>(&self, reply: &'a Reply) -> Option<&'a str> {
        let error = match reply {
            Reply::One(value) => error(value),
            Reply::Many(values) => values.last().and_then(error),
        };
        error.map(|error| error.code)
    }

    /// Whether it runs a script, which can have an effect and fail afterwards.
    fn runs_script(&self) -> bool;

    /// Whether it only reads, and so may run twice.
    fn only_reads(&self) -> bool;

    /// Whether its reply may be of any size, as those of reads and scripts.
    fn may_be_large(&self) -> bool {
        self.only_reads() || self.runs_script()
    }

    /// Whether each key that it may write is a word of it.
    fn names_its_keys(&self) -> bool;

    /// Its commands.
    fn each(&self) -> Vec<&Cmd>;

    fn is_transaction(&self) -> bool {
        false
    }

    /// How an attempt with this reply ended, by the errors in the reply.
    fn end_of_error<'a>(&self, reply: &'a Reply) -> AttemptEnd<'a>;
}

/// One command, and its class.
pub(super) struct Single<'a> {
    pub(super) command: &'a Cmd,
    pub(super) class: Class,
}

impl Work for Single<'_> {
    fn pack(&self) -> (Vec<u8>, Expected) {
        (self.command.get_packed_command(), Expected::One)
    }

    fn expected_on_lease(&self) -> Expected {
        let Some(replies) = self.class.confirmations() else {
            return Expected::One;
        };
        let confirmed = match self.command.args_iter().next() {
            Some(Arg::Simple(name)) => Confirmation::of_command(name),
            _ => None,
        };
        confirmed.map_or(Expected::One, |confirmed| {
            Expected::Confirmations(confirmed, replies)
        })
    }

    fn effect(&self) -> Effect {
        self.class.effect()
    }

    fn has_ended(&self, reply: &Reply) -> bool {
        match reply {
            Reply::One(value) => {
                self.effect() == Effect::EndsTransaction && has_ended_transaction(value)
            }
            Reply::Many(_) => false,
        }
    }

    fn runs_script(&self) -> bool {
        self.class.runs_script()
    }

    fn only_reads(&self) -> bool {
        self.class.only_reads()
    }

    fn names_its_keys(&self) -> bool {
        self.class.names_its_keys()
    }

    fn each(&self) -> Vec<&Cmd> {
        vec![self.command]
    }

    fn end_of_error<'a>(&self, reply: &'a Reply) -> AttemptEnd<'a> {
        let Reply::One(value) = reply else {
            return AttemptEnd::Reply;
        };
        match error(value) {
            None => AttemptEnd::Reply,
            Some(error) if self.runs_script() => AttemptEnd::ErrorOfScript(error),
            Some(error) => AttemptEnd::ErrorReply(error),
        }
    }
}

/// Commands that are written together, and the class of each of them: a pipeline, or the part of one that goes to a node.
#[derive(Clone)]
pub(super) struct Batch<'a> {
    commands: Vec<(&'a Cmd, Class)>,
    is_transaction: bool,
    /// The node is to run them although their slot is still being moved to it.
    is_asking: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn new(pipeline: &'a Pipeline, class: impl Fn(&Cmd) -> Class) -> Self {
        let commands = pipeline.cmd_iter();
        Self {
            commands: commands.map(|command| (command, class(command))).collect(),
            is_transaction: pipeline.is_transaction(),
            is_asking: false,
        }
    }

    /// Some commands of a pipeline that is no transaction, or one command.
    pub(super) fn of(commands: Vec<(&'a Cmd, Class)>) -> Self {
        Self {
            commands,
            is_transaction: false,
            is_asking: false,
        }
    }

    /// The same for a node that takes the slot over.
    pub(super) fn asking(self, is_asking: bool) -> Self {
        Self { is_asking, ..self }
    }

    pub(super) fn commands(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&'a Cmd, Class)> + ExactSizeIterator {
        self.commands.iter().copied()
    }

    pub(super) fn has_unknown(&self) -> bool {
        self.commands().any(|(_, class)| class == Class::Unknown)
    }

    /// The commands that are on no list, with their class to fill in.
    pub(super) fn unknown(&mut self) -> impl Iterator<Item = (&'a Cmd, &mut Class)> {
        let commands = self.commands.iter_mut();
        let commands = commands.map(|(command, class)| (*command, class));
        commands.filter(|(_, class)| **class == Class::Unknown)
    }

    /// The number of replies, including the replies to the MULTI and EXEC around a transaction.
    pub(super) fn replies(&self) -> usize {
        let around = if self.is_transaction { 2 } else { 0 };
        let (skipped, step) = self.layout();
        skipped + (self.commands.len() + around) * step - (step - 1)
    }

    /// How many replies come before the first one that counts, and how far those that count are apart.
    fn layout(&self) -> (usize, usize) {
        match (self.is_asking, self.is_transaction) {
            (false, _) => (0, 1),
            // One ASKING is for all commands of a transaction.
            (true, true) => (1, 1),
            (true, false) => (1, 2),
        }
    }

    /// The replies without those that say nothing but that the node was asked to.
    pub(super) fn without_asking(&self, replies: Vec<Value>) -> Vec<Value> {
        let (skipped, step) = self.layout();
        if skipped == 0 {
            return replies;
        }
        replies.into_iter().skip(skipped).step_by(step).collect()
    }
}

impl Work for Batch<'_> {
    fn pack(&self) -> (Vec<u8>, Expected) {
        const ASKING: &[u8] = b"*1\r\n$6\r\nASKING\r\n";
        let mut bytes = Vec::new();
        if self.is_transaction {
            if self.is_asking {
                bytes.extend_from_slice(ASKING);
            }
            bytes.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
        }
        for (command, _) in &self.commands {
            if self.is_asking && !self.is_transaction {
                bytes.extend_from_slice(ASKING);
            }
            command.write_packed_command(&mut bytes);
        }
        if self.is_transaction {
            bytes.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        }
        (bytes, self.expected_on_lease())
    }

    fn expected_on_lease(&self) -> Expected {
        Expected::Many(self.replies())
    }

    fn effect(&self) -> Effect {
        // The EXEC of an atomic pipeline also ends a transaction that was begun before it.
        let own_effect = if self.is_transaction {
            Effect::EndsTransaction
        } else {
            Effect::Nothing
        };
        let effects = self.commands().map(|(_, class)| class.effect());
        effects.fold(own_effect, Effect::and)
    }

    fn has_ended(&self, reply: &Reply) -> bool {
        let Reply::Many(replies) = reply else {
            return false;
        };
        if self.is_transaction {
            return replies.last().is_some_and(has_ended_transaction);
        }
        // The last command with an effect decides.
        let effects = self.commands().map(|(_, class)| class.effect());
        let last = effects
            .zip(replies)
            .rfind(|(effect, _)| *effect != Effect::Nothing);
        last.is_some_and(|(effect, reply)| {
            effect == Effect::EndsTransaction && has_ended_transaction(reply)
        })
    }

    fn runs_script(&self) -> bool {
        self.commands().any(|(_, class)| class.runs_script())
    }

    fn only_reads(&self) -> bool {
        self.commands().all(|(_, class)| class.only_reads())
    }

    fn names_its_keys(&self) -> bool {
        self.commands().all(|(_, class)| class.names_its_keys())
    }

    fn each(&self) -> Vec<&Cmd> {
        self.commands().map(|(command, _)| command).collect()
    }

    fn is_transaction(&self) -> bool {
        self.is_transaction
    }

    /// A pipeline that was refused as a whole counts as a single refused command.
    fn end_of_error<'a>(&self, reply: &'a Reply) -> AttemptEnd<'a> {
        let Reply::Many(replies) = reply else {
            return AttemptEnd::Reply;
        };
        let (skipped, step) = self.layout();
        let replies = &replies[skipped.min(replies.len())..];
        let mut errors = replies.iter().step_by(step).filter_map(error);
        let Some(first) = errors.clone().next() else {
            return AttemptEnd::Reply;
        };
        if let Some(refused) = self.refused_exec(replies) {
            // Nothing runs before EXEC.
            return match refused.code {
                "EXECABORT" => AttemptEnd::TransactionDiscarded(first),
                _ => AttemptEnd::ErrorReply(refused),
            };
        }
        if self.runs_script() {
            return AttemptEnd::ErrorOfScript(first);
        }
        if errors.clone().count() == replies.len().div_ceil(step) {
            // The least certain error decides.
            let unproven = errors.find(|error| !is_refusal(*error));
            return AttemptEnd::ErrorReply(unproven.unwrap_or(first));
        }
        // One error that tells something about the server is enough.
        let concerns_server = |error: &ErrorReply| {
            classify(AttemptEnd::ErrorReply(*error)).verdict != Verdict::Healthy
        };
        AttemptEnd::ErrorInPipeline(errors.find(concerns_server).unwrap_or(first))
    }
}

impl Batch<'_> {
    /// The error with which the server answered the EXEC of a transaction that it had begun.
    fn refused_exec<'a>(&self, replies: &'a [Value]) -> Option<ErrorReply<'a>> {
        let (multi, exec) = (replies.first()?, replies.last()?);
        let has_begun = self.is_transaction && error(multi).is_none();
        error(exec).filter(|_| has_begun)
    }
}

pub(crate) fn args(command: &Cmd) -> impl Iterator<Item = &[u8]> + Clone {
    command.args_iter().map(|arg| match arg {
        Arg::Simple(bytes) => bytes,
        // The cursor of a scan, which is never a name.
        _ => b"0",
    })
}

/// Whether a command that ends a transaction has done so, by its reply. (An UNWATCH can itself be queued.)
fn has_ended_transaction(reply: &Value) -> bool {
    let is_queued = matches!(reply, Value::SimpleString(text) if text == "QUEUED");
    let code = error(reply).map(|error| error.code);
    !is_queued && matches!(code, None | Some("EXECABORT"))
}

fn error(reply: &Value) -> Option<ErrorReply<'_>> {
    match reply {
        Value::ServerError(error) => Some(error.into()),
        _ => None,
    }
}

fn is_refusal(error: ErrorReply<'_>) -> bool {
    classify(AttemptEnd::ErrorReply(error)).execution == Execution::NotExecuted
}

#[cfg(test)]
mod tests {
    use redis::{cmd, pipe};

    use super::*;
    use crate::sanitize;

    /// Replies of these words. A word in capitals is an error.
    fn replies(words: &[&str]) -> Reply {
        let reply = |word: &&str| {
            if word.chars().all(char::is_uppercase) {
                Value::ServerError(sanitize::from_line(&format!("{word} text")))
            } else {
                Value::SimpleString((*word).into())
            }
        };
        Reply::Many(words.iter().map(reply).collect())
    }

    fn error_of(code: &str) -> ErrorReply<'_> {
        ErrorReply { code, text: "text" }
    }

    fn batch(pipeline: &Pipeline) -> Batch<'_> {
        Batch::new(pipeline, |command| Class::of(args(command)))
    }

    #[test]
    fn a_pipeline_that_was_refused_as_a_whole_counts_as_one_refused_command() {
        let mut two = pipe();
        two.get("a").get("b");
        let end = |words: &[&str], expected| {
            let replies = replies(words);
            assert_eq!(batch(&two).end_of_error(&replies), expected, "{words:?}");
        };
        end(
            &["LOADING", "LOADING"],
            AttemptEnd::ErrorReply(error_of("LOADING")),
        );
        end(
            &["READONLY", "MOVED"],
            AttemptEnd::ErrorReply(error_of("READONLY")),
        );
        end(
            &["ok", "READONLY"],
            AttemptEnd::ErrorInPipeline(error_of("READONLY")),
        );
        end(
            &["WRONGTYPE", "ok"],
            AttemptEnd::ErrorInPipeline(error_of("WRONGTYPE")),
        );
        end(
            &["WRONGTYPE", "BUSY", "ok"],
            AttemptEnd::ErrorInPipeline(error_of("BUSY")),
        );
        end(
            &["MYMODULE", "ERR"],
            AttemptEnd::ErrorReply(error_of("MYMODULE")),
        );
    }

    #[test]
    fn an_aborted_transaction_is_classified_by_the_error_that_aborted_it() {
        let mut two = pipe();
        two.atomic().set("a", 1).set("b", 1);
        let end = |words: &[&str], expected| {
            let replies = replies(words);
            assert_eq!(batch(&two).end_of_error(&replies), expected, "{words:?}");
        };
        end(
            &["ok", "READONLY", "READONLY", "EXECABORT"],
            AttemptEnd::TransactionDiscarded(error_of("READONLY")),
        );
        end(
            &["ok", "queued", "queued", "EXECABORT"],
            AttemptEnd::TransactionDiscarded(error_of("EXECABORT")),
        );
        // A proxy may have lost the server after EXEC.
        end(
            &["ok", "queued", "queued", "ERR"],
            AttemptEnd::ErrorReply(error_of("ERR")),
        );
        // Without MULTI the commands run one by one.
        end(
            &["ERR", "ok", "ok", "ERR"],
            AttemptEnd::ErrorInPipeline(error_of("ERR")),
        );
    }

    #[test]
    fn a_pipeline_with_a_script_is_classified_as_a_script() {
        let mut pipeline = pipe();
        pipeline
            .get("a")
            .add_command(cmd("EVAL").arg("s").arg(0).take());
        let all_refused = replies(&["LOADING", "LOADING"]);
        assert_eq!(
            batch(&pipeline).end_of_error(&all_refused),
            AttemptEnd::ErrorOfScript(error_of("LOADING"))
        );
        assert!(!batch(&pipeline).only_reads());

        // In a transaction that was discarded it did not run.
        pipeline.atomic();
        let discarded = replies(&["ok", "queued", "LOADING", "EXECABORT"]);
        assert_eq!(
            batch(&pipeline).end_of_error(&discarded),
            AttemptEnd::TransactionDiscarded(error_of("LOADING"))
        );
    }
}
