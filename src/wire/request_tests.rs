//! Goal: whatever bytes come, in whatever pieces, requests are decoded alike and within bounds.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::*;

fn decode(input: &[u8]) -> Result<Vec<Request>, Malformed> {
    let (mut decoder, mut input) = (Decoder::default(), BytesMut::from(input));
    let mut requests = Vec::new();
    while let Some(request) = decoder.next(&mut input, true)? {
        requests.push(request);
    }
    Ok(requests)
}

#[test]
fn requests_come_in_pieces_of_any_size() {
    let input = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\nset a \"b c\"\r\n";
    let whole = decode(input).expect("requests");
    assert_eq!(whole.len(), 3);
    assert_eq!(whole[2], ["set", "a", "b c"]);
    let (mut decoder, mut buffer, mut requests) = (Decoder::default(), BytesMut::new(), Vec::new());
    for byte in input {
        buffer.extend_from_slice(&[*byte]);
        requests.extend(decoder.next(&mut buffer, true).expect("no error"));
    }
    assert_eq!(requests, whole);
}

/// The requests in pieces of these lengths and then the rest, within a bound, and the error that ended them.
fn decode_pieces(
    input: &[u8],
    lengths: &[usize],
    limit: usize,
) -> (Vec<Request>, Option<Malformed>) {
    let mut decoder = Decoder::with_limit(limit);
    let (mut buffer, mut rest, mut requests) = (BytesMut::new(), input, Vec::new());
    for length in lengths.iter().copied().chain([input.len()]) {
        let (piece, later) = rest.split_at(length.min(rest.len()));
        buffer.extend_from_slice(piece);
        rest = later;
        loop {
            match decoder.next(&mut buffer, true) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(malformed) => return (requests, Some(malformed)),
            }
        }
    }
    (requests, None)
}

/// Bytes of requests, in the forms of a client and of a person.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        select(&["GET", "", "a", "\r\n", "*1", "$3", "\"", "'x'", "\\x4"][..])
            .prop_map(|word| word.as_bytes().to_vec()),
        vec(any::<u8>(), 0..40),
    ];
    let request = (vec(word, 1..6), any::<bool>()).prop_map(|(words, is_array)| {
        if !is_array {
            return [words.join(&b' '), b"\r\n".to_vec()].concat();
        }
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        bytes
    });
    vec(request, 0..6).prop_map(|requests| requests.concat())
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Repeat(Index, Index),
    Truncate(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = || prop_oneof![select(&b"*$-0129\r\n\"'\\ "[..]), any::<u8>()];
    prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        any::<Index>().prop_map(Mutation::Remove),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
        any::<Index>().prop_map(Mutation::Truncate),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match mutation {
        Mutation::Replace(at, byte) => bytes[at.index(length)] = *byte,
        Mutation::Insert(at, byte) => bytes.insert(at.index(length), *byte),
        Mutation::Remove(at) => {
            bytes.remove(at.index(length));
        }
        Mutation::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            bytes.extend_from_within(from.min(to)..from.max(to));
        }
        Mutation::Truncate(at) => bytes.truncate(at.index(length)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn requests_with_errors_stay_in_bounds_and_pieces_of_them_make_no_difference(
        input in requests(),
        mutations in vec(mutation(), 0..8),
        lengths in vec(0_usize..20, 0..40),
        limit in select(&[1, 100, 1_000, usize::MAX][..]),
    ) {
        let mut input = input;
        for mutation in &mutations {
            mutate(&mut input, mutation);
        }
        let whole = decode_pieces(&input, &[], limit);
        for request in &whole.0 {
            prop_assert!(!request.is_empty());
            let bytes: usize = request.iter().map(Bytes::len).sum();
            // A line has a bound of its own.
            prop_assert!(bytes <= limit.max(MAX_LINE).min(input.len()));
        }
        prop_assert_eq!(decode_pieces(&input, &lengths, limit), whole);
    }
}

#[test]
fn malformed_input_is_refused() {
    for (input, text) in [
        (&b"*x\r\n"[..], "Protocol error: invalid multibulk length"),
        (b"*1048577\r\n", "Protocol error: invalid multibulk length"),
        (b"*1\r\n:1\r\n", "Protocol error: expected '$'"),
        (b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
        (
            b"*1\r\n$536870913\r\n",
            "Protocol error: invalid bulk length",
        ),
        (
            b"set a \"b\r\n",
            "Protocol error: unbalanced quotes in request",
        ),
    ] {
        assert_eq!(decode(input), Err(Malformed(text)));
    }
    let endless = vec![b'a'; MAX_LINE + 1];
    assert_eq!(
        decode(&endless),
        Err(Malformed("Protocol error: too big inline request"))
    );
    let mut decoder = Decoder::with_limit(1000);
    let mut input = BytesMut::from(&b"*2\r\n$3\r\nSET\r\n$1000\r\n"[..]);
    let refused = decoder.next(&mut input, true);
    assert_eq!(
        refused,
        Err(Malformed("Protocol error: the request is too large"))
    );
    let mut decoder = Decoder::default();
    let refused = decoder.next(&mut BytesMut::from(&b"*11\r\n"[..]), false);
    assert_eq!(
        refused,
        Err(Malformed(
            "Protocol error: unauthenticated multibulk length"
        ))
    );
}
