//! Commands that are on no list: the server is asked for their flags.
//!
//! A list of commands ages. A newer command that blocks would hold up all commands behind it on a shared
//! connection, and one that changes its connection would change it for all callers. So the first use of
//! an unknown name asks the server for its flags, with `COMMAND INFO`. After each new connection the
//! server is asked again, because it may be another one.

use redis::{Cmd, Value, cmd};

use super::{CallEngine, CallOptions, args, work::Single};
use crate::{
    backend::Backend,
    error::Error,
    net::Reply,
    policy::command::{Class, KeyRange},
    reply_code::ReplyCode,
    state::{Surveyed, clock},
};

impl<B: Backend> CallEngine<B> {
    /// The class of a command that is on no list, if the server has said it.
    #[cold]
    pub(super) fn surveyed(&self, command: &Cmd) -> Class {
        let class = self.state.survey.class(name(command));
        class.unwrap_or(Class::Unknown)
    }

    /// Whether the server has to be asked what the command does.
    pub(crate) fn is_unknown(&self, command: &Cmd) -> bool {
        self.class(command) == Class::Unknown
    }

    /// Asks the server for the class of a command, and returns the options that are left for the command:
    /// the question and the command share the deadline, unless the command blocks by its nature.
    pub(super) async fn ask(
        &self,
        command: &Cmd,
        options: CallOptions,
    ) -> Result<(Class, CallOptions), Error> {
        let began = clock::now();
        let class = self.learn(command, &options.counted_from(began)).await?;
        let options = options.after_question(Some(began), class.block());
        Ok((class, options))
    }

    /// Asks the server for the class of a command.
    ///
    /// A server that does not know the command itself will say so when it runs. If the server may not be
    /// asked, the command is one like any other. An error that may be over in a moment is the caller's:
    /// nothing is learned from it.
    pub(crate) async fn learn(&self, command: &Cmd, options: &CallOptions) -> Result<Class, Error> {
        let name = name(command);
        let question = cmd("COMMAND").arg("INFO").arg(name).take();
        let work = Single {
            command: &question,
            class: Class::Reads,
        };
        let surveyed = match self.call(&work, options).await {
            Ok((reply, _)) => match reply {
                Reply::One(Value::Array(commands)) => match commands.first() {
                    Some(Value::Array(fields)) => described(fields),
                    // It may know the command later, when a module was loaded.
                    _ => return Ok(Class::Plain),
                },
                _ => Surveyed::PLAIN,
            },
            Err(Error::Server { code, .. }) if is_lasting(&code) => Surveyed::PLAIN,
            Err(error) => return Err(error),
        };
        self.state.survey.learn(name, surveyed);
        Ok(surveyed.class)
    }
}

fn name(command: &Cmd) -> &[u8] {
    args(command).next().unwrap_or_default()
}

/// The server, or a proxy before it, will answer the question in this way again.
fn is_lasting(code: &str) -> bool {
    matches!(
        ReplyCode::of(code),
        ReplyCode::NoPermission | ReplyCode::General | ReplyCode::Unknown
    )
}

/// A command's description: its name, arity and flags, three key positions, and since 6.0 its categories.
fn described(fields: &[Value]) -> Surveyed {
    let words = |index: usize| match fields.get(index) {
        Some(Value::Array(words) | Value::Set(words)) => words.as_slice(),
        _ => &[],
    };
    let flags = words(2).iter().chain(words(6));
    let class = Class::of_flags(flags.filter_map(|word| match word {
        Value::SimpleString(word) => Some(word.as_str()),
        Value::BulkString(word) => std::str::from_utf8(word).ok(),
        _ => None,
    }));
    Surveyed {
        class,
        keys: fields.get(3..6).and_then(key_range),
    }
}

/// The first key, the last, and the step. The first is 0 if there is none.
fn key_range(positions: &[Value]) -> Option<KeyRange> {
    match positions {
        [Value::Int(first @ 1..), Value::Int(last), Value::Int(step)] => Some(KeyRange::new(
            usize::try_from(*first).ok()?,
            isize::try_from(*last).ok()?,
            usize::try_from(*step).ok()?,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: &str) -> Value {
        Value::SimpleString(word.into())
    }

    fn description(positions: [i64; 3]) -> Vec<Value> {
        let flags = Value::Array(vec![text("write"), text("blocking")]);
        let [first, last, step] = positions.map(Value::Int);
        vec![text("newer"), Value::Int(-3), flags, first, last, step]
    }

    #[test]
    fn a_description_tells_the_class_and_the_keys() {
        let blocks = described(&description([1, -2, 1]));
        assert!(blocks.class.block().is_some());
        assert_eq!(blocks.keys, Some(KeyRange::new(1, -2, 1)));
        for positions in [[0, 0, 0], [-1, 1, 1], [1, 1, -1]] {
            assert_eq!(described(&description(positions)).keys, None);
        }
        assert_eq!(described(&description([1, 1, 1])[..5]).keys, None);
        assert_eq!(described(&[]), Surveyed::PLAIN);
    }
}
