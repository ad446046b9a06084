//! LCS: the longest common subsequence of two strings.

use bytes::Bytes;

use super::string;
use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    reply::Reply,
    request::MAX_BULK,
};

pub(super) fn lcs(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    const NOT_STRINGS: &str = "ERR The specified keys must contain string values";
    let mut read = |key| string(cx, key).map_err(|_| Halt::error(NOT_STRINGS));
    let (one, other) = (
        read(&args[1])?.unwrap_or_default(),
        read(&args[2])?.unwrap_or_default(),
    );
    let (mut wants_length, mut wants_ranges, mut with_length, mut least) = (false, false, false, 0);
    let mut words = Words::new(&args[3..]);
    while let Some(word) = words.next() {
        if is(word, "LEN") {
            wants_length = true;
        } else if is(word, "IDX") {
            wants_ranges = true;
        } else if is(word, "WITHMATCHLEN") {
            with_length = true;
        } else if is(word, "MINMATCHLEN") {
            least = integer(words.expect()?)?.max(0) as usize;
        } else {
            return Err(Halt::SYNTAX);
        }
    }
    if wants_length && wants_ranges {
        return Err(Halt::error(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    if table_bytes(&one, &other).is_none_or(|bytes| bytes > MAX_BULK as usize) {
        return Err(Halt::error(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let matches = common_subsequence(&one, &other);
    let length: usize = matches.iter().map(|(_, _, length)| length).sum();
    if wants_length {
        return Ok(Reply::count(length));
    }
    if !wants_ranges {
        let bytes: Vec<u8> = matches
            .iter()
            .rev()
            .flat_map(|(start, _, length)| &one[*start..start + length])
            .copied()
            .collect();
        return Ok(Reply::bulk(bytes));
    }
    let range = |start: usize, length: usize| {
        Reply::Array(vec![Reply::count(start), Reply::count(start + length - 1)])
    };
    let ranges = matches
        .iter()
        .filter(|(_, _, length)| *length >= least.max(1));
    let ranges = ranges.map(|(one, other, length)| {
        let mut items = vec![range(*one, *length), range(*other, *length)];
        items.extend(with_length.then(|| Reply::count(*length)));
        Reply::Array(items)
    });
    Ok(Reply::Map(vec![
        (Reply::text("matches"), Reply::Array(ranges.collect())),
        (Reply::text("len"), Reply::count(length)),
    ]))
}

/// The bytes of the table of lengths; `None` if they are beyond all memory.
fn table_bytes(one: &[u8], other: &[u8]) -> Option<usize> {
    let lengths = (one.len() + 1).checked_mul(other.len() + 1)?;
    lengths.checked_mul(size_of::<u32>())
}

/// The pieces of the longest common subsequence, the last one first: where they start, and their length.
fn common_subsequence(one: &[u8], other: &[u8]) -> Vec<(usize, usize, usize)> {
    let width = other.len() + 1;
    let mut lengths = vec![0_u32; (one.len() + 1) * width];
    for (i, a) in one.iter().enumerate() {
        for (j, b) in other.iter().enumerate() {
            lengths[(i + 1) * width + j + 1] = if a == b {
                lengths[i * width + j] + 1
            } else {
                lengths[i * width + j + 1].max(lengths[(i + 1) * width + j])
            };
        }
    }
    let (mut i, mut j, mut pieces) = (one.len(), other.len(), Vec::<(usize, usize, usize)>::new());
    while i > 0 && j > 0 {
        if one[i - 1] == other[j - 1] {
            (i, j) = (i - 1, j - 1);
            match pieces.last_mut() {
                Some((a, b, length)) if *a == i + 1 && *b == j + 1 => {
                    (*a, *b, *length) = (i, j, *length + 1)
                }
                _ => pieces.push((i, j, 1)),
            }
        } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn the_longest_common_subsequence_is_found() {
        Client::new().expect(&[
            ("MSET a ohmytext b mynewtext", "+OK"),
            ("LCS a b", "$6 mytext"),
            ("LCS a b LEN", ":6"),
            (
                "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
                "*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6",
            ),
        ]);
    }

    #[test]
    fn a_table_that_is_too_large_is_refused() {
        const ERROR: &str =
            "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
        Client::new().expect(&[
            ("SETRANGE a 20000 x", ":20001"),
            ("SETRANGE b 20000 y", ":20001"),
            ("LCS a b LEN", ERROR),
            ("LCS a none LEN", ":0"),
        ]);
    }
}
