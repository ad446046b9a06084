//! The commands that change a part of a key's value, other than those of whole strings.

use std::str;

/// A command that changes a part of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(super) name: &'static str,
    pub(super) layout: Layout,
    /// Running it twice, with nothing in between, does what running it once does.
    pub(super) repeats: bool,
    /// It takes something away.
    pub(super) removes: bool,
}

/// The meaning of the arguments behind the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// They have one only together.
    Together,
    /// Each is an element of a list, in order.
    Elements,
    /// Each is a part of the value.
    Members,
    /// Each part of the value stands before what it gets,
    Fields,
    /// or behind it.
    Scores,
    /// A part, and the number that is added to it.
    Sum,
    /// The first and the last element that stay, at an end of the list.
    Cut,
}

impl Kind {
    /// The kind of a command with these arguments behind its key, if it is served.
    pub(super) fn of(name: &[u8], arguments: &[&[u8]]) -> Option<Self> {
        use Layout::{Cut, Elements, Fields, Members, Scores, Sum, Together};
        let kind = match name {
            b"HSET" | b"HMSET" => Self::new("HSET", Fields).repeats(),
            b"HDEL" => Self::new("HDEL", Members).repeats().removes(),
            b"HINCRBY" => Self::new("HINCRBY", Sum),
            b"HINCRBYFLOAT" => Self::new("HINCRBYFLOAT", Together),
            b"INCRBYFLOAT" => Self::new("INCRBYFLOAT", Together),
            b"LPUSH" => Self::new("LPUSH", Elements),
            b"RPUSH" => Self::new("RPUSH", Elements),
            b"LTRIM" => Self::new("LTRIM", Cut).repeats(),
            b"PFADD" => Self::new("PFADD", Members).repeats(),
            b"SADD" => Self::new("SADD", Members).repeats(),
            b"SREM" => Self::new("SREM", Members).repeats().removes(),
            b"ZADD" => Self::new("ZADD", Scores).repeats(),
            b"ZINCRBY" => Self::new("ZINCRBY", Together),
            b"ZREM" => Self::new("ZREM", Members).repeats().removes(),
            _ => return None,
        };
        kind.takes(arguments).then_some(kind)
    }

    /// The position of the part of a value to which it adds a number, among its arguments.
    pub(super) fn summand(self) -> Option<usize> {
        match self.name {
            "HINCRBY" | "HINCRBYFLOAT" => Some(0),
            "ZINCRBY" => Some(1),
            _ => None,
        }
    }

    fn takes(self, arguments: &[&[u8]]) -> bool {
        let is_pairs = || !arguments.is_empty() && arguments.len().is_multiple_of(2);
        match self.layout {
            Layout::Together if self.name == "INCRBYFLOAT" => arguments.len() == 1,
            Layout::Together => arguments.len() == 2,
            Layout::Elements | Layout::Members => !arguments.is_empty(),
            Layout::Fields => is_pairs(),
            // Options stand where the first score does.
            Layout::Scores => is_pairs() && !is_option(arguments[0]),
            Layout::Sum => matches!(arguments, [_, amount] if number(amount).is_some()),
            Layout::Cut => matches!(arguments, [first, last] if cut(first, last).is_some()),
        }
    }

    const fn new(name: &'static str, layout: Layout) -> Self {
        Self {
            name,
            layout,
            repeats: false,
            removes: false,
        }
    }

    const fn repeats(self) -> Self {
        Self {
            repeats: true,
            ..self
        }
    }

    const fn removes(self) -> Self {
        Self {
            removes: true,
            ..self
        }
    }
}

/// How many elements a cut leaves, and by which command they come to the end of the list that stays; `None` unless the
/// list keeps an end of a length. What else a cut may take away is not known here: the server may have elements that
/// nobody has read.
pub(super) fn cut(first: &[u8], last: &[u8]) -> Option<(usize, &'static str)> {
    match (number(first)?, number(last)?) {
        (0, last @ 0..) => Some((usize::try_from(last).ok()?.checked_add(1)?, "LPUSH")),
        (first @ ..0, -1) => Some((usize::try_from(first.unsigned_abs()).ok()?, "RPUSH")),
        _ => None,
    }
}

fn is_option(word: &[u8]) -> bool {
    [&b"NX"[..], b"XX", b"GT", b"LT", b"CH", b"INCR"]
        .iter()
        .any(|option| word.eq_ignore_ascii_case(option))
}

pub(super) fn number(text: &[u8]) -> Option<i64> {
    str::from_utf8(text).ok()?.parse().ok()
}
