//! Percent-encoding, as URLs use it.

/// Undoes percent-encoding (RFC 3986 section 2.1). A percent sign that starts no escape stands for
/// itself, as in the URL standard.
pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .map(|digit| digit as u8)
    };
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (
            bytes[at],
            digit(bytes.get(at + 1)),
            digit(bytes.get(at + 2)),
        ) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// The text, or a problem for what it is.
pub(super) fn decode(text: &str, what: &str, problems: &mut Vec<String>) -> Option<String> {
    let decoded = String::from_utf8(percent_decode(text)).ok();
    if decoded.is_none() {
        problems.push(format!(
            "has a {what} that is not UTF-8 once percent-decoded"
        ));
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_everything_else_stays() {
        for (text, expected) in [
            ("", ""),
            ("plain+", "plain+"),
            ("%41%2f%2F", "A//"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%%41", "%zz%A"),
            ("gr%C3%BCn", "grün"),
        ] {
            assert_eq!(percent_decode(text), expected.as_bytes(), "{text}");
        }
    }
}
