//! Why a user may not run a command.

use bytes::Bytes;

use crate::memory::halt::text_of;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::memory) enum Denial {
    Command(&'static str),
    /// With its place among the keys of the command.
    Key(Bytes, usize),
    Channel(Bytes, usize),
}

impl Denial {
    /// Of several, the one with the highest rank is told, as in Redis.
    pub(super) fn rank(&self) -> (u8, usize) {
        match self {
            Self::Command(_) => (0, 0),
            Self::Key(_, place) => (1, *place),
            Self::Channel(_, place) => (2, *place),
        }
    }

    /// As ACL LOG names it.
    pub(in crate::memory) fn reason(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Key(..) => "key",
            Self::Channel(..) => "channel",
        }
    }

    pub(in crate::memory) fn object(&self) -> Bytes {
        match self {
            Self::Command(name) => Bytes::from_static(name.as_bytes()),
            Self::Key(name, _) | Self::Channel(name, _) => name.clone(),
        }
    }

    /// As the client is told, without the name of what it may not touch.
    pub(in crate::memory) fn text(&self, user: &[u8]) -> String {
        match self {
            Self::Command(_) => self.details(user),
            Self::Key(..) => "No permissions to access a key".into(),
            Self::Channel(..) => "No permissions to access a channel".into(),
        }
    }

    /// As ACL DRYRUN tells it.
    pub(in crate::memory) fn details(&self, user: &[u8]) -> String {
        let user = text_of(user);
        match self {
            Self::Command(name) => {
                format!("User {user} has no permissions to run the '{name}' command")
            }
            Self::Key(key, _) => {
                let key = text_of(key);
                format!("User {user} has no permissions to access the '{key}' key")
            }
            Self::Channel(channel, _) => {
                let channel = text_of(channel);
                format!("User {user} has no permissions to access the '{channel}' channel")
            }
        }
    }

    /// As EXEC tells it of a command that was allowed when it was queued.
    pub(in crate::memory) fn change(&self) -> &'static str {
        match self {
            Self::Command(_) => "no permission to execute the command or subcommand",
            Self::Key(..) => "no permission to touch the specified keys",
            Self::Channel(..) => {
                "no permission to access one of the channels used as arguments to the command"
            }
        }
    }
}
