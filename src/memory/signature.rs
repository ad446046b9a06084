//! What is known of a command, and the table of all of them.
//!
//! A command with subcommands, such as CLIENT, is a container: each subcommand is a command of its own, whose
//! name is that of the container, `|`, and its own.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
};

use bytes::Bytes;

#[derive(Clone)]
pub(super) struct Signature {
    /// In lower case.
    pub(super) name: &'static str,
    /// The number of arguments with the name; if negative, the least number.
    pub(super) arity: i32,
    /// Of the constants in [`flags`].
    pub(super) flags: u32,
    /// The first and last position of keys, and the step between them, as COMMAND states them.
    pub(super) keys: (i32, i32, i32),
    /// The place in the table.
    pub(super) number: usize,
    /// Whether it has subcommands.
    pub(super) is_container: bool,
}

/// The flags that COMMAND shows, and which the server obeys.
pub(super) mod flags {
    pub(in crate::memory) const WRITE: u32 = 1;
    pub(in crate::memory) const READONLY: u32 = 1 << 1;
    /// Refused when the memory is full.
    pub(in crate::memory) const DENYOOM: u32 = 1 << 2;
    pub(in crate::memory) const ADMIN: u32 = 1 << 3;
    pub(in crate::memory) const PUBSUB: u32 = 1 << 4;
    pub(in crate::memory) const NOSCRIPT: u32 = 1 << 5;
    pub(in crate::memory) const BLOCKING: u32 = 1 << 6;
    /// Runs while the dataset is loaded.
    pub(in crate::memory) const LOADING: u32 = 1 << 7;
    pub(in crate::memory) const STALE: u32 = 1 << 8;
    pub(in crate::memory) const SKIP_MONITOR: u32 = 1 << 9;
    pub(in crate::memory) const FAST: u32 = 1 << 10;
    /// Runs before a login.
    pub(in crate::memory) const NO_AUTH: u32 = 1 << 11;
    pub(in crate::memory) const MAY_REPLICATE: u32 = 1 << 12;
    /// Refused in a transaction.
    pub(in crate::memory) const NO_MULTI: u32 = 1 << 13;
    pub(in crate::memory) const MOVABLE_KEYS: u32 = 1 << 14;
    pub(in crate::memory) const ALLOW_BUSY: u32 = 1 << 15;
    pub(in crate::memory) const SKIP_SLOWLOG: u32 = 1 << 16;

    /// In the order in which COMMAND shows them. It does not show [`MAY_REPLICATE`].
    pub(in crate::memory) const NAMES: [(u32, &str); 16] = [
        (WRITE, "write"),
        (READONLY, "readonly"),
        (DENYOOM, "denyoom"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (NOSCRIPT, "noscript"),
        (BLOCKING, "blocking"),
        (LOADING, "loading"),
        (STALE, "stale"),
        (SKIP_MONITOR, "skip_monitor"),
        (SKIP_SLOWLOG, "skip_slowlog"),
        (FAST, "fast"),
        (NO_AUTH, "no_auth"),
        (NO_MULTI, "no_multi"),
        (MOVABLE_KEYS, "movablekeys"),
        (ALLOW_BUSY, "allow_busy"),
    ];
}

impl Signature {
    pub(super) fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    pub(super) fn takes(&self, arguments: usize) -> bool {
        let arguments = arguments as i32;
        arguments == self.arity || self.arity < 0 && arguments >= -self.arity
    }

    /// The name of the container of a subcommand.
    pub(super) fn container(&self) -> Option<&'static str> {
        self.name.split_once('|').map(|(container, _)| container)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const LONGEST_NAME: usize = 32;

/// All commands and subcommands.
pub(super) struct Table {
    signatures: Vec<Signature>,
    by_name: HashMap<&'static [u8], usize, BuildHasherDefault<NameHasher>>,
}

impl Table {
    pub(super) fn new(signatures: impl Iterator<Item = Signature>) -> Self {
        let mut signatures: Vec<_> = signatures.collect();
        let containers: Vec<_> = signatures.iter().filter_map(Signature::container).collect();
        for (number, command) in signatures.iter_mut().enumerate() {
            command.number = number;
            command.is_container = containers.contains(&command.name);
        }
        let by_name = signatures
            .iter()
            .map(|command| (command.name.as_bytes(), command.number))
            .collect();
        Self {
            signatures,
            by_name,
        }
    }

    /// The command of a request, if there is one of that name. Of a container it is the subcommand; the container
    /// itself if it has no such subcommand.
    pub(super) fn of(&self, request: &[Bytes]) -> Option<&Signature> {
        let command = self.named(request.first()?)?;
        if !command.is_container {
            return Some(command);
        }
        let subcommand = request.get(1).and_then(|word| {
            let name = [command.name.as_bytes(), b"|", word].concat();
            self.named(&name)
        });
        Some(subcommand.unwrap_or(command))
    }

    /// The command of this name, such as `get` or `client|id`, in any case.
    pub(super) fn named(&self, name: &[u8]) -> Option<&Signature> {
        let mut lower = [0; LONGEST_NAME];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let number = self.by_name.get(&*lower)?;
        self.signatures.get(*number)
    }

    /// By number.
    pub(super) fn all(&self) -> &[Signature] {
        &self.signatures
    }

    /// The subcommands of a container.
    pub(super) fn subcommands(&self, container: &'static str) -> impl Iterator<Item = &Signature> {
        let is_mine = move |command: &&Signature| command.container() == Some(container);
        self.signatures.iter().filter(is_mine)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} commands)", self.signatures.len())
    }
}

/// The hash function FNV-1a: fast for short names. Nobody can choose the names in the table.
struct NameHasher(u64);

impl Default for NameHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
