//! Commands that are on no list: the server is asked for their flags.
//!
//! A list of commands ages. A newer command that blocks would hold up all commands behind it on a shared
//! connection, and one that changes its connection would change it for all callers. So the first use of
//! an unknown name asks the server for its flags, with `COMMAND INFO`. After each new connection the
//! server is asked again, because it may be another one.

use redis::{Cmd, Value, cmd};

use super::{CallEngine, CallOptions, args, work::Single};
use crate::{backend::Backend, error::Error, net::Reply, policy::command::Class};

impl<B: Backend> CallEngine<B> {
    /// The class of a command that is on no list.
    ///
    /// If the server does not know the command, it answers the command itself with an error. If the server
    /// may not be asked (`NOPERM`, a proxy), the command counts as plain.
    pub(super) async fn surveyed(
        &self,
        command: &Cmd,
        options: &CallOptions,
    ) -> Result<Class, Error> {
        let name = args(command).next().unwrap_or_default();
        if let Some(class) = self.state.survey.class(name) {
            return Ok(class);
        }
        let question = cmd("COMMAND").arg("INFO").arg(name).take();
        let work = Single {
            command: &question,
            class: Class::Reads,
        };
        let class = match self.call(&work, options).await {
            Ok((answered, _)) => match answered.reply {
                Reply::One(Value::Array(commands)) => match commands.first() {
                    Some(Value::Array(fields)) => class_of(fields),
                    // Not learnt: the server may know the command later, when a module was loaded.
                    _ => return Ok(Class::Plain),
                },
                _ => Class::Plain,
            },
            Err(Error::Server { .. }) => Class::Plain,
            Err(error) => return Err(error),
        };
        self.state.survey.learn(name, class);
        Ok(class)
    }
}

/// The class by a command's description: its name, arity and flags, three key positions, and since 7.0
/// its categories.
fn class_of(fields: &[Value]) -> Class {
    let words = |index: usize| match fields.get(index) {
        Some(Value::Array(words) | Value::Set(words)) => words.as_slice(),
        _ => &[],
    };
    let flags = words(2).iter().chain(words(6));
    Class::of_flags(flags.filter_map(|word| match word {
        Value::SimpleString(word) => Some(word.as_str()),
        Value::BulkString(word) => std::str::from_utf8(word).ok(),
        _ => None,
    }))
}
