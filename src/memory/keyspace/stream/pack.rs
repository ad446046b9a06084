//! The sizes of elements of a listpack, in which Redis stores entries.

use crate::memory::number;

/// The bytes of an integer, with the length that follows it.
pub(super) fn integer(number: i64) -> usize {
    const MAX_24: i64 = (1 << 23) - 1;
    let size = match number {
        0..=127 => 1,
        -4096..=4095 => 2,
        -32768..=32767 => 3,
        _ if (-MAX_24 - 1..=MAX_24).contains(&number) => 4,
        _ if i32::try_from(number).is_ok() => 5,
        _ => 9,
    };
    size + 1
}

/// The bytes of a text, with the length that follows it. One that is an integer is stored as such.
pub(super) fn text(text: &[u8]) -> usize {
    if let Some(number) = number::integer(text) {
        return integer(number);
    }
    let head = match text.len() {
        0..64 => 1,
        64..4096 => 2,
        _ => 5,
    };
    let size = head + text.len();
    let tail = match size {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    size + tail
}
