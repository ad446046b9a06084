//! Errors on their way through Lua.
//!
//! A function of this crate cannot raise any value of Lua, but an error of its own. It is turned into the value
//! that Redis raises where a script catches it, and where it leaves the script.

use mlua::{Error, Lua, Value};

#[derive(Debug, thiserror::Error)]
pub(super) enum Raised {
    /// To a script a table with the field `err`. The text begins with its code.
    #[error("{0}")]
    Reply(String),
    /// To a script a text.
    #[error("{0}")]
    Text(String),
    /// No script can catch it.
    #[error("the script has run for too long")]
    TimedOut,
}

impl Raised {
    /// An error of a function of the table `redis`.
    pub(super) fn error(text: &str) -> Error {
        Error::external(Self::Reply(format!("ERR {text}")))
    }

    /// An error of a function of another table, with the place in the script that has called it.
    pub(super) fn at_caller(lua: &Lua, text: &str) -> Error {
        const CALLER: usize = 1;
        let place = lua.inspect_stack(CALLER, |frame| {
            let file = frame.source().short_src?;
            Some(format!("{file}:{}: ", frame.current_line()?))
        });
        let place = place.flatten().unwrap_or_default();
        Error::external(Self::Text(format!("{place}{text}")))
    }

    pub(super) fn bad_argument(lua: &Lua, number: usize, function: &str, problem: &str) -> Error {
        let text = format!("bad argument #{number} to '{function}' ({problem})");
        Self::at_caller(lua, &text)
    }
}

/// An error as the value that a script catches.
pub(super) fn value(lua: &Lua, error: Value) -> mlua::Result<Value> {
    let Value::Error(error) = error else {
        return Ok(error);
    };
    let text = match error.downcast_ref::<Raised>() {
        Some(Raised::Reply(text)) => {
            let table = lua.create_table()?;
            table.raw_set("err", text.as_str())?;
            return Ok(Value::Table(table));
        }
        Some(raised) => raised.to_string(),
        None => first_line(&error),
    };
    lua.create_string(text).map(Value::String)
}

/// An error of Lua without the traceback.
pub(super) fn first_line(error: &Error) -> String {
    let text = match error {
        Error::SyntaxError { message, .. } | Error::RuntimeError(message) => message.clone(),
        Error::CallbackError { cause, .. } => cause.to_string(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}
