//! Goal: no bytes of a client make the decoder of requests panic, loop or keep more than its bound, and pieces make
//! no difference. Method: the input is decoded in one piece and in many. `cargo +nightly fuzz run request`

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_steward::internals::requests_in;

const LIMIT: usize = 4096;

fuzz_target!(|input: &[u8]| {
    let (splits, data) = split_off_splits(input);
    let whole = requests_in(data, &[], LIMIT);
    assert_eq!(requests_in(data, &splits, LIMIT), whole);
    for request in whole.0 {
        assert!(!request.is_empty());
        let bytes: usize = request.iter().map(|word| word.len()).sum();
        // A line has a bound of its own.
        assert!(bytes <= 64 * 1024);
    }
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
