//! Words, compared as the server compares them.

/// A word in upper case, up to the first NUL: servers compare some names and all options as C strings, so
/// `BLOCK\0x` is `BLOCK` to them.
pub(crate) struct Upper {
    bytes: [u8; Self::LONGEST],
    len: usize,
}

impl Upper {
    /// `TIMESERIES.FORCESHARDSCONNECTION` is the longest word listed here.
    pub(crate) const LONGEST: usize = 32;

    /// The word; empty if it is longer than all listed words.
    #[inline]
    pub(crate) fn of(word: &[u8]) -> Self {
        let mut upper = Self {
            bytes: [0; Self::LONGEST],
            len: 0,
        };
        for (upper_byte, byte) in upper.bytes.iter_mut().zip(word) {
            if *byte == 0 {
                return upper;
            }
            *upper_byte = byte.to_ascii_uppercase();
            upper.len += 1;
        }
        if word.get(Self::LONGEST).is_some_and(|byte| *byte != 0) {
            upper.len = 0;
        }
        upper
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
