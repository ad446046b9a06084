//! Faults by remote control.

use std::time::Duration;

use super::{
    keyspace::Millis,
    signature::{Signature, flags},
};

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Nothing is processed, as after SIGSTOP.
    pub(super) is_frozen: bool,
    pub(super) is_loading: bool,
    pub(super) is_read_only: bool,
    pub(super) is_out_of_memory: bool,
    /// Error replies, with the commands that get them; none means all.
    pub(super) failing: Vec<(String, Vec<String>)>,
    /// Replies come so much later.
    pub(super) delay: Duration,
    /// The connection ends on which the last of so many bytes of replies goes.
    pub(super) cut_after: Option<usize>,
    /// The end of CLIENT PAUSE, and whether only writes are paused.
    pub(super) pause: Option<(Millis, bool)>,
    /// The end of DEBUG SLEEP.
    pub(super) sleep: Option<Millis>,
}

impl Faults {
    pub(super) fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// Whether nothing is processed now.
    pub(super) fn is_asleep(&self, now: Millis) -> bool {
        self.is_frozen || self.sleep.is_some_and(|end| end > now)
    }

    /// Whether commands with these flags have to wait for the end of CLIENT PAUSE.
    pub(super) fn holds(&self, flags: u32, now: Millis) -> bool {
        let Some((end, only_writes)) = self.pause else {
            return false;
        };
        end > now && (!only_writes || flags & (flags::WRITE | flags::MAY_REPLICATE) != 0)
    }

    /// The end of the present pause or sleep. It may be over.
    pub(super) fn pause_end(&self) -> Option<Millis> {
        let pause = self.pause.map(|(end, _)| end);
        pause.into_iter().chain(self.sleep).max()
    }

    /// Forgets a pause or a sleep that is over. Tells whether there was one.
    pub(super) fn end_pause(&mut self, now: Millis) -> bool {
        let has_paused = self.pause.take_if(|(end, _)| *end <= now).is_some();
        let has_slept = self.sleep.take_if(|end| *end <= now).is_some();
        has_paused || has_slept
    }

    /// The error that a command gets instead of a reply.
    pub(super) fn failure(&self, command: &Signature) -> Option<String> {
        let is_about =
            |names: &[String]| names.is_empty() || names.iter().any(|name| name == command.name);
        let failing = self.failing.iter().find(|(_, names)| is_about(names));
        failing.map(|(error, _)| error.clone())
    }

    /// Milliseconds by which replies are late.
    pub(super) fn delay(&self) -> Option<Millis> {
        (!self.delay.is_zero()).then_some(self.delay.as_millis() as Millis)
    }

    pub(super) fn bytes_left(&self) -> Option<usize> {
        self.cut_after
    }

    /// So many bytes were to be written. Tells whether the connection ends.
    pub(super) fn note_written(&mut self, bytes: usize) -> bool {
        let Some(left) = &mut self.cut_after else {
            return false;
        };
        if bytes < *left {
            *left -= bytes;
            return false;
        }
        self.cut_after = None;
        true
    }
}
