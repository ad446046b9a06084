//! What the fuzz targets reach of the inside. No part of the public interface.

use crate::net::codec;

/// Decodes `data`, fed in pieces of the lengths in `splits` and then the rest at once: each reply
/// with the offset at which it ends, and the error that ended the stream.
pub fn decode_all(data: &[u8], splits: &[usize]) -> (Vec<(redis::Value, usize)>, Option<String>) {
    let (replies, error) = codec::decode_all(data, splits, codec::Limits::default());
    (replies, error.map(|error| error.to_string()))
}
