//! The answer to one request of a client, and how it is written.

use std::{borrow::Cow, fmt::Debug};

use bytes::{BufMut, BytesMut};
use redis::{ServerError, Value, VerbatimFormat};

use super::{failure, shape::Shape};
use crate::{
    error::Error,
    wire::{
        number,
        reply::{self, Protocol, Reply, head, line},
    },
};

/// The answer to one request.
#[derive(Debug)]
pub(super) enum Answer {
    /// Of the front itself.
    Own(Reply),
    /// Of a command.
    Command(Result<Value, Error>, Shape),
    /// Of SUBSCRIBE and its like, whose confirmations come with the messages.
    Confirmed,
    /// Of EXEC: the replies to MULTI, to the queueing of commands and to EXEC, and the shapes of the commands.
    Transaction(Result<Vec<Value>, Error>, Vec<Shape>),
}

impl Answer {
    pub(super) fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Own(Reply::error(text))
    }

    /// Writes the answer as this version of the protocol has it.
    pub(super) fn write(self, protocol: Protocol, out: &mut BytesMut) {
        match self {
            Self::Own(reply) => reply.write(protocol, out),
            Self::Confirmed => {}
            Self::Command(Ok(value), shape) => value_of(value, shape, protocol, out),
            Self::Transaction(Ok(replies), shapes) => transaction(replies, &shapes, protocol, out),
            Self::Command(Err(error), _) | Self::Transaction(Err(error), _) => {
                line(out, b'-', failure::text(&error).as_bytes());
            }
        }
    }
}

fn value_of(value: Value, shape: Shape, protocol: Protocol, out: &mut BytesMut) {
    match shape.apply(value, protocol) {
        Value::Nil if shape.is_list() => Reply::NullArray.write(protocol, out),
        Value::Array(items) if shape == Shape::NumberLists => {
            head(out, b'*', items.len() as i64);
            for item in items {
                value_of(item, Shape::List, protocol, out);
            }
        }
        value => write(&value, protocol, out),
    }
}

fn transaction(mut replies: Vec<Value>, shapes: &[Shape], protocol: Protocol, out: &mut BytesMut) {
    let exec = replies.pop();
    let first_error = replies.iter().find_map(|reply| match reply {
        Value::ServerError(error) => Some(error),
        _ => None,
    });
    match (exec, first_error) {
        (Some(Value::Array(values)), _) => {
            head(out, b'*', values.len() as i64);
            for (value, shape) in values.into_iter().zip(shapes) {
                value_of(value, *shape, protocol, out);
            }
        }
        // The client has been told that the command is queued. So it learns here why it was not.
        (Some(Value::ServerError(exec)), Some(error)) if exec.code() == "EXECABORT" => {
            let text = format!(
                "EXECABORT Transaction discarded because of: {}",
                failure::of_server(error)
            );
            line(out, b'-', text.as_bytes());
        }
        // Without MULTI there is no transaction to execute.
        (Some(Value::ServerError(_)), Some(error)) => write_error(error, out),
        (Some(Value::Nil), _) => Reply::NullArray.write(protocol, out),
        (Some(other), _) => write(&other, protocol, out),
        (None, _) => unreachable!("BUG: a transaction without a reply to EXEC"),
    }
}

/// Writes a reply of the server. Types that RESP2 lacks are written as servers write them there.
pub(super) fn write(value: &Value, protocol: Protocol, out: &mut BytesMut) {
    let is_resp3 = protocol == Protocol::Resp3;
    match value {
        Value::Nil => Reply::Null.write(protocol, out),
        Value::Int(number) => head(out, b':', *number),
        Value::BulkString(bytes) => reply::bulk(out, b'$', bytes),
        Value::Okay => out.put_slice(b"+OK\r\n"),
        Value::SimpleString(text) => line(out, b'+', text.as_bytes()),
        Value::Array(items) => list(b'*', items, protocol, out),
        Value::Set(items) => list(if is_resp3 { b'~' } else { b'*' }, items, protocol, out),
        Value::Push { data, .. } => list(b'*', data, protocol, out),
        Value::Map(pairs) => {
            let elements = pairs.len() as i64;
            if is_resp3 {
                head(out, b'%', elements);
            } else {
                head(out, b'*', 2 * elements);
            }
            for (key, value) in pairs {
                write(key, protocol, out);
                write(value, protocol, out);
            }
        }
        Value::Attribute { data, .. } => write(data, protocol, out),
        Value::Double(number) if is_resp3 => line(out, b',', number::text(*number).as_bytes()),
        Value::Double(number) => reply::bulk(out, b'$', number::text(*number).as_bytes()),
        Value::Boolean(is_so) if is_resp3 => line(out, b'#', if *is_so { b"t" } else { b"f" }),
        Value::Boolean(is_so) => head(out, b':', i64::from(*is_so)),
        Value::VerbatimString { format, text } if is_resp3 => {
            let format = match format {
                VerbatimFormat::Markdown => "mkd",
                VerbatimFormat::Unknown(name) if name.len() == 3 => name,
                _ => "txt",
            };
            reply::bulk(out, b'=', format!("{format}:{text}").as_bytes());
        }
        Value::VerbatimString { text, .. } => reply::bulk(out, b'$', text.as_bytes()),
        Value::BigNumber(number) if is_resp3 => line(out, b'(', digits(number).as_bytes()),
        Value::BigNumber(number) => reply::bulk(out, b'$', digits(number).as_bytes()),
        Value::ServerError(error) => write_error(error, out),
        other => Reply::error(format!(
            "ERR the command was executed, and its reply has a type that the front does not know: {}",
            kind(other)
        ))
        .write(protocol, out),
    }
}

fn list(mark: u8, items: &[Value], protocol: Protocol, out: &mut BytesMut) {
    head(out, mark, items.len() as i64);
    for item in items {
        write(item, protocol, out);
    }
}

fn write_error(error: &ServerError, out: &mut BytesMut) {
    line(out, b'-', failure::of_server(error).as_bytes());
}

/// The digits of a big number. Its type depends on a feature of the `redis` crate that any crate of the build may
/// enable: a number, or the bytes of its digits.
fn digits(number: &impl Debug) -> String {
    let shown = format!("{number:?}");
    let Some(bytes) = shown
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
    else {
        return shown;
    };
    let bytes = bytes.split(", ").filter_map(|byte| byte.parse::<u8>().ok());
    bytes.map(char::from).collect()
}

/// The name of the type, without the value.
fn kind(value: &Value) -> String {
    let shown = format!("{value:?}");
    shown.split('(').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Value, protocol: Protocol) -> String {
        let mut out = BytesMut::new();
        Answer::Command(Ok(value), Shape::Same).write(protocol, &mut out);
        String::from_utf8(out.into()).expect("text")
    }

    #[test]
    fn each_type_is_written_in_both_versions() {
        let bulk = |text: &str| Value::BulkString(text.into());
        let big_number = redis::parse_redis_value(b"(123\r\n").expect("a big number");
        for (value, resp2, resp3) in [
            (Value::Nil, "$-1\r\n", "_\r\n"),
            (Value::Okay, "+OK\r\n", "+OK\r\n"),
            (Value::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (Value::Boolean(true), ":1\r\n", "#t\r\n"),
            (
                Value::Map(vec![(bulk("a"), Value::Int(1))]),
                "*2\r\n$1\r\na\r\n:1\r\n",
                "%1\r\n$1\r\na\r\n:1\r\n",
            ),
            (big_number, "$3\r\n123\r\n", "(123\r\n"),
            (Value::Set(vec![Value::Nil]), "*1\r\n$-1\r\n", "~1\r\n_\r\n"),
            (
                Value::VerbatimString {
                    format: VerbatimFormat::Text,
                    text: "hi".into(),
                },
                "$2\r\nhi\r\n",
                "=6\r\ntxt:hi\r\n",
            ),
        ] {
            assert_eq!(written(value.clone(), Protocol::Resp2), resp2);
            assert_eq!(written(value, Protocol::Resp3), resp3);
        }
    }
}
