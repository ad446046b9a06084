//! The shapes in which the two versions of the protocol give the reply to the same command.
//!
//! The connections of a database speak one version and a client of the front may speak the other. The shape of a
//! reply belongs to its command: `ZRANGE … WITHSCORES` is a flat list of strings in RESP2, and a list of pairs with
//! numbers in RESP3. Commands that are not listed here have the same shape in both, but for maps, sets, numbers and
//! texts of RESP3, which every client of RESP2 gets as that version has them.

use redis::{Value, VerbatimFormat};

use crate::wire::{number, reply::Protocol};

/// What the reply to a command looks like in RESP3, where that differs from RESP2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The same in both versions.
    Same,
    /// A list, of which there may be none: a null array in RESP2, as with `BLPOP`.
    List,
    /// Keys and values.
    Map,
    /// A list of maps.
    Maps,
    Set,
    /// A number, which is a string in RESP2.
    Number,
    Numbers,
    /// Lists of numbers, such as positions.
    NumberLists,
    /// Pairs of a member and its score, flat in RESP2.
    Scores,
    /// Pairs of a field and its value, flat in RESP2.
    Fields,
    /// A list whose last element is a number, or no list.
    EndsInNumber,
    /// A key, and pairs of members and scores.
    KeyAndScores,
    /// Streams and their entries, which are a list of pairs in RESP2.
    Streams,
    /// A text.
    Text,
}

/// Longer names have no shape of their own.
const LONGEST_NAME: usize = 16;

impl Shape {
    /// The shape of the reply to these words.
    pub(super) fn of<W: AsRef<[u8]>>(words: &[W]) -> Self {
        let Some(name) = words.first().map(AsRef::as_ref) else {
            return Self::Same;
        };
        let mut upper = [0; LONGEST_NAME];
        let Some(upper) = upper.get_mut(..name.len()) else {
            return Self::Same;
        };
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        let word = |index: usize| words.get(index).map(AsRef::as_ref).unwrap_or_default();
        let is = |index: usize, option: &str| word(index).eq_ignore_ascii_case(option.as_bytes());
        // Options come after so many words.
        let has = |option: &str, after: usize| (after..words.len()).any(|index| is(index, option));
        let keys = || number::integer(word(1)).map_or(usize::MAX, |keys| keys as usize);
        match &*upper {
            b"HGETALL" => Self::Map,
            b"CONFIG" if is(1, "GET") => Self::Map,
            b"XINFO" if is(1, "STREAM") && words.len() == 3 => Self::Map,
            b"XINFO" if is(1, "GROUPS") || is(1, "CONSUMERS") => Self::Maps,
            b"MEMORY" if is(1, "STATS") => Self::Map,
            b"SMEMBERS" | b"SINTER" | b"SUNION" | b"SDIFF" => Self::Set,
            b"SPOP" if words.len() > 2 => Self::Set,
            b"ZSCORE" | b"ZINCRBY" => Self::Number,
            b"ZADD" if has("INCR", 2) => Self::Number,
            b"ZMSCORE" => Self::Numbers,
            b"GEOPOS" => Self::NumberLists,
            b"ZRANGE" | b"ZREVRANGE" | b"ZRANGEBYSCORE" | b"ZREVRANGEBYSCORE"
                if has("WITHSCORES", 4) =>
            {
                Self::Scores
            }
            b"ZRANDMEMBER" if has("WITHSCORES", 3) => Self::Scores,
            b"ZINTER" | b"ZUNION" | b"ZDIFF" if has("WITHSCORES", keys().saturating_add(2)) => {
                Self::Scores
            }
            b"ZPOPMIN" | b"ZPOPMAX" if words.len() > 2 => Self::Scores,
            b"ZPOPMIN" | b"ZPOPMAX" | b"BZPOPMIN" | b"BZPOPMAX" => Self::EndsInNumber,
            b"ZRANK" | b"ZREVRANK" if words.len() > 3 => Self::EndsInNumber,
            b"ZMPOP" | b"BZMPOP" => Self::KeyAndScores,
            b"HRANDFIELD" if has("WITHVALUES", 3) => Self::Fields,
            b"XREAD" | b"XREADGROUP" => Self::Streams,
            b"BLPOP" | b"BRPOP" | b"BLMOVE" | b"BRPOPLPUSH" | b"LMPOP" | b"BLMPOP" => Self::List,
            b"LPOP" | b"RPOP" if words.len() > 2 => Self::List,
            b"INFO" | b"LOLWUT" => Self::Text,
            _ => Self::Same,
        }
    }

    /// Whether no reply is a null array in RESP2, and not a null string.
    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Self::List | Self::EndsInNumber | Self::KeyAndScores | Self::Streams
        )
    }

    /// The reply as this version has it, whichever it comes from.
    pub(super) fn apply(self, value: Value, protocol: Protocol) -> Value {
        match protocol {
            Protocol::Resp2 => self.to_resp2(value),
            Protocol::Resp3 => self.to_resp3(value),
        }
    }

    /// What remains is done by the writer: maps become flat there, and numbers strings.
    fn to_resp2(self, value: Value) -> Value {
        match (self, value) {
            (Self::Scores | Self::Fields, Value::Array(items)) => {
                Value::Array(items.into_iter().flat_map(elements).collect())
            }
            (Self::Streams, Value::Map(streams)) => {
                let streams = streams.into_iter();
                let pairs = streams.map(|(name, entries)| Value::Array(vec![name, entries]));
                Value::Array(pairs.collect())
            }
            (_, value) => value,
        }
    }

    fn to_resp3(self, value: Value) -> Value {
        match (self, value) {
            (Self::Map, Value::Array(items)) => map(items),
            (Self::Maps, Value::Array(maps)) => {
                let maps = maps.into_iter();
                Value::Array(maps.map(|one| Self::Map.to_resp3(one)).collect())
            }
            (Self::Set, Value::Array(items)) => Value::Set(items),
            (Self::Number, value) => number(value),
            (Self::Numbers, Value::Array(items)) => {
                Value::Array(items.into_iter().map(number).collect())
            }
            (Self::NumberLists, Value::Array(lists)) => {
                let lists = lists.into_iter();
                Value::Array(lists.map(|one| Self::Numbers.to_resp3(one)).collect())
            }
            (Self::Scores, Value::Array(items)) => pairs(items, number),
            (Self::Fields, Value::Array(items)) => pairs(items, |value| value),
            (Self::EndsInNumber, Value::Array(mut items)) => {
                let last = items.pop();
                items.extend(last.map(number));
                Value::Array(items)
            }
            (Self::KeyAndScores, Value::Array(items)) => Value::Array(
                items
                    .into_iter()
                    .map(|item| match item {
                        Value::Array(scores) => Value::Array(
                            scores
                                .into_iter()
                                .map(|pair| Self::EndsInNumber.to_resp3(pair))
                                .collect(),
                        ),
                        key => key,
                    })
                    .collect(),
            ),
            (Self::Streams, Value::Array(streams)) => {
                map(streams.into_iter().flat_map(elements).collect())
            }
            (Self::Text, Value::BulkString(text)) => match String::from_utf8(text) {
                Ok(text) => Value::VerbatimString {
                    format: VerbatimFormat::Text,
                    text,
                },
                Err(other) => Value::BulkString(other.into_bytes()),
            },
            (_, value) => value,
        }
    }
}

/// The elements of a list; a value that is none is its own element.
fn elements(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => vec![other],
    }
}

fn map(items: Vec<Value>) -> Value {
    if items.len() % 2 == 1 {
        return Value::Array(items);
    }
    let mut items = items.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    Value::Map(pairs)
}

/// A flat list as pairs. One that has pairs already stays.
fn pairs(items: Vec<Value>, second: fn(Value) -> Value) -> Value {
    let is_flat = !matches!(items.first(), Some(Value::Array(_)));
    match map(items) {
        Value::Map(pairs) if is_flat => {
            let pairs = pairs.into_iter();
            Value::Array(
                pairs
                    .map(|(one, other)| Value::Array(vec![one, second(other)]))
                    .collect(),
            )
        }
        Value::Map(pairs) => Value::Array(
            pairs
                .into_iter()
                .flat_map(|(one, other)| [one, other])
                .collect(),
        ),
        other => other,
    }
}

fn number(value: Value) -> Value {
    match value {
        Value::BulkString(digits) => match number::float(&digits) {
            Some(number) => Value::Double(number),
            None => Value::BulkString(digits),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Shape {
        Shape::of(&line.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn options_decide_and_keys_do_not() {
        assert_eq!(of("zrange z 0 -1 withscores"), Shape::Scores);
        assert_eq!(of("ZRANGE WITHSCORES 0 -1"), Shape::Same);
        assert_eq!(of("ZINTER 1 WITHSCORES"), Shape::Same);
        assert_eq!(of("ZINTER 1 z WITHSCORES"), Shape::Scores);
        assert_eq!(of("ZPOPMIN z"), Shape::EndsInNumber);
        assert_eq!(of("ZPOPMIN z 1"), Shape::Scores);
        assert_eq!(of("A.VERY.LONG.NAME.OF.A.MODULE"), Shape::Same);
        assert_eq!(Shape::of::<&[u8]>(&[]), Shape::Same);
    }

    #[test]
    fn pairs_stay_pairs() {
        let pair = |member: &str, score| {
            Value::Array(vec![Value::BulkString(member.into()), Value::Double(score)])
        };
        for count in [1, 2, 3] {
            let nested = Value::Array(vec![pair("a", 1.0); count]);
            let again = Shape::Scores.apply(nested.clone(), Protocol::Resp3);
            assert_eq!(again, nested);
            let flat = Shape::Scores.apply(nested.clone(), Protocol::Resp2);
            let Value::Array(items) = &flat else {
                panic!("a list");
            };
            assert_eq!(items.len(), 2 * count);
            assert_eq!(Shape::Scores.apply(flat, Protocol::Resp3), nested);
        }
    }
}
