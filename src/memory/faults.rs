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
    /// Commands that fail.
    pub(super) failing: Vec<Failing>,
    /// Replies come so much later.
    pub(super) delay: Duration,
    /// The connection ends on which the last of so many bytes of replies goes.
    pub(super) cut_after: Option<usize>,
    /// The end of CLIENT PAUSE, and whether only writes are paused.
    pub(super) pause: Option<(Millis, bool)>,
    /// The end of DEBUG SLEEP.
    pub(super) sleep: Option<Millis>,
}

/// Commands that get an error instead of a reply.
#[derive(Debug)]
pub(super) struct Failing {
    pub(super) error: String,
    /// In lower case; a container stands for its subcommands. None means all.
    pub(super) commands: Vec<String>,
    /// How often it is still to happen; `None` is always.
    pub(super) left: Option<usize>,
}

impl Failing {
    fn is_about(&self, command: &Signature) -> bool {
        let is_it = |name: &String| name == command.name || Some(&name[..]) == command.container();
        self.commands.is_empty() || self.commands.iter().any(is_it)
    }
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

    /// The error that a command gets instead of a reply: of several, the latest.
    pub(super) fn failure(&mut self, command: &Signature) -> Option<String> {
        let mut failing = self.failing.iter();
        let at = failing.rposition(|failing| failing.is_about(command))?;
        let failing = &mut self.failing[at];
        match &mut failing.left {
            Some(left) if *left > 1 => *left -= 1,
            Some(_) => return Some(self.failing.remove(at).error),
            None => {}
        }
        Some(failing.error.clone())
    }

    /// Milliseconds by which replies are late.
    pub(super) fn delay(&self) -> Option<Millis> {
        const NANOS: u128 = 1_000_000;
        let millis = self.delay.as_nanos().div_ceil(NANOS);
        (millis > 0).then(|| Millis::try_from(millis).unwrap_or(Millis::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{commands, tests::client::Client};

    fn failing(error: &str, commands: &[&str], left: Option<usize>) -> Failing {
        Failing {
            error: error.into(),
            commands: commands.iter().map(|name| (*name).into()).collect(),
            left,
        }
    }

    #[test]
    fn the_latest_error_counts_for_as_often_as_it_is_to() {
        let mut faults = Faults {
            failing: vec![
                failing("A", &[], None),
                failing("B", &["get", "client"], Some(2)),
                failing("C", &["config|set"], None),
            ],
            ..Faults::default()
        };
        let mut failure = |name: &str| {
            let command = commands::table().named(name.as_bytes());
            faults.failure(command.expect("a command"))
        };
        for (name, error) in [
            ("get", "B"),
            ("client|id", "B"),
            ("get", "A"),
            ("config|set", "C"),
            ("config|get", "A"),
        ] {
            assert_eq!(failure(name).as_deref(), Some(error), "{name}");
        }
    }

    #[test]
    fn a_delay_is_not_less_than_it_is_to_be() {
        for (delay, millis) in [
            (Duration::ZERO, None),
            (Duration::from_nanos(1), Some(1)),
            (Duration::from_millis(2), Some(2)),
            (Duration::MAX, Some(Millis::MAX)),
        ] {
            let faults = Faults {
                delay,
                ..Faults::default()
            };
            assert_eq!(faults.delay(), millis);
        }
        let client = Client::new();
        client
            .store
            .with(|engine| engine.faults.delay = Duration::MAX);
        assert_eq!(client.ask("PING"), "");
    }
}
