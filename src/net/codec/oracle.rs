//! Goal: the decoder agrees with `redis::parse_redis_value`, wherever the stream is cut. Method: random
//! replies, randomly damaged replies, and random bytes, each decoded in one piece and in many.

use proptest::{
    prelude::*,
    sample::{Index, select},
};
use redis::{Value, parse_redis_value};

use super::{Decoded, Limits, Oversized, ReplyLimit, decode_all};

proptest! {
    #[test]
    fn valid_replies_decode_to_the_same_values(
        replies in prop::collection::vec(reply(), 1..5),
        splits in splits(),
    ) {
        let data = replies.concat();
        let (decoded, error) = decode_all(&data, &splits, Limits::default());
        prop_assert_eq!(error, None);
        prop_assert_eq!(decoded.len(), replies.len());
        for ((decoded, _), wire) in decoded.iter().zip(&replies) {
            let expected = Decoded::Value(parse_redis_value(wire).unwrap());
            prop_assert!(alike(decoded, &expected), "{:?} is not {:?}", decoded, expected);
        }
    }

    #[test]
    fn damaged_replies_have_the_result_of_the_oracle(
        replies in prop::collection::vec(reply(), 1..4),
        damage in prop::collection::vec((any::<Index>(), fragment(), 0..3_usize), 1..4),
        splits in splits(),
    ) {
        let mut data = replies.concat();
        for (position, fragment, removed) in damage {
            let at = position.index(data.len() + 1);
            let end = (at + removed).min(data.len());
            data.splice(at..end, fragment);
        }
        compare_with_oracle(&data, &splits)?;
    }

    #[test]
    fn fragments_have_the_result_of_the_oracle(
        fragments in prop::collection::vec(fragment(), 0..24),
        splits in splits(),
    ) {
        compare_with_oracle(&fragments.concat(), &splits)?;
    }

    #[test]
    fn any_bytes_have_the_result_of_the_oracle(
        data in prop::collection::vec(any::<u8>(), 0..64),
        splits in splits(),
    ) {
        compare_with_oracle(&data, &splits)?;
    }

    #[test]
    fn replies_beyond_a_limit_are_read_over_and_the_others_decode_to_the_same_values(
        replies in prop::collection::vec(reply(), 1..6),
        limits in limits(),
        splits in splits(),
    ) {
        let data = replies.concat();
        let (whole, error) = decode_all(&data, &[], limits);
        let (pieced, pieced_error) = decode_all(&data, &splits, limits);
        prop_assert_eq!((error, pieced_error), (None, None));
        prop_assert_eq!((whole.len(), pieced.len()), (replies.len(), replies.len()));
        let mut end = 0;
        for ((wire, whole), pieced) in replies.iter().zip(&whole).zip(&pieced) {
            end += wire.len();
            prop_assert_eq!((whole.1, pieced.1), (end, end));
            prop_assert!(alike(&whole.0, &pieced.0), "{:?} is not {:?}", whole, pieced);
            let exceeded = Measured::of(wire).exceeded(limits);
            match &whole.0 {
                Decoded::Value(value) => {
                    let expected = parse_redis_value(wire).unwrap();
                    prop_assert!(same(value, &expected), "{:?} is not {:?}", value, expected);
                    prop_assert_eq!(exceeded, vec![]);
                }
                Decoded::TooLarge(Oversized { limit, push }) => {
                    prop_assert!(exceeded.contains(limit), "{:?}: {:?}", limit, exceeded);
                    prop_assert_eq!(push.is_some(), wire[0] == b'>' && wire[1..3] != *b"0\r");
                }
            }
        }
    }
}

/// The size of a valid reply, measured on its wire form by recursion.
struct Measured {
    bytes: usize,
    depth: usize,
    elements: usize,
}

impl Measured {
    fn of(wire: &[u8]) -> Self {
        let line = wire.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let header = line + 2;
        let length = || -> i64 { str::from_utf8(&wire[1..line]).unwrap().parse().unwrap() };
        let leaf = |bytes| Self {
            bytes,
            depth: 1,
            elements: 0,
        };
        let elements = match wire[0] {
            b'$' | b'!' | b'=' => {
                let body = usize::try_from(length()).map_or(0, |length| length + 2);
                return leaf(header + body);
            }
            b'*' | b'~' | b'>' => length(),
            b'%' => 2 * length(),
            b'|' => 2 * length() + 1,
            _ => return leaf(header),
        };
        let elements = usize::try_from(elements).unwrap_or_default();
        let mut whole = Self {
            bytes: header,
            depth: 1,
            elements,
        };
        for _ in 0..elements {
            let inner = Self::of(&wire[whole.bytes..]);
            whole.bytes += inner.bytes;
            whole.depth = whole.depth.max(1 + inner.depth);
            whole.elements += inner.elements;
        }
        whole
    }

    fn exceeded(&self, limits: Limits) -> Vec<ReplyLimit> {
        let checks = [
            (
                self.bytes,
                limits.max_bytes,
                ReplyLimit::Bytes(limits.max_bytes),
            ),
            (
                self.depth,
                limits.max_depth,
                ReplyLimit::Depth(limits.max_depth),
            ),
            (
                self.elements,
                limits.max_elements,
                ReplyLimit::Elements(limits.max_elements),
            ),
        ];
        let exceeded = checks.into_iter().filter(|(size, limit, _)| size > limit);
        exceeded.map(|(_, _, limit)| limit).collect()
    }
}

/// Decodes `data` in one piece and in many, and compares both with the oracle.
fn compare_with_oracle(data: &[u8], splits: &[usize]) -> Result<(), TestCaseError> {
    let (replies, error) = decode_all(data, &[], Limits::default());
    let (pieced, pieced_error) = decode_all(data, splits, Limits::default());
    prop_assert_eq!(error, pieced_error);
    prop_assert_eq!(replies.len(), pieced.len());
    let mut start = 0;
    for ((decoded, end), (pieced, pieced_end)) in replies.iter().zip(&pieced) {
        prop_assert!(
            alike(decoded, pieced) && end == pieced_end,
            "{:?} is not {:?}",
            decoded,
            pieced
        );
        let wire = &data[start..*end];
        start = *end;
        let Decoded::Value(value) = decoded else {
            prop_assert!(parse_redis_value(wire).is_err(), "{:?}", decoded);
            continue;
        };
        match parse_redis_value(wire) {
            Ok(expected) => {
                prop_assert!(same(value, &expected), "{:?} is not {:?}", value, expected)
            }
            Err(error) => prop_assert!(
                str::from_utf8(wire).is_err(),
                "{:?}, but the oracle: {}",
                value,
                error
            ),
        }
        prop_assert!(
            parse_redis_value(&wire[..wire.len() - 1]).is_err(),
            "bytes of {:?} are not its own",
            value
        );
    }
    let rest = parse_redis_value(&data[start..]);
    prop_assert!(rest.is_err(), "{:?}, but the oracle: {:?}", error, rest);
    Ok(())
}

fn alike(left: &Decoded, right: &Decoded) -> bool {
    match (left, right) {
        (Decoded::Value(left), Decoded::Value(right)) => same(left, right),
        _ => left == right,
    }
}

/// Equality, except that doubles are equal if their bits are: NaN does not equal itself.
fn same(left: &Value, right: &Value) -> bool {
    let all = |left: &[Value], right: &[Value]| {
        left.len() == right.len()
            && left
                .iter()
                .zip(right)
                .all(|(left, right)| same(left, right))
    };
    let pairs = |left: &[(Value, Value)], right: &[(Value, Value)]| {
        left.len() == right.len()
            && left
                .iter()
                .zip(right)
                .all(|(left, right)| same(&left.0, &right.0) && same(&left.1, &right.1))
    };
    match (left, right) {
        (Value::Double(left), Value::Double(right)) => left.to_bits() == right.to_bits(),
        (Value::Array(left), Value::Array(right)) | (Value::Set(left), Value::Set(right)) => {
            all(left, right)
        }
        (Value::Map(left), Value::Map(right)) => pairs(left, right),
        (
            Value::Attribute {
                data: left,
                attributes: left_attributes,
            },
            Value::Attribute {
                data: right,
                attributes: right_attributes,
            },
        ) => same(left, right) && pairs(left_attributes, right_attributes),
        (
            Value::Push {
                kind: left,
                data: left_data,
            },
            Value::Push {
                kind: right,
                data: right_data,
            },
        ) => left == right && all(left_data, right_data),
        _ => left == right,
    }
}

/// The lengths of the pieces in which a stream arrives: mostly tiny ones, which cut within elements.
fn splits() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(
        prop_oneof![4 => 1..4_usize, 2 => 4..40_usize, 1 => 40..9_000_usize],
        0..200,
    )
}

/// Limits that many replies exceed.
fn limits() -> impl Strategy<Value = Limits> {
    (0..200_usize, 1..6_usize, 0..12_usize).prop_map(|(max_bytes, max_depth, max_elements)| {
        Limits {
            max_bytes,
            max_depth,
            max_elements,
        }
    })
}

/// The wire form of any valid reply.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    leaf().prop_recursive(6, 64, 8, |inner| {
        let items = prop::collection::vec(inner, 0..8);
        let push = (
            "[ps]?(message|(un)?subscribe)|invalidate|[a-z]{0,4}",
            any::<bool>(),
            items.clone(),
        );
        prop_oneof![
            (select(&b"*~"[..]), items.clone()).prop_map(|(kind, items)| aggregate(
                kind,
                items.len(),
                &items
            )),
            items.clone().prop_map(|items| aggregate(
                b'%',
                items.len() / 2,
                &items[..items.len() / 2 * 2]
            )),
            (items, leaf()).prop_map(|(mut items, data)| {
                items.truncate(items.len() / 2 * 2);
                let pairs = items.len() / 2;
                items.push(data);
                aggregate(b'|', pairs, &items)
            }),
            push.prop_map(|(kind, simple, mut items)| {
                items.insert(
                    0,
                    if simple {
                        line(b'+', &kind)
                    } else {
                        blob(b'$', kind.as_bytes())
                    },
                );
                aggregate(b'>', items.len(), &items)
            }),
        ]
    })
}

fn leaf() -> impl Strategy<Value = Vec<u8>> {
    let text = "[^\r\n]{0,12}";
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|body| blob(b'$', &body)),
        1 => (any::<u8>(), 0..20_000_usize)
            .prop_map(|(byte, length)| blob(b'$', &vec![byte; length])),
        2 => any::<i64>().prop_map(|number| line(b':', &number.to_string())),
        2 => (-100..100_i64).prop_map(|number| line(b':', &number.to_string())),
        2 => text.prop_map(|text| line(b'+', &text)),
        2 => text.prop_map(|text| line(b'-', &text)),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|body| blob(b'!', &body)),
        1 => ("(txt|mkd|abc|):", prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(format, text)| blob(b'=', &[format.as_bytes(), &text].concat())),
        1 => any::<f64>().prop_map(|number| line(b',', &number.to_string())),
        1 => "-?[1-9][0-9]{0,40}".prop_map(|number| line(b'(', &number)),
        4 => select(&[
            "+OK\r\n", "_\r\n", "#t\r\n", "#f\r\n", "$-1\r\n", "*-1\r\n", "~-1\r\n",
            ">0\r\n", ">-1\r\n", "+a\rb\nc\r\n", ",inf\r\n", ",-inf\r\n", ",nan\r\n", ",-nan\r\n",
            ",1e3\r\n", ": +5 \r\n", ":-0\r\n", "$-7\r\n", "-ERR no\r\n", "-MOVED 1 a:1\r\n",
            "-WRONGTYPE a key\r\n", "-NOSCRIPT\r\n",
        ][..]).prop_map(|wire| wire.into()),
    ]
}

/// Bytes that mean something to a parser.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => select(&b"+-:$*_#,(!=%~>|"[..]).prop_map(|kind| vec![kind]),
        3 => (-2..5_i64).prop_map(|number| number.to_string().into_bytes()),
        6 => Just(b"\r\n".to_vec()),
        2 => leaf(),
        2 => select(&[
            "*2\r\n", "%1\r\n", "|1\r\n", ">2\r\n", "$1\r\n", "=1\r\n", "*2147483647\r\n",
            "$9223372036854775807\r\n", "%4611686018427387904\r\n", "|9223372036854775807\r\n",
            "$?\r\n", "\r", "\n", "?", ":", "OK", "inf", "HTTP/",
        ][..]).prop_map(|text| text.into()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

fn line(kind: u8, text: &str) -> Vec<u8> {
    [&[kind], text.as_bytes(), b"\r\n"].concat()
}

fn blob(kind: u8, body: &[u8]) -> Vec<u8> {
    [
        line(kind, &body.len().to_string()).as_slice(),
        body,
        b"\r\n",
    ]
    .concat()
}

fn aggregate(kind: u8, length: usize, items: &[Vec<u8>]) -> Vec<u8> {
    [line(kind, &length.to_string()), items.concat()].concat()
}
