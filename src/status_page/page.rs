//! The page, and what it may load.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

pub(super) const HTML: &str = include_str!("page.html");

/// Permits the style and the script of the page, by their hashes, and its own requests. Nothing else can run in it, even if
/// a text became part of its markup.
pub(super) fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        format!(
            "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            source("script"),
            source("style"),
        )
    });
    &POLICY
}

/// The source expression of the one element of this kind.
fn source(element: &str) -> String {
    let (_, content) = HTML
        .split_once(&format!("<{element}>"))
        .expect("BUG: the page has such an element");
    let (content, _) = content
        .split_once(&format!("</{element}>"))
        .expect("BUG: the element has an end");
    format!("'sha256-{}'", base64(&Sha256::digest(content)))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |index| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * index)) as usize & 63];
            let is_there = index <= group.len();
            text.push(if is_there { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_hashes_and_no_other_site() {
        // The test vectors of RFC 4648.
        for (bytes, text) in [("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        let policy = content_security_policy();
        assert_eq!(policy.matches("'sha256-").count(), 2);
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
    }

    #[test]
    fn the_page_loads_nothing_and_writes_no_markup() {
        for forbidden in [
            "http:",
            "https:",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=",
            " onclick=",
            "src=",
        ] {
            // The namespace of SVG is a name, and not loaded.
            let html = HTML.replace("http://www.w3.org/2000/svg", "");
            assert!(!html.contains(forbidden), "the page has {forbidden}");
        }
    }
}
