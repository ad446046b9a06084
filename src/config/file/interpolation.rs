//! Variables in the values of a file: `${VAR}` and `${VAR:-default}`.

use crate::config::environment::Environment;

/// A value with its variables replaced, and whether there were any.
///
/// `${VAR}` needs the variable; `${VAR:-default}` has a default for one that is unset or empty. `$${` stands for
/// `${`.
///
/// # Errors
/// What is wrong. It names variables and no values.
pub(super) fn interpolate(text: &str, environment: &Environment) -> Result<(String, bool), String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    let mut has_variables = false;
    while let Some(start) = rest.find("${") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            result.push_str(before);
            result.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        result.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        let end = closing(inside).ok_or("has ${ without }; write $${ for the text itself")?;
        result.push_str(&value(&inside[..end], environment)?);
        has_variables = true;
        rest = &inside[end + 1..];
    }
    result.push_str(rest);
    Ok((result, has_variables))
}

/// The place of the brace that ends a reference. A default may hold references of its own.
fn closing(inside: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What is left of a value when every variable is unset: its own text, and defaults.
pub(super) fn without_variables(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("${") {
        result.push_str(before);
        let end = closing(inside).unwrap_or(inside.len());
        if let Some((_, default)) = inside[..end].split_once(":-") {
            result.push_str(&without_variables(default));
        }
        rest = inside.get(end + 1..).unwrap_or_default();
    }
    result.push_str(rest);
    result
}

fn value(reference: &str, environment: &Environment) -> Result<String, String> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(
            "has ${…} around something that is no variable, as in ${REDIS_PASSWORD}".into(),
        );
    }
    match (environment.get(name), default) {
        (Some(Ok(value)), _) => Ok(value),
        (Some(Err(message)), _) => Err(format!("needs the variable {name}, which {message}")),
        (None, Some(default)) => interpolate(default, environment).map(|(value, _)| value),
        (None, None) => Err(format!(
            "needs the variable {name}, which is not set; set it, or write ${{{name}:-default}}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_defaults_stand_in() {
        let environment = Environment::from_iter([("HOST", "h"), ("EMPTY", "")]);
        for (text, expected) in [
            ("plain $HOST", Ok(("plain $HOST", false))),
            ("${HOST}", Ok(("h", true))),
            (
                "redis://${HOST}:${PORT:-6379}/0",
                Ok(("redis://h:6379/0", true)),
            ),
            ("${EMPTY:-d}", Ok(("d", true))),
            ("${NONE:-}", Ok(("", true))),
            ("${NONE:-${HOST}}x", Ok(("hx", true))),
            ("${NONE:-${EMPTY:-d}}", Ok(("d", true))),
            ("a$${HOST}", Ok(("a${HOST}", false))),
            ("${NONE}", Err("needs the variable NONE, which is not set")),
            ("${HOST", Err("has ${ without }")),
            ("${a b}", Err("around something that is no variable")),
        ] {
            match (interpolate(text, &environment), expected) {
                (Ok((value, has)), Ok(expected)) => assert_eq!((value.as_str(), has), expected),
                (Err(message), Err(expected)) => assert!(message.contains(expected), "{message}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn what_does_not_come_from_variables_is_left() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${A}", ""),
            ("${A:-b}", "b"),
            ("a${A:-${B:-c}}d", "acd"),
            ("a$${b", "a$"),
        ] {
            assert_eq!(without_variables(text), expected, "{text}");
        }
    }
}
