//! Patterns of KEYS, SCAN and PSUBSCRIBE.

/// Whether a text matches a pattern: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a character that is meant itself.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on if the text does not match: after the last star, one character later.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match step(pattern, text) {
            Step::Star(rest) => {
                if rest.is_empty() {
                    return true;
                }
                retry = Some((rest, text));
                pattern = rest;
            }
            Step::Matches(rest, left) => (pattern, text) = (rest, left),
            Step::End => return true,
            Step::Differs => match retry {
                Some((rest, [_, left @ ..])) => {
                    retry = Some((rest, left));
                    (pattern, text) = (rest, left);
                }
                _ => return false,
            },
        }
    }
}

enum Step<'p, 't> {
    Star(&'p [u8]),
    Matches(&'p [u8], &'t [u8]),
    End,
    Differs,
}

fn step<'p, 't>(pattern: &'p [u8], text: &'t [u8]) -> Step<'p, 't> {
    match (pattern, text) {
        ([b'*', rest @ ..], _) => Step::Star(rest),
        ([], []) => Step::End,
        ([], _) | (_, []) => Step::Differs,
        ([b'?', rest @ ..], [_, left @ ..]) => Step::Matches(rest, left),
        ([b'[', rest @ ..], [byte, left @ ..]) => {
            let (is_in, rest) = class(rest, *byte);
            if is_in {
                Step::Matches(rest, left)
            } else {
                Step::Differs
            }
        }
        ([b'\\', literal, rest @ ..], [byte, left @ ..])
        | ([literal, rest @ ..], [byte, left @ ..]) => {
            if literal == byte {
                Step::Matches(rest, left)
            } else {
                Step::Differs
            }
        }
    }
}

/// Whether a byte is in the class that begins here, and the pattern behind it.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (is_negated, mut left) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut is_in = false;
    loop {
        left = match left {
            [] => break,
            [b']', rest @ ..] => {
                left = rest;
                break;
            }
            [b'\\', literal, rest @ ..] => {
                is_in |= *literal == byte;
                rest
            }
            [start, b'-', end, rest @ ..] => {
                let (start, end) = (start.min(end), start.max(end));
                is_in |= (start..=end).contains(&&byte);
                rest
            }
            [literal, rest @ ..] => {
                is_in |= *literal == byte;
                rest
            }
        };
    }
    (is_in != is_negated, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text) in [
            ("*", ""),
            ("h?llo", "hello"),
            ("h*llo", "heeeello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-c]llo", "hbllo"),
            ("*a*b*c", "xxaxxbxxabc"),
            ("a\\*", "a*"),
        ] {
            assert!(
                matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} {text}"
            );
        }
        for (pattern, text) in [
            ("", "a"),
            ("h[^e]llo", "hello"),
            ("a\\*", "ab"),
            ("*a", "ab"),
            ("a?", "a"),
        ] {
            assert!(
                !matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} {text}"
            );
        }
    }
}
