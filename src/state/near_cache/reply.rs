//! Replies as values: their form, their size, and whether they are about nothing.

use redis::Value;

/// Whether this is a reply about a key that does not exist.
pub(crate) fn is_of_none(reply: &Value) -> bool {
    match reply {
        Value::Nil | Value::Int(0) | Value::Boolean(false) => true,
        Value::BulkString(bytes) => bytes.is_empty(),
        Value::SimpleString(text) => text == "none",
        Value::Array(values) | Value::Set(values) => values.iter().all(is_of_none),
        Value::Map(pairs) => pairs.is_empty(),
        _ => false,
    }
}

/// A reply in RESP3 as it is in RESP2.
pub(crate) fn as_resp2(reply: Value) -> Value {
    match reply {
        Value::Map(pairs) => {
            let items = pairs.into_iter().flat_map(|(key, value)| [key, value]);
            Value::Array(items.map(as_resp2).collect())
        }
        Value::Set(items) | Value::Array(items) => {
            Value::Array(items.into_iter().map(as_resp2).collect())
        }
        Value::Boolean(is) => Value::Int(i64::from(is)),
        Value::VerbatimString { text, .. } => Value::BulkString(text.into_bytes()),
        reply => reply,
    }
}

/// About the memory of a reply, in bytes.
pub(super) fn size(reply: &Value) -> usize {
    let content = match reply {
        Value::BulkString(bytes) => bytes.len(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.len(),
        Value::Array(items) | Value::Set(items) => items.iter().map(size).sum(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| size(key) + size(value))
            .sum(),
        _ => 0,
    };
    size_of::<Value>() + content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn replies_about_nothing_are_known() {
        let nothing = [
            Value::Nil,
            Value::Int(0),
            Value::Array(vec![]),
            Value::Array(vec![Value::Nil]),
            Value::Map(vec![]),
            Value::SimpleString("none".into()),
        ];
        assert!(nothing.iter().all(is_of_none));
        let some = [
            text("v"),
            Value::Int(1),
            Value::Array(vec![Value::Nil, text("v")]),
        ];
        assert!(!some.iter().any(is_of_none));
    }

    #[test]
    fn replies_get_the_form_of_resp2() {
        let map = Value::Map(vec![(text("a"), Value::Set(vec![text("b")]))]);
        let expected = Value::Array(vec![text("a"), Value::Array(vec![text("b")])]);
        assert_eq!(as_resp2(map), expected);
        assert_eq!(as_resp2(Value::Nil), Value::Nil);
    }

    #[test]
    fn large_replies_have_a_large_size() {
        let large = Value::Array(vec![text(&"x".repeat(1_000)), text("y")]);
        assert!((1_000..1_500).contains(&size(&large)));
    }
}
