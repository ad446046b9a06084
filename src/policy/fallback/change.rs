//! A change of one key, and the command that makes it at the server.

/// A time in milliseconds of the Unix epoch.
pub(crate) type Millis = u64;

/// A change of one key. Its times are absolute, so that what a key has left to live does not depend on how long
/// the change waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The key has this string, whatever it had.
    Set {
        value: Vec<u8>,
        expires_at: Option<Millis>,
    },
    Delete,
    /// The key expires then, or never.
    Expire(Option<Millis>),
    /// A number is added.
    Add(i64),
    /// Another command with the key as its first argument.
    Command {
        kind: Kind,
        arguments: Vec<Vec<u8>>,
    },
}

/// A command that changes a part of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(super) name: &'static str,
    /// Two of them are one with the arguments of both.
    pub(super) joins: bool,
    /// Running it twice, with nothing in between, does what running it once does.
    pub(super) repeats: bool,
    /// It takes something away.
    pub(super) removes: bool,
}

impl Kind {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            joins: false,
            repeats: false,
            removes: false,
        }
    }

    pub(super) const fn joins(self) -> Self {
        Self {
            joins: true,
            ..self
        }
    }

    pub(super) const fn repeats(self) -> Self {
        Self {
            repeats: true,
            ..self
        }
    }

    pub(super) const fn removes(self) -> Self {
        Self {
            removes: true,
            ..self
        }
    }
}

impl Change {
    /// Whether earlier changes of the key do not matter any more.
    pub(super) fn replaces(&self) -> bool {
        matches!(self, Self::Set { .. } | Self::Delete)
    }

    /// Whether something is gone that readers must not see again.
    pub(super) fn removes(&self) -> bool {
        match self {
            Self::Delete => true,
            Self::Command { kind, .. } => kind.removes,
            Self::Set { .. } | Self::Expire(_) | Self::Add(_) => false,
        }
    }

    /// Whether making it twice, with nothing in between, does what making it once does.
    pub(super) fn repeats(&self) -> bool {
        match self {
            Self::Set { .. } | Self::Delete | Self::Expire(_) => true,
            Self::Add(_) => false,
            Self::Command { kind, .. } => kind.repeats,
        }
    }

    /// Takes a later change of the same key into this one, or gives it back.
    pub(super) fn join(&mut self, later: Change) -> Result<(), Change> {
        match (&mut *self, later) {
            (Self::Set { expires_at, .. } | Self::Expire(expires_at), Self::Expire(later)) => {
                *expires_at = later;
                Ok(())
            }
            (Self::Add(sum), Self::Add(more)) => match sum.checked_add(more) {
                Some(both) => {
                    *sum = both;
                    Ok(())
                }
                None => Err(Self::Add(more)),
            },
            (
                Self::Command { kind, arguments },
                Self::Command {
                    kind: other,
                    arguments: mut more,
                },
            ) if *kind == other && kind.joins => {
                arguments.append(&mut more);
                Ok(())
            }
            (_, later) => Err(later),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Set { value, .. } => value.len(),
            Self::Delete | Self::Expire(_) | Self::Add(_) => 0,
            Self::Command { arguments, .. } => {
                let each = |argument: &Vec<u8>| argument.len() + size_of::<Vec<u8>>();
                arguments.iter().map(each).sum()
            }
        }
    }

    /// The words of the command that makes this change at `now`. Where a time is over, the key is to go: the
    /// server may have an older value that must not come back.
    ///
    /// Times are sent as what is left of them, because the clocks of two machines differ.
    pub(super) fn words(&self, key: &[u8], now: Millis) -> Vec<Vec<u8>> {
        let words = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
        let left = |at: Millis| at.checked_sub(now).filter(|left| *left > 0);
        match self {
            Self::Set {
                value,
                expires_at: None,
            } => words(&[b"SET", key, value]),
            Self::Set {
                value,
                expires_at: Some(at),
            } => match left(*at) {
                Some(left) => words(&[b"SET", key, value, b"PX", left.to_string().as_bytes()]),
                None => words(&[b"DEL", key]),
            },
            Self::Delete => words(&[b"DEL", key]),
            Self::Expire(None) => words(&[b"PERSIST", key]),
            Self::Expire(Some(at)) => match left(*at) {
                Some(left) => words(&[b"PEXPIRE", key, left.to_string().as_bytes()]),
                None => words(&[b"DEL", key]),
            },
            Self::Add(number) => words(&[b"INCRBY", key, number.to_string().as_bytes()]),
            Self::Command { kind, arguments } => {
                let mut all: Vec<Vec<u8>> = words(&[kind.name.as_bytes(), key]);
                all.extend(arguments.iter().cloned());
                all
            }
        }
    }
}
