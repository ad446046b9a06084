//! The commands of a greeting.

use super::error::{GREETING, PROVING};

/// A command of a greeting, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Login,
    Hello,
    Select,
    Name,
    LibraryName,
    LibraryVersion,
    /// The request to announce maintenance, which needs RESP3.
    Announcements,
    /// The question whether the server is a primary, of a server that sentinels have named.
    Role,
    /// The request to serve reads, of a replica of a cluster.
    ReadOnly,
    Ping,
    /// A read of a key that does not exist. It proves a connection to a server that does not answer PING.
    Read,
}

impl Step {
    /// Most servers answer the PING, so the other commands come before it.
    pub(super) const ORDER: [Self; 11] = [
        Self::Login,
        Self::Hello,
        Self::Select,
        Self::Name,
        Self::LibraryName,
        Self::LibraryVersion,
        Self::Announcements,
        Self::Role,
        Self::ReadOnly,
        Self::Ping,
        Self::Read,
    ];

    /// The phase of the dial in messages.
    pub(super) fn phase(self) -> &'static str {
        match self {
            Self::Ping => PROVING,
            _ => GREETING,
        }
    }

    /// The command in messages.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Login => "AUTH",
            Self::Hello => "HELLO",
            Self::Select => "SELECT",
            Self::Name => "CLIENT SETNAME",
            Self::LibraryName | Self::LibraryVersion => "CLIENT SETINFO",
            Self::Announcements => "CLIENT MAINT_NOTIFICATIONS",
            Self::Role => "ROLE",
            Self::ReadOnly => "READONLY",
            Self::Ping => "PING",
            Self::Read => "GET",
        }
    }
}

/// A set of commands of a greeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Steps(u16);

impl Steps {
    pub(super) const HELLO: Self = Self::of(&[Step::Hello]);
    pub(super) const NAMES: Self = Self::of(&[Step::Name, Step::LibraryName, Step::LibraryVersion]);
    pub(super) const ANNOUNCEMENTS: Self = Self::of(&[Step::Announcements]);
    /// Nothing depends on them.
    pub(super) const EXTRAS: Self = Self::NAMES.with(Self::ANNOUNCEMENTS);
    pub(super) const PING: Self = Self::of(&[Step::Ping]);
    pub(super) const READ: Self = Self::of(&[Step::Read]);

    pub(super) const fn of(steps: &[Step]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < steps.len() {
            set |= 1 << steps[at] as u8;
            at += 1;
        }
        Self(set)
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn has(self, step: Step) -> bool {
        self.has_any(Self::of(&[step]))
    }

    pub(super) const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order in which they are sent.
    pub(super) fn iter(self) -> impl Iterator<Item = Step> {
        Step::ORDER.into_iter().filter(move |step| self.has(*step))
    }
}
