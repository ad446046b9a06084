//! A change of one key, and the command that makes it at the server.

use indexmap::IndexMap;

use super::kind::{Kind, Layout, cut, number};

/// A time in milliseconds of the Unix epoch.
pub(crate) type Millis = u64;

/// When a key expires; `None` if there is no such key.
pub(crate) type Expiry = Option<Option<Millis>>;

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
    /// Parts of the value get something or go; of each the last change counts.
    Parts {
        kind: Kind,
        parts: IndexMap<Vec<u8>, Option<Vec<u8>>>,
    },
    /// Another command with the key as its first argument.
    Command {
        kind: Kind,
        arguments: Vec<Vec<u8>>,
    },
}

/// Beside its bytes, an argument takes about so much.
const ARGUMENT_BYTES: usize = size_of::<Vec<u8>>();
/// The same of a part, with its place in the index.
const PART_BYTES: usize = 2 * size_of::<Vec<u8>>() + 3 * size_of::<usize>();

impl Change {
    /// The change that a command of this kind makes with these arguments behind its key.
    pub(super) fn of_command(kind: Kind, arguments: &[&[u8]]) -> Self {
        let pairs = || arguments.chunks_exact(2);
        let parts = match kind.layout {
            Layout::Members => arguments.iter().map(|part| (part.to_vec(), None)).collect(),
            Layout::Fields => {
                let pair = |pair: &[&[u8]]| (pair[0].to_vec(), Some(pair[1].to_vec()));
                pairs().map(pair).collect()
            }
            Layout::Scores => {
                let pair = |pair: &[&[u8]]| (pair[1].to_vec(), Some(pair[0].to_vec()));
                pairs().map(pair).collect()
            }
            Layout::Together | Layout::Elements | Layout::Sum | Layout::Cut => {
                let arguments = arguments.iter().map(|argument| argument.to_vec());
                let arguments = arguments.collect();
                return Self::Command { kind, arguments };
            }
        };
        Self::Parts { kind, parts }
    }

    /// Whether earlier changes of the key do not matter any more.
    pub(super) fn replaces(&self) -> bool {
        matches!(self, Self::Set { .. } | Self::Delete)
    }

    /// Whether something is gone that readers must not see again.
    pub(super) fn removes(&self) -> bool {
        match self {
            Self::Delete => true,
            Self::Parts { kind, .. } | Self::Command { kind, .. } => kind.removes,
            Self::Set { .. } | Self::Expire(_) | Self::Add(_) => false,
        }
    }

    /// Whether making it twice, with nothing in between, does what making it once does.
    pub(super) fn repeats(&self) -> bool {
        match self {
            Self::Set { .. } | Self::Delete | Self::Expire(_) => true,
            Self::Add(_) => false,
            Self::Parts { kind, .. } | Self::Command { kind, .. } => kind.repeats,
        }
    }

    /// What it says of the time at which the key expires, if anything.
    pub(super) fn expiry(&self) -> Option<Option<Millis>> {
        match self {
            Self::Set { expires_at, .. } | Self::Expire(expires_at) => Some(*expires_at),
            Self::Delete => Some(None),
            Self::Add(_) | Self::Parts { .. } | Self::Command { .. } => None,
        }
    }

    /// Whether nothing changes if the two, one behind the other, change places.
    pub(super) fn commutes(&self, other: &Self) -> bool {
        matches!((self.summand(), other.summand()), (Some(part), Some(other)) if part != other)
    }

    /// The part of a value to which it adds a number.
    pub(super) fn summand(&self) -> Option<&[u8]> {
        match self {
            Self::Command { kind, arguments } => Some(&**arguments.get(kind.summand()?)?),
            _ => None,
        }
    }

    /// The parts of a value that it sets or takes away.
    pub(super) fn parts_set(&self) -> impl Iterator<Item = &[u8]> {
        let parts = match self {
            Self::Parts { parts, .. } => Some(parts),
            _ => None,
        };
        parts
            .into_iter()
            .flat_map(IndexMap::keys)
            .map(|part| &**part)
    }

    /// How many elements it leaves of a list, and by which command they come to the end that stays.
    pub(super) fn cut(&self) -> Option<(usize, &'static str)> {
        match self {
            Self::Command { kind, arguments } if kind.layout == Layout::Cut => {
                cut(&arguments[0], &arguments[1])
            }
            _ => None,
        }
    }

    pub(super) fn is_command(&self, name: &str) -> bool {
        matches!(self, Self::Command { kind, .. } if kind.name == name)
    }

    /// Keeps the last of the elements that it adds. Returns the bytes that it has less.
    pub(super) fn keep_last(&mut self, most: usize) -> usize {
        let Self::Command { arguments, .. } = self else {
            return 0;
        };
        let gone = arguments.drain(..arguments.len().saturating_sub(most));
        gone.as_slice()
            .iter()
            .map(|argument| argument_bytes(argument))
            .sum()
    }

    /// Takes a later change of the same key into this one, or gives it back. Nothing that matters to either came in
    /// between. Returns by how many bytes this one has grown.
    pub(super) fn join(&mut self, later: Change) -> Result<isize, Change> {
        match (&mut *self, later) {
            (Self::Set { expires_at, .. } | Self::Expire(expires_at), Self::Expire(later)) => {
                *expires_at = later;
                Ok(0)
            }
            (Self::Add(sum), Self::Add(more)) => match sum.checked_add(more) {
                Some(both) => {
                    *sum = both;
                    Ok(0)
                }
                None => Err(Self::Add(more)),
            },
            (
                Self::Parts { kind, parts },
                Self::Parts {
                    kind: of,
                    parts: more,
                },
            ) if *kind == of => Ok(more.into_iter().map(|part| give(parts, part)).sum()),
            (
                Self::Command { kind, arguments },
                Self::Command {
                    kind: of,
                    arguments: more,
                },
            ) if *kind == of => {
                join_arguments(*kind, arguments, more).map_err(|arguments| Self::Command {
                    kind: of,
                    arguments,
                })
            }
            (_, later) => Err(later),
        }
    }

    /// Takes its first parts or elements off, of about so many bytes but at least one; `None` if it has no more.
    pub(super) fn split(&mut self, most: usize) -> Option<Self> {
        match self {
            Self::Parts { kind, parts } => {
                let sizes = parts.iter().map(|(part, value)| part_bytes(part, value));
                let first = fitting(sizes, most);
                (first < parts.len()).then(|| Self::Parts {
                    kind: *kind,
                    parts: parts.drain(..first).collect(),
                })
            }
            Self::Command { kind, arguments } if kind.layout == Layout::Elements => {
                let sizes = arguments.iter().map(|argument| argument_bytes(argument));
                let first = fitting(sizes, most);
                (first < arguments.len()).then(|| Self::Command {
                    kind: *kind,
                    arguments: arguments.drain(..first).collect(),
                })
            }
            _ => None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Set { value, .. } => value.len(),
            Self::Delete | Self::Expire(_) | Self::Add(_) => 0,
            Self::Parts { parts, .. } => parts
                .iter()
                .map(|(part, value)| part_bytes(part, value))
                .sum(),
            Self::Command { arguments, .. } => arguments
                .iter()
                .map(|argument| argument_bytes(argument))
                .sum(),
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
            Self::Parts { kind, parts } => {
                let mut all: Vec<Vec<u8>> = words(&[kind.name.as_bytes(), key]);
                for (part, value) in parts {
                    let part = Some(part);
                    let pair = match kind.layout {
                        Layout::Scores => [value.as_ref(), part],
                        _ => [part, value.as_ref()],
                    };
                    all.extend(pair.into_iter().flatten().cloned());
                }
                all
            }
            Self::Command { kind, arguments } => {
                let mut all: Vec<Vec<u8>> = words(&[kind.name.as_bytes(), key]);
                all.extend(arguments.iter().cloned());
                all
            }
        }
    }
}

/// A part of a value, and what it gets.
type Part = (Vec<u8>, Option<Vec<u8>>);

/// Gives a part a value. Returns by how many bytes all of them have grown.
fn give(parts: &mut IndexMap<Vec<u8>, Option<Vec<u8>>>, (part, value): Part) -> isize {
    let bytes = part_bytes(&part, &value) as isize;
    let key_bytes = part.len();
    match parts.insert(part, value) {
        Some(before) => {
            bytes - (PART_BYTES + key_bytes + before.map_or(0, |value| value.len())) as isize
        }
        None => bytes,
    }
}

/// Joins the arguments of two commands of a kind, or gives the later ones back.
fn join_arguments(
    kind: Kind,
    arguments: &mut Vec<Vec<u8>>,
    mut more: Vec<Vec<u8>>,
) -> Result<isize, Vec<Vec<u8>>> {
    match kind.layout {
        Layout::Elements => {
            let bytes: usize = more.iter().map(|argument| argument_bytes(argument)).sum();
            arguments.append(&mut more);
            Ok(bytes as isize)
        }
        Layout::Sum => match sum(arguments, &more) {
            Some(sum) => {
                let bytes = sum.len() as isize - arguments[1].len() as isize;
                arguments[1] = sum;
                Ok(bytes)
            }
            None => Err(more),
        },
        Layout::Cut if *arguments == more => Ok(0),
        _ => Err(more),
    }
}

/// The sum of two summands of the same part.
fn sum(one: &[Vec<u8>], other: &[Vec<u8>]) -> Option<Vec<u8>> {
    let sum = number(&one[1])?.checked_add(number(&other[1])?)?;
    (one[0] == other[0]).then(|| sum.to_string().into_bytes())
}

/// How many of these sizes, from the first one on, are so many bytes together; at least one.
fn fitting(sizes: impl Iterator<Item = usize>, most: usize) -> usize {
    let sums = sizes.scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= most).count().max(1)
}

fn part_bytes(part: &[u8], value: &Option<Vec<u8>>) -> usize {
    PART_BYTES + part.len() + value.as_ref().map_or(0, Vec::len)
}

fn argument_bytes(argument: &[u8]) -> usize {
    ARGUMENT_BYTES + argument.len()
}
