//! The first line of a script, in which it may declare what it does: `#!lua flags=no-writes`.

/// What a script has declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::memory) struct Declared {
    pub(in crate::memory) writes_nothing: bool,
    /// It also runs when the memory is full.
    pub(in crate::memory) needs_no_memory: bool,
    /// It does not run at a node of a cluster.
    pub(in crate::memory) refuses_clusters: bool,
    /// The keys of its commands may be of several slots.
    pub(in crate::memory) crosses_slots: bool,
}

/// What a script declares, if it has such a line, and its code, which keeps its numbers of lines.
///
/// # Errors
///
/// A line that is none, as the text of the reply.
pub(super) fn split(source: &[u8]) -> Result<(Option<Declared>, &[u8]), String> {
    if !source.starts_with(b"#!") {
        return Ok((None, source));
    }
    let end = source.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or("ERR Invalid script shebang")?;
    let (line, code) = source.split_at(end);
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let engine = words.next().unwrap_or_default();
    if engine != "#!lua" {
        return Err(format!("ERR Unexpected engine in script shebang: {engine}"));
    }
    let mut declared = Declared::default();
    for word in words {
        let flags = word
            .strip_prefix("flags=")
            .ok_or_else(|| format!("ERR Unknown lua shebang option: {word}"))?;
        for flag in flags.split(',').filter(|_| !flags.is_empty()) {
            match flag {
                "no-writes" => declared.writes_nothing = true,
                "allow-oom" => declared.needs_no_memory = true,
                "no-cluster" => declared.refuses_clusters = true,
                "allow-cross-slot-keys" => declared.crosses_slots = true,
                // This server is never stale.
                "allow-stale" => {}
                _ => return Err(format!("ERR Unexpected flag in script shebang: {flag}")),
            }
        }
    }
    Ok((Some(declared), code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_declares_what_it_does() {
        let source = b"#!lua flags=no-writes,allow-stale\nreturn 1";
        let (declared, code) = split(source).expect("a line");
        let expected = Declared {
            writes_nothing: true,
            ..Declared::default()
        };
        assert_eq!((declared, code), (Some(expected), &b"\nreturn 1"[..]));
        assert_eq!(split(b"return 1"), Ok((None, &b"return 1"[..])));
    }
}
