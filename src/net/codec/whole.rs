//! Decoding a whole stream at once, for tests, benches and the fuzz target.

use bytes::BytesMut;

use super::{Decoded, Decoder, Limits, ProtocolError};

/// Decodes all of `data`, fed in pieces of the lengths in `splits` and then the rest at once.
///
/// Returns each reply with the offset at which it ends, and the error that ended the stream, if
/// one did. It is what the property tests and the fuzz target call.
pub(crate) fn decode_all(
    mut data: &[u8],
    splits: &[usize],
    limits: Limits,
) -> (Vec<(Decoded, usize)>, Option<ProtocolError>) {
    let mut decoder = Decoder::new(limits);
    let mut input = BytesMut::new();
    let mut replies = Vec::new();
    let mut fed = 0;
    for &length in splits.iter().chain([&usize::MAX]) {
        let (piece, rest) = data.split_at(length.min(data.len()));
        data = rest;
        fed += piece.len();
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(reply)) => replies.push((reply, fed - input.len())),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}
