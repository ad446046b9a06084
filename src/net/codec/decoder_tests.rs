use redis::{PushKind, VerbatimFormat, parse_redis_value};

use super::super::{MAX_LENGTH, decode_all};
use super::*;

#[test]
fn every_type_is_decoded_wherever_it_is_cut() {
    let text = |text: &str| Value::SimpleString(text.into());
    let bytes = |text: &str| Value::BulkString(text.into());
    let push = |kind, data| Value::Push { kind, data };
    let verbatim = |format, text: &str| Value::VerbatimString {
        format,
        text: text.into(),
    };
    let cases = [
        ("+OK\r\n", Value::Okay),
        ("+\r\n", text("")),
        ("+a\rb\nc\r\r\n", text("a\rb\nc\r")),
        (":-42\r\n", Value::Int(-42)),
        (":9223372036854775807\r\n", Value::Int(i64::MAX)),
        ("$0\r\n\r\n", bytes("")),
        ("$4\r\na\r\nb\r\n", bytes("a\r\nb")),
        ("$-1\r\n", Value::Nil),
        ("_\r\n", Value::Nil),
        ("#t\r\n", Value::Boolean(true)),
        ("#f\r\n", Value::Boolean(false)),
        (",-1.5e2\r\n", Value::Double(-150.0)),
        (",inf\r\n", Value::Double(f64::INFINITY)),
        (",-inf\r\n", Value::Double(f64::NEG_INFINITY)),
        (
            "=8\r\ntxt:a\r\nb\r\n",
            verbatim(VerbatimFormat::Text, "a\r\nb"),
        ),
        (
            "=4\r\nxyz:\r\n",
            verbatim(VerbatimFormat::Unknown("xyz".into()), ""),
        ),
        ("*0\r\n", Value::Array(vec![])),
        ("*-1\r\n", Value::Nil),
        (
            "*2\r\n*1\r\n:1\r\n_\r\n",
            Value::Array(vec![Value::Array(vec![Value::Int(1)]), Value::Nil]),
        ),
        ("~1\r\n+a\r\n", Value::Set(vec![text("a")])),
        ("%0\r\n", Value::Map(vec![])),
        (
            "%1\r\n+a\r\n$1\r\nb\r\n",
            Value::Map(vec![(text("a"), bytes("b"))]),
        ),
        (
            "|1\r\n+a\r\n:1\r\n*1\r\n:2\r\n",
            Value::Attribute {
                data: Box::new(Value::Array(vec![Value::Int(2)])),
                attributes: vec![(text("a"), Value::Int(1))],
            },
        ),
        (
            ">2\r\n$10\r\ninvalidate\r\n*0\r\n",
            push(PushKind::Invalidate, vec![Value::Array(vec![])]),
        ),
        (
            ">1\r\n+new\r\n",
            push(PushKind::Other("new".into()), vec![]),
        ),
        (">0\r\n", push(PushKind::Other(String::new()), vec![])),
    ];
    for (wire, expected) in cases {
        assert_decodes(wire.as_bytes(), expected);
    }
}

#[test]
fn errors_and_big_numbers_equal_those_of_the_redis_crate() {
    for wire in [
        "-ERR wrong\r\n",
        "-MOVED 1 a:1\r\n",
        "!10\r\nCODE a\r\n b\r\n",
        "(-123456789012345678901\r\n",
    ] {
        assert_decodes(wire.as_bytes(), parse_redis_value(wire.as_bytes()).unwrap());
    }
    assert!(
        matches!(decode(",nan\r\n"), Ok(Some(Decoded::Value(Value::Double(number)))) if number.is_nan())
    );
}

#[test]
fn invalid_utf8_does_not_end_the_stream() {
    assert_decodes(b"+a\xff\r\n", Value::BulkString(b"a\xff".to_vec()));
    assert_decodes(
        b"-ERR \xff\r\n",
        parse_redis_value("-ERR \u{fffd}\r\n".as_bytes()).unwrap(),
    );
    assert_decodes(
        b"!5\r\nERR \xff\r\n",
        parse_redis_value("-ERR \u{fffd}\r\n".as_bytes()).unwrap(),
    );
}

#[test]
fn replies_are_taken_one_at_a_time() {
    let mut input = BytesMut::from(":1\r\n*1\r\n+a\r\n$1");
    let mut decoder = Decoder::new(Limits::default());
    let int = Decoded::Value(Value::Int(1));
    assert_eq!(decoder.decode(&mut input), Ok(Some(int)));
    let array = Value::Array(vec![Value::SimpleString("a".into())]);
    assert_eq!(decoder.decode(&mut input), Ok(Some(Decoded::Value(array))));
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!(input, "$1");
}

#[test]
fn the_bytes_of_decoded_elements_are_not_kept() {
    let mut decoder = Decoder::new(Limits::default());
    let mut input = BytesMut::from("*2\r\n:1\r\n$10\r\nabc");
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!((&input[..], decoder.needed()), (&b"abc"[..], 9));
    input.extend_from_slice(b"defghij\r\n");
    assert!(matches!(
        decoder.decode(&mut input),
        Ok(Some(Decoded::Value(Value::Array(items)))) if items.len() == 2
    ));
    assert_eq!((input.len(), decoder.needed()), (0, 0));

    input.extend_from_slice(b"+abc\r");
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!(decoder.searched, 3);
}

#[test]
fn no_byte_is_read_again_when_more_input_comes() {
    // If the time were quadratic, this test would not end.
    let array = ["*300000\r\n", &"$1\r\na\r\n".repeat(300_000)].concat();
    let blob = ["$30000000\r\n", &"a".repeat(30_000_000), "\r\n"].concat();
    let line = ["+", &"a".repeat(30_000_000), "\r\n"].concat();
    let small = Limits {
        max_bytes: 1_000,
        ..Limits::default()
    };
    for (wire, piece) in [(array, 5), (blob, 100), (line, 100)] {
        let splits = vec![piece; wire.len() / piece];
        for limits in [Limits::default(), small] {
            let (replies, error) = decode_all(wire.as_bytes(), &splits, limits);
            assert_eq!((replies.len(), error), (1, None));
        }
    }
}

#[test]
fn malformed_replies_are_refused() {
    let malformed = |what| ProtocolError::Malformed { what };
    let cases = [
        ("?", ProtocolError::UnknownType { byte: b'?' }),
        ("*1\r\nHTTP/", ProtocolError::UnknownType { byte: b'H' }),
        ("HTTP/1.1 400 Bad Request\r\n", ProtocolError::Http),
        (":\r\n", malformed("an integer")),
        (":9223372036854775808\r\n", malformed("an integer")),
        ("$x\r\n", malformed("a length")),
        ("$?\r\n", ProtocolError::Streamed),
        ("*?\r\n", ProtocolError::Streamed),
        ("%-1\r\n", ProtocolError::NegativeLength),
        ("|-1\r\n", ProtocolError::NegativeLength),
        ("!-1\r\n", ProtocolError::NegativeLength),
        ("=-1\r\n", ProtocolError::NegativeLength),
        ("$1\r\nabc", ProtocolError::Unterminated),
        ("#x\r\n", malformed("a boolean")),
        (",x\r\n", malformed("a double")),
        ("=1\r\na\r\n", malformed("a verbatim string")),
        (">1\r\n:1\r\n", malformed("the kind of a push message")),
        (
            &*["$", &"0".repeat(MAX_LENGTH + 1)].concat(),
            ProtocolError::LengthTooLong { limit: MAX_LENGTH },
        ),
    ];
    for (wire, expected) in cases {
        assert_refused(wire.as_bytes(), expected, Limits::default());
    }
}

#[test]
fn every_call_after_an_error_returns_the_same_error() {
    let mut decoder = Decoder::new(Limits::default());
    let error = decoder.decode(&mut BytesMut::from("?")).unwrap_err();
    assert_eq!(decoder.decode(&mut BytesMut::from("+OK\r\n")), Err(error));
}

#[test]
fn each_limit_admits_its_value_and_more_is_read_over() {
    let limits = Limits {
        max_bytes: 20,
        max_depth: 3,
        max_elements: 4,
    };
    let (bytes, depth) = (ReplyLimit::Bytes(20), ReplyLimit::Depth(3));
    let elements = ReplyLimit::Elements(4);
    let cases = [
        (
            "$13\r\n0123456789abc\r\n",
            "$14\r\n0123456789\r\nab\r\n",
            bytes,
        ),
        (
            "*3\r\n+0123\r\n+012\r\n_\r\n",
            "*3\r\n+0123\r\n+0123\r\n_\r\n",
            bytes,
        ),
        (
            "*4\r\n:10\r\n:1\r\n:1\r\n_\r\n",
            "*4\r\n:10\r\n:1\r\n:1\r\n:1\r\n",
            bytes,
        ),
        ("+0123456789abcdefg\r\n", "+0123456789abcdefg\r\r\n", bytes),
        ("-0123456789abcdefg\r\n", "-0123456789abcdefgh\r\n", bytes),
        ("(01234567890123456\r\n", "(012345678901234567\r\n", bytes),
        ("*1\r\n*1\r\n_\r\n", "*1\r\n*1\r\n*1\r\n:1\r\n", depth),
        (
            "%2\r\n_\r\n_\r\n_\r\n_\r\n",
            "|2\r\n_\r\n_\r\n_\r\n_\r\n_\r\n",
            elements,
        ),
        (
            "*2\r\n*2\r\n_\r\n_\r\n_\r\n",
            "*2\r\n*3\r\n%1\r\n$1\r\n*\r\n=5\r\ntxt:a\r\n!0\r\n\r\n~-1\r\n$-1\r\n",
            elements,
        ),
    ];
    for (within, beyond, limit) in cases {
        let too_large = Decoded::TooLarge(Oversized { limit, push: None });
        let wire = [within, beyond, within].concat();
        for cut in 0..wire.len() {
            for splits in [vec![cut], vec![1; wire.len()]] {
                let (replies, error) = decode_all(wire.as_bytes(), &splits, limits);
                assert_eq!(error, None, "{beyond:?}");
                let ends: Vec<_> = replies.iter().map(|(_, end)| *end).collect();
                let second = within.len() + beyond.len();
                assert_eq!(ends, [within.len(), second, wire.len()], "{beyond:?}");
                assert_eq!(replies[1].0, too_large, "{beyond:?}");
            }
        }
    }
}

#[test]
fn a_push_that_is_read_over_keeps_its_kind() {
    let limits = Limits {
        max_bytes: 30,
        ..Limits::default()
    };
    let long = "x".repeat(40);
    for (wire, kind) in [
        (
            format!(">2\r\n$10\r\ninvalidate\r\n$40\r\n{long}\r\n"),
            PushKind::Invalidate,
        ),
        (format!(">1\r\n+{long}\r\n"), PushKind::Other("".into())),
    ] {
        let (replies, error) = decode_all(wire.as_bytes(), &[1; 20], limits);
        let push = Some(kind);
        let limit = ReplyLimit::Bytes(30);
        let too_large = Decoded::TooLarge(Oversized { limit, push });
        assert_eq!((replies, error), (vec![(too_large, wire.len())], None));
    }
}

/// A stack of counts would grow with the nesting. The elements that are left are one number.
#[test]
fn nesting_without_end_costs_no_memory_when_it_is_read_over() {
    let mut decoder = Decoder::new(Limits::default());
    for _ in 0..1_000 {
        let mut input = BytesMut::from(&*"*2\r\n".repeat(1_000));
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert_eq!((input.len(), decoder.open.capacity()), (0, 0));
    }
    let mut rest = BytesMut::from(&*":1\r\n".repeat(1_000_001));
    let too_large = decoder.decode(&mut rest).expect("valid").expect("complete");
    let limit = ReplyLimit::Depth(100);
    assert_eq!(
        too_large,
        Decoded::TooLarge(Oversized { limit, push: None })
    );
    assert_eq!(rest.len(), 0);
}

#[test]
fn a_lost_framing_ends_the_stream_also_while_it_is_read_over() {
    let limits = Limits {
        max_elements: 1,
        ..Limits::default()
    };
    let malformed = |what| ProtocolError::Malformed { what };
    for (wire, expected) in [
        ("?", ProtocolError::UnknownType { byte: b'?' }),
        ("$x\r\n", malformed("a length")),
        ("*?\r\n", ProtocolError::Streamed),
        ("%-1\r\n", ProtocolError::NegativeLength),
        ("=-1\r\n", ProtocolError::NegativeLength),
        ("$1\r\nabc", ProtocolError::Unterminated),
        (
            &*["$", &"0".repeat(MAX_LENGTH + 1)].concat(),
            ProtocolError::LengthTooLong { limit: MAX_LENGTH },
        ),
    ] {
        assert_refused(["*2\r\n", wire].concat().as_bytes(), expected, limits);
    }
}

#[test]
fn the_depth_limit_is_that_of_the_oracle() {
    let nested = |levels| ["*1\r\n".repeat(levels), ":1\r\n".to_owned()].concat();
    assert_decodes(
        nested(99).as_bytes(),
        parse_redis_value(nested(99).as_bytes()).unwrap(),
    );
    assert!(parse_redis_value(nested(100).as_bytes()).is_err());
    let limit = ReplyLimit::Depth(100);
    let too_large = Decoded::TooLarge(Oversized { limit, push: None });
    assert_eq!(decode(&nested(100)), Ok(Some(too_large)));
}

#[test]
fn an_announced_length_allocates_nothing() {
    let unlimited = Limits {
        max_bytes: usize::MAX,
        max_elements: usize::MAX,
        ..Limits::default()
    };
    for kind in [
        "$9223372036854775804",
        "!9223372036854775804",
        "*9223372036854775807",
        "|9223372036854775807",
    ] {
        let mut input = BytesMut::from(format!("{kind}\r\n").as_bytes());
        assert_eq!(
            Decoder::new(unlimited).decode(&mut input),
            Ok(None),
            "{kind}"
        );
    }
    for (wire, limit) in [
        (
            "$9223372036854775807",
            ReplyLimit::Bytes(Limits::default().max_bytes),
        ),
        ("*2147483647", ReplyLimit::Elements(16 * 1024 * 1024)),
        (
            "%9223372036854775807",
            ReplyLimit::Elements(16 * 1024 * 1024),
        ),
    ] {
        let mut input = BytesMut::from(format!("{wire}\r\n").as_bytes());
        let mut decoder = Decoder::new(Limits::default());
        assert_eq!(decoder.decode(&mut input), Ok(None), "{wire}");
        assert_eq!(decoder.exceeded(), Some(limit), "{wire}");
    }
}

fn decode(wire: &str) -> Result<Option<Decoded>, ProtocolError> {
    Decoder::new(Limits::default()).decode(&mut BytesMut::from(wire))
}

/// Asserts it with the input cut in two at every position, and cut at all positions.
fn assert_decodes(wire: &[u8], expected: Value) {
    let everywhere = vec![1; wire.len()];
    for splits in (0..wire.len()).map(|cut| vec![cut]).chain([everywhere]) {
        let decoded = decode_all(wire, &splits, Limits::default());
        assert_eq!(
            decoded,
            (vec![(Decoded::Value(expected.clone()), wire.len())], None),
            "{}",
            wire.escape_ascii()
        );
    }
}

fn assert_refused(wire: &[u8], expected: ProtocolError, limits: Limits) {
    let everywhere = vec![1; wire.len()];
    let cuts = (0..wire.len()).step_by(wire.len() / 20 + 1);
    for splits in cuts.map(|cut| vec![cut]).chain([everywhere]) {
        assert_eq!(
            decode_all(wire, &splits, limits),
            (vec![], Some(expected)),
            "{}",
            wire[..wire.len().min(40)].escape_ascii()
        );
    }
}
