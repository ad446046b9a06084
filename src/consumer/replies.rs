//! The replies of commands about streams.

use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use super::entry::Field;
use crate::policy::consumer::EntryId;

/// An entry as a reply has it, without fields if it was deleted.
pub(super) struct RawEntry {
    pub(super) id: EntryId,
    pub(super) fields: Option<Vec<Field>>,
}

impl FromRedisValue for RawEntry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, fields): (Id, Value) = from_redis_value(value)?;
        let fields = match fields {
            Value::Nil => None,
            fields => Some(pairs(from_redis_value(fields)?)?),
        };
        Ok(Self { id: id.0, fields })
    }
}

fn pairs(texts: Vec<Vec<u8>>) -> Result<Vec<Field>, ParsingError> {
    let mut texts = texts.into_iter();
    let mut pairs = Vec::with_capacity(texts.len() / 2);
    while let Some(name) = texts.next() {
        let value = texts.next();
        pairs.push((name, value.ok_or("a field has no value")?));
    }
    Ok(pairs)
}

/// The reply to `XREADGROUP` of one stream.
pub(super) struct ReadReply(pub(super) Vec<RawEntry>);

impl FromRedisValue for ReadReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let entries = match value {
            // Nothing came in time.
            Value::Nil => None,
            Value::Map(streams) => streams.into_iter().next().map(|(_, entries)| entries),
            streams => {
                let streams: Vec<(Value, Value)> = from_redis_value(streams)?;
                streams.into_iter().next().map(|(_, entries)| entries)
            }
        };
        let entries = entries.map(from_redis_value).transpose()?;
        Ok(Self(entries.unwrap_or_default()))
    }
}

/// The reply to `XAUTOCLAIM`.
pub(super) struct ClaimReply {
    pub(super) next: EntryId,
    pub(super) entries: Vec<RawEntry>,
    /// Entries that were pending, and had been deleted.
    pub(super) deleted: usize,
}

impl FromRedisValue for ClaimReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let parts: Vec<Value> = from_redis_value(value)?;
        let mut parts = parts.into_iter();
        let (Some(next), Some(entries)) = (parts.next(), parts.next()) else {
            return Err("XAUTOCLAIM has two or three parts".into());
        };
        // Before 7.0, a deleted entry is null among the others, and there is no list of their ids.
        let mut entries: Vec<Value> = from_redis_value(entries)?;
        let all = entries.len();
        entries.retain(|entry| *entry != Value::Nil);
        let nulls = all - entries.len();
        let deleted = parts.next().map(from_redis_value::<Vec<Value>>);
        let deleted = deleted.transpose()?.map_or(0, |ids| ids.len());
        let next: Id = from_redis_value(next)?;
        Ok(Self {
            next: next.0,
            entries: from_redis_value(Value::Array(entries))?,
            deleted: nulls + deleted,
        })
    }
}

/// An id in a reply.
pub(super) struct Id(pub(super) EntryId);

impl FromRedisValue for Id {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let text: Vec<u8> = from_redis_value(value)?;
        let id = EntryId::parse(&text).ok_or("no id of an entry")?;
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn entry(id: &str, fields: &[&str]) -> Value {
        let fields = fields.iter().map(|field| text(field)).collect();
        Value::Array(vec![text(id), Value::Array(fields)])
    }

    #[test]
    fn entries_are_read_in_both_versions_of_the_protocol() {
        let entries = || Value::Array(vec![entry("1-0", &["a", "1", "a", "2"])]);
        let resp2 = Value::Array(vec![Value::Array(vec![text("s"), entries()])]);
        let resp3 = Value::Map(vec![(text("s"), entries())]);
        for reply in [resp2, resp3] {
            let ReadReply(read) = from_redis_value(reply).expect("a reply");
            let fields: Vec<_> = read.into_iter().map(|entry| entry.fields).collect();
            let pair = |value: &[u8]| (b"a".to_vec(), value.to_vec());
            assert_eq!(fields, [Some(vec![pair(b"1"), pair(b"2")])]);
        }
        let ReadReply(nothing) = from_redis_value(Value::Nil).expect("a reply");
        assert!(nothing.is_empty());
    }

    #[test]
    fn deleted_entries_are_counted_in_all_versions_of_the_server() {
        let deleted = Value::Array(vec![text("2-0"), text("3-0")]);
        let parts = vec![text("0-0"), Value::Array(vec![entry("1-0", &[])]), deleted];
        let reply: ClaimReply = from_redis_value(Value::Array(parts)).expect("a reply");
        assert_eq!((reply.entries.len(), reply.deleted), (1, 2));
        let with_null = vec![entry("1-0", &[]), Value::Nil];
        let parts = vec![text("7-0"), Value::Array(with_null)];
        let reply: ClaimReply = from_redis_value(Value::Array(parts)).expect("a reply");
        assert_eq!((reply.entries.len(), reply.deleted), (1, 1));
        assert_eq!(reply.next.to_string(), "7-0");
    }

    #[test]
    fn replies_that_make_no_sense_are_errors() {
        for reply in [
            Value::Int(1),
            Value::Array(vec![Value::Array(vec![text("s"), entry("1", &[])])]),
            Value::Array(vec![Value::Array(vec![
                text("s"),
                Value::Array(vec![entry("1-0", &["a"])]),
            ])]),
        ] {
            assert!(from_redis_value::<ReadReply>(reply).is_err());
        }
    }
}
