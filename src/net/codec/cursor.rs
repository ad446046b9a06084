//! A position in the bytes at hand.

pub(super) const CRLF: &[u8] = b"\r\n";

/// Bytes of a line beside its text: the type byte, CR and LF.
pub(super) const FRAME: usize = 3;

/// The bytes at hand, and the number of bytes taken.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The bytes not taken.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The bytes after the type byte.
    pub(super) fn text(&self) -> &'a [u8] {
        self.rest().get(1..).unwrap_or_default()
    }
}

/// The position of the first CR LF of `text`, which is known not to be before `from`.
pub(super) fn find_crlf(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += text.get(at..)?.iter().position(|&byte| byte == b'\r')?;
        if *text.get(at + 1)? == b'\n' {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cr_lf_is_found_and_lone_crs_and_lfs_are_skipped() {
        assert_eq!(find_crlf(b"a\rb\nc\r\r\n\r\n", 0), Some(6));
        assert_eq!(find_crlf(b"\r\n\r\n", 1), Some(2));
        for without in [&b""[..], b"\r", b"\n\r", b"a\r\r"] {
            assert_eq!(find_crlf(without, 0), None);
        }
        assert_eq!(find_crlf(b"\r\n", 3), None);
    }
}
