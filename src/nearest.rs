//! The name that was probably meant.

/// The candidate that is most like `given`, if one is much like it.
pub(crate) fn nearest<'a>(
    given: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let likeness = |candidate: &str| strsim::jaro_winkler(given, candidate);
    let scored = candidates.map(|candidate| (likeness(candidate), candidate));
    let (score, best) = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    // Words with a letter too many, too few or changed are above it; other words are below.
    (score > 0.85).then_some(best)
}

/// A question for the end of a message, if there is a candidate; else nothing.
pub(crate) fn hint<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    match nearest(given, candidates) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let keys = [
            "max_connections",
            "idle_timeout",
            "url",
            "password",
            "number",
        ];
        for (given, expected) in [
            ("max_conections", Some("max_connections")),
            ("maxconnections", Some("max_connections")),
            ("pasword", Some("password")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, keys.into_iter()), expected, "{given}");
        }
    }
}
