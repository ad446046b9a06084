//! Goal: no bytes make the decoder panic, loop or disagree with `redis::parse_redis_value`.
//! Method: the input is decoded in one piece and in many, and each reply is parsed again by the
//! oracle. `cargo +nightly fuzz run decode`

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use redis::parse_redis_value;
use redis_steward::internals::decode_all;

fuzz_target!(|input: &[u8]| {
    let (splits, data) = split_off_splits(input);
    let (replies, error) = decode_all(data, &[]);
    let (pieced, pieced_error) = decode_all(data, &splits);
    assert_eq!(error, pieced_error);
    assert_eq!(replies.len(), pieced.len());

    let mut start = 0;
    for ((value, end), (pieced, pieced_end)) in replies.iter().zip(&pieced) {
        assert_eq!(end, pieced_end);
        assert!(same(value, pieced), "{value:?} is not {pieced:?}");
        let wire = &data[start..*end];
        start = *end;
        let Ok(value) = value else {
            // The oracle's limit of nesting is the same.
            assert!(parse_redis_value(wire).is_err(), "{value:?}");
            continue;
        };
        match parse_redis_value(wire) {
            Ok(expected) => assert!(same(value, &expected), "{value:?} is not {expected:?}"),
            // Only text that is not UTF-8 is accepted by the decoder and refused by the oracle.
            Err(error) => assert!(str::from_utf8(wire).is_err(), "{value:?}, but {error}"),
        }
    }
    // Input that the decoder refuses or finds incomplete is refused by the oracle too.
    let rest = parse_redis_value(&data[start..]);
    assert!(rest.is_err(), "{error:?}, but the oracle: {rest:?}");
});

/// The first byte gives the number of pieces, and the next bytes the length of each.
fn split_off_splits(input: &[u8]) -> (Vec<usize>, &[u8]) {
    let Some((&count, rest)) = input.split_first() else {
        return (Vec::new(), input);
    };
    let (splits, data) = rest.split_at(rest.len().min(usize::from(count % 32)));
    (
        splits.iter().map(|&length| usize::from(length)).collect(),
        data,
    )
}

/// NaN does not equal itself, so values also count as equal if they print alike.
fn same<T: PartialEq + Debug>(left: &T, right: &T) -> bool {
    left == right || format!("{left:?}") == format!("{right:?}")
}
