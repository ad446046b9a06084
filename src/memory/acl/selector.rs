//! Commands, keys and channels that a user may use together.

use bytes::Bytes;

use super::{
    Fault, SYNTAX,
    commands::Commands,
    denial::Denial,
    patterns::{Patterns, word},
};
use crate::memory::{
    arguments::is,
    glob, keys,
    signature::{Signature, Table},
    subscriptions::Kind,
};

const SURPLUS: Fault = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have \
                        any effect. Try 'resetchannels' to start with an empty list of channels";

#[derive(Clone, Debug)]
pub(in crate::memory) struct Selector {
    commands: Commands,
    keys: Patterns,
    allows_all_channels: bool,
    channels: Vec<Bytes>,
}

impl Selector {
    /// One that allows nothing.
    pub(super) fn new(table: &'static Table) -> Self {
        Self {
            commands: Commands::none(table),
            keys: Patterns::default(),
            allows_all_channels: false,
            channels: Vec::new(),
        }
    }

    pub(super) fn allow_all(&mut self) {
        self.commands.set_all(true);
        self.keys.set_all(true);
        self.set_all_channels(true);
    }

    pub(super) fn allows_all(&self) -> bool {
        self.commands.allows_all() && self.keys.allow_all() && self.allows_all_channels
    }

    /// Whether it lets a command that it allows read every key.
    pub(super) fn reads_all_keys(&self, command: &Signature, args: &[Bytes]) -> bool {
        self.commands.allow(command, args) && self.keys.read_all()
    }

    fn set_all_channels(&mut self, are_allowed: bool) {
        self.channels.clear();
        self.allows_all_channels = are_allowed;
    }

    /// Follows a rule.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), Fault> {
        if is(rule, "ALLCOMMANDS") || is(rule, "NOCOMMANDS") {
            self.commands.set_all(is(rule, "ALLCOMMANDS"));
        } else if is(rule, "ALLKEYS") || rule == b"~*" {
            self.keys.set_all(true);
        } else if is(rule, "RESETKEYS") {
            self.keys.set_all(false);
        } else if is(rule, "ALLCHANNELS") || rule == b"&*" {
            self.set_all_channels(true);
        } else if is(rule, "RESETCHANNELS") {
            self.set_all_channels(false);
        } else {
            match rule {
                [b'+', named @ ..] => self.commands.set(true, named)?,
                [b'-', named @ ..] => self.commands.set(false, named)?,
                [b'~' | b'%', ..] => self.keys.add(rule)?,
                [b'&', pattern @ ..] => self.add_channel(pattern)?,
                _ => return Err(SYNTAX),
            }
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), Fault> {
        if self.allows_all_channels {
            return Err(SURPLUS);
        }
        let pattern = word(pattern)?;
        if !self.channels.contains(&pattern) {
            self.channels.push(pattern);
        }
        Ok(())
    }

    /// Why it does not allow a command, if it does not.
    pub(super) fn denial(&self, command: &Signature, args: &[Bytes]) -> Option<Denial> {
        if !self.commands.allow(command, args) {
            return Some(Denial::Command(command.name));
        }
        if !self.keys.allow_all() {
            let mut used = keys::used(command, args).into_iter().enumerate();
            let denied = used.find(|(_, (key, access))| !self.keys.allow(key, *access));
            if let Some((place, (key, _))) = denied {
                return Some(Denial::Key(key.clone(), place));
            }
        }
        let (kind, channels) = channels(command, args)?;
        let is_denied = |channel: &Bytes| !self.allows_channel(kind, channel);
        let place = channels.iter().position(is_denied)?;
        Some(Denial::Channel(channels[place].clone(), place))
    }

    /// Whether it allows to subscribe to a channel, or to a pattern of them, which has to be one that it has.
    pub(super) fn allows_channel(&self, kind: Kind, name: &Bytes) -> bool {
        self.allows_all_channels
            || self.channels.iter().any(|pattern| match kind {
                Kind::Pattern => pattern == name,
                Kind::Channel | Kind::Shard => glob::matches(pattern, name),
            })
    }

    pub(in crate::memory) fn commands(&self) -> String {
        self.commands.description()
    }

    pub(in crate::memory) fn keys(&self) -> Vec<u8> {
        self.keys.description()
    }

    pub(in crate::memory) fn channels(&self) -> Vec<u8> {
        if self.allows_all_channels {
            return b"&*".to_vec();
        }
        let patterns = self.channels.iter();
        let patterns: Vec<_> = patterns
            .map(|pattern| [b"&", &pattern[..]].concat())
            .collect();
        patterns.join(&b' ')
    }

    /// As ACL LIST shows it.
    pub(super) fn description(&self) -> Vec<u8> {
        let mut parts = Vec::new();
        let keys = self.keys();
        if !keys.is_empty() {
            parts.push(keys);
        }
        if !self.allows_all_channels {
            parts.push(b"resetchannels".to_vec());
        }
        let channels = self.channels();
        if !channels.is_empty() {
            parts.push(channels);
        }
        parts.push(self.commands().into_bytes());
        parts.join(&b' ')
    }
}

/// The channels that a command uses.
fn channels<'a>(command: &Signature, args: &'a [Bytes]) -> Option<(Kind, &'a [Bytes])> {
    match command.name {
        "publish" | "spublish" => Some((Kind::Channel, &args[1..2])),
        "subscribe" | "ssubscribe" => Some((Kind::Channel, &args[1..])),
        "psubscribe" => Some((Kind::Pattern, &args[1..])),
        _ => None,
    }
}
