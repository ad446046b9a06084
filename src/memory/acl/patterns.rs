//! Patterns of the keys that a selector allows, and how they may be used.

use bytes::Bytes;

use super::{Fault, SYNTAX};
use crate::memory::{glob, keys::Access};

const SURPLUS: Fault = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
                        effect. Try 'resetkeys' to start with an empty list of patterns";

#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    allow_all: bool,
    patterns: Vec<(Bytes, Access)>,
}

impl Patterns {
    pub(super) fn set_all(&mut self, are_allowed: bool) {
        self.patterns.clear();
        self.allow_all = are_allowed;
    }

    pub(super) fn allow_all(&self) -> bool {
        self.allow_all
    }

    /// Whether each key may be read.
    pub(super) fn read_all(&self) -> bool {
        let reads_all = |(pattern, access): &(Bytes, Access)| access.reads && &pattern[..] == b"*";
        self.allow_all || self.patterns.iter().any(reads_all)
    }

    /// Adds a rule: `~pattern`, or `%R~pattern` and the like.
    pub(super) fn add(&mut self, rule: &[u8]) -> Result<(), Fault> {
        if self.allow_all {
            return Err(SURPLUS);
        }
        let at = rule.iter().position(|byte| *byte == b'~').ok_or(SYNTAX)?;
        let access = access(&rule[..at]).ok_or(SYNTAX)?;
        let pattern = word(&rule[at + 1..])?;
        match self
            .patterns
            .iter_mut()
            .find(|(known, _)| *known == pattern)
        {
            Some((_, known)) => {
                known.reads |= access.reads;
                known.writes |= access.writes;
            }
            None => self.patterns.push((pattern, access)),
        }
        Ok(())
    }

    /// Whether a key may be used so.
    pub(super) fn allow(&self, key: &[u8], access: Access) -> bool {
        let is_allowed = |(pattern, allowed): &(Bytes, Access)| {
            (allowed.reads || !access.reads)
                && (allowed.writes || !access.writes)
                && glob::matches(pattern, key)
        };
        self.allow_all || self.patterns.iter().any(is_allowed)
    }

    /// As ACL LIST shows them.
    pub(super) fn description(&self) -> Vec<u8> {
        if self.allow_all {
            return b"~*".to_vec();
        }
        let patterns = self.patterns.iter().map(|(pattern, access)| {
            let prefix: &[u8] = match (access.reads, access.writes) {
                (true, false) => b"%R~",
                (false, true) => b"%W~",
                _ => b"~",
            };
            [prefix, pattern].concat()
        });
        patterns.collect::<Vec<_>>().join(&b' ')
    }
}

/// Of the letters before `~`.
fn access(prefix: &[u8]) -> Option<Access> {
    let Some(letters) = prefix.strip_prefix(b"%") else {
        let all = Access {
            reads: true,
            writes: true,
        };
        return prefix.is_empty().then_some(all);
    };
    let mut access = Access {
        reads: false,
        writes: false,
    };
    for letter in letters {
        let right = match letter.to_ascii_uppercase() {
            b'R' => &mut access.reads,
            b'W' => &mut access.writes,
            _ => return None,
        };
        if *right {
            return None;
        }
        *right = true;
    }
    (!letters.is_empty()).then_some(access)
}

/// A pattern without spaces, which would end it in a list.
pub(super) fn word(pattern: &[u8]) -> Result<Bytes, Fault> {
    let is_odd = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    if pattern.iter().any(is_odd) {
        return Err(SYNTAX);
    }
    Ok(Bytes::copy_from_slice(pattern))
}
