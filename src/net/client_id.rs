//! The name by which a server knows a connection.

use redis::{Value, cmd};

/// A connection as its server lists it. The number alone would not do: a server that was restarted counts
/// anew, and gives it to another client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientId {
    pub(crate) number: u64,
    /// The address of this end, as the server sees it.
    address: Box<str>,
}

impl ClientId {
    /// The question for it, which a connection asks about itself. Servers before 6.2 do not know it.
    pub(crate) fn question() -> Vec<u8> {
        cmd("CLIENT").arg("INFO").get_packed_command()
    }

    /// The answer to the question; `None` if the server does not say it.
    pub(crate) fn of(answer: &Value) -> Option<Self> {
        Self::read(text(answer)?.lines().next()?)
    }

    /// The clients in the answer to `CLIENT LIST`; `None` if that is no list.
    pub(crate) fn listed(answer: &Value) -> Option<Vec<Self>> {
        text(answer)?.lines().map(Self::read).collect()
    }

    /// Reads the description of a client: fields and values, separated by spaces.
    fn read(line: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
            fields.find(|field| field.0 == name).map(|field| field.1)
        };
        Some(Self {
            number: value("id")?.parse().ok()?,
            address: value("addr")?.into(),
        })
    }
}

fn text(answer: &Value) -> Option<&str> {
    match answer {
        Value::BulkString(bytes) => str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use redis::VerbatimFormat;

    use super::*;
    use crate::sanitize;

    const ONE: &str = "id=3 addr=127.0.0.1:5001 laddr=127.0.0.1:6379 fd=8 name=a=b age=1";
    const OTHER: &str = "id=4 addr=/tmp/redis.sock:0 laddr=/tmp/redis.sock:0 fd=9 name= age=1";

    fn id(number: u64, address: &str) -> ClientId {
        let address = address.into();
        ClientId { number, address }
    }

    #[test]
    fn both_protocols_tell_it() {
        let line = format!("{ONE}\n");
        let expected = Some(id(3, "127.0.0.1:5001"));
        let bulk = Value::BulkString(line.clone().into_bytes());
        assert_eq!(ClientId::of(&bulk), expected);
        let verbatim = Value::VerbatimString {
            format: VerbatimFormat::Text,
            text: line,
        };
        assert_eq!(ClientId::of(&verbatim), expected);
    }

    #[test]
    fn a_list_has_a_line_for_each_client() {
        let list = |text: &str| ClientId::listed(&Value::BulkString(text.as_bytes().to_vec()));
        assert_eq!(list(""), Some(Vec::new()));
        assert_eq!(
            list(&format!("{ONE}\n{OTHER}\n")),
            Some(vec![id(3, "127.0.0.1:5001"), id(4, "/tmp/redis.sock:0")])
        );
        // A list that is not understood must not read as one that lacks a client.
        assert_eq!(list("user=default\n"), None);
    }

    #[test]
    fn other_answers_tell_nothing() {
        let error = Value::ServerError(sanitize::from_line("ERR unknown subcommand"));
        for answer in [error, Value::Nil, Value::Okay, Value::Int(3)] {
            assert_eq!(ClientId::of(&answer), None);
            assert_eq!(ClientId::listed(&answer), None);
        }
    }
}
