//! Counts of what has happened on a server, as INFO shows them.

use std::collections::BTreeMap;

use super::{
    halt::{Halt, Outcome},
    reply::Reply,
    signature::{Signature, Table},
};

/// Scripts can reply any code, so no more are counted, as in Redis, and no longer ones.
const MOST_CODES: usize = 128;
const LONGEST_CODE: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    /// By the number of the command.
    calls: Vec<Calls>,
    /// How often each error code was replied.
    pub(super) errors: BTreeMap<String, u64>,
    /// Commands that have run.
    pub(super) commands: u64,
    pub(super) error_replies: u64,
    /// Clients that were accepted.
    pub(super) connections: u64,
    /// Clients that were refused because there were too many.
    pub(super) rejected_connections: u64,
    /// Keys that had expired at the last reset.
    pub(super) expired_before: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Calls {
    pub(super) calls: u64,
    /// Refused before they ran.
    pub(super) rejected: u64,
    /// Replied with an error.
    pub(super) failed: u64,
}

impl Statistics {
    pub(super) fn new(table: &Table) -> Self {
        Self {
            calls: vec![Calls::default(); table.all().len()],
            ..Self::default()
        }
    }

    /// A command has run. A wait is no end; it is counted when it is over.
    pub(super) fn note(&mut self, command: &Signature, outcome: &Outcome) {
        if matches!(outcome, Err(Halt::Wait(_))) {
            return;
        }
        self.commands += 1;
        let calls = &mut self.calls[command.number];
        calls.calls += 1;
        if let Err(Halt::Error(text)) | Ok(Reply::Error(text)) = outcome {
            calls.failed += 1;
            self.note_error(text);
        }
    }

    /// A command was refused.
    pub(super) fn note_refusal(&mut self, command: Option<&Signature>, halt: &Halt) {
        if let Some(command) = command {
            self.calls[command.number].rejected += 1;
        }
        if let Halt::Error(text) = halt {
            self.note_error(text);
        }
    }

    pub(super) fn note_error(&mut self, text: &str) {
        self.error_replies += 1;
        let code = text.split(' ').next().unwrap_or_default();
        let has_room = self.errors.len() < MOST_CODES && code.len() <= LONGEST_CODE;
        match self.errors.get_mut(code) {
            Some(count) => *count += 1,
            None if has_room => drop(self.errors.insert(code.into(), 1)),
            None => {}
        }
    }

    /// The commands that were sent, with their counts.
    pub(super) fn calls<'a>(
        &self,
        table: &'a Table,
    ) -> impl Iterator<Item = (&'a Signature, Calls)> {
        let all = table.all().iter().zip(self.calls.iter().copied());
        all.filter(|(_, calls)| *calls != Calls::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_codes_are_counted() {
        let mut statistics = Statistics::default();
        for number in 0..1000 {
            statistics.note_error(&format!("CODE{number} text"));
            statistics.note_error(&"X".repeat(100_000));
        }
        assert_eq!(statistics.errors.len(), MOST_CODES);
        assert_eq!(statistics.error_replies, 2000);
    }
}
