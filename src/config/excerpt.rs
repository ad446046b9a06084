//! Texts of unknown origin, as messages show them.

/// Text of unknown origin, made fit for a line of a log: in quotes, escaped, and cut to a few
/// words.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 48;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A value as a message may show it. One with an @ may be a URL with a password, in the wrong place.
pub(super) fn shown(value: &str) -> String {
    if value.contains('@') {
        "the value (not shown, it may hold a password)".into()
    } else {
        quoted(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_escaped_and_cut() {
        assert_eq!(quoted("a\x1b[31m"), "\"a\\u{1b}[31m\"");
        assert_eq!(quoted(&"é".repeat(500)), format!("\"{}\"…", "é".repeat(48)));
    }
}
