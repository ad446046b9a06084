//! BITFIELD: integers of any width at any position.

use bytes::Bytes;

use super::{BAD_OFFSET, bit, checked_offset, edit, set_bit};
use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    number,
    reply::Reply,
};

#[derive(Clone, Copy)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
struct Field {
    is_signed: bool,
    bits: usize,
    offset: usize,
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

pub(super) fn bitfield(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let steps = parse(&args[2..])?;
    let last = last_written(&steps);
    match last {
        None => read(cx, &args[1], &steps),
        Some(last) => edit(cx, &args[1], last, |bytes| write(bytes, &steps)),
    }
}

pub(super) fn bitfield_ro(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let steps = parse(&args[2..])?;
    if last_written(&steps).is_some() {
        return Err(Halt::error(
            "ERR BITFIELD_RO only supports the GET subcommand",
        ));
    }
    read(cx, &args[1], &steps)
}

fn read(cx: &mut Context<'_>, key: &[u8], steps: &[(Field, Action)]) -> Outcome {
    let bytes = cx.db().read::<Bytes>(key)?.cloned().unwrap_or_default();
    let values = steps.iter().map(|(field, _)| field.get(&bytes));
    let replies = values.map(|value| Reply::Integer(value as i64));
    Ok(Reply::Array(replies.collect()))
}

/// Tells whether a field has got another value, too, or none was written.
fn write(bytes: &mut [u8], steps: &[(Field, Action)]) -> (Reply, Option<bool>) {
    let mut written = None;
    let mut replies = Vec::with_capacity(steps.len());
    for (field, action) in steps {
        let old = field.get(bytes);
        let (new, reply) = match *action {
            Action::Get => (None, Some(old)),
            Action::Set(value, overflow) => {
                let new = field.fit(field.argument(value), overflow);
                (new, new.map(|_| old))
            }
            Action::Add(value, overflow) => {
                let new = field.fit(old + i128::from(value), overflow);
                (new, new)
            }
        };
        if let Some(new) = new {
            field.set(bytes, new);
            written = Some(written.unwrap_or(false) || new != old);
        }
        replies.push(reply.map_or(Reply::Null, |value| Reply::Integer(value as i64)));
    }
    (Reply::Array(replies), written)
}

fn last_written(steps: &[(Field, Action)]) -> Option<usize> {
    let written = steps
        .iter()
        .filter(|(_, action)| !matches!(action, Action::Get));
    written
        .map(|(field, _)| field.offset + field.bits - 1)
        .max()
}

fn parse(arguments: &[Bytes]) -> Result<Vec<(Field, Action)>, Halt> {
    let (mut steps, mut overflow) = (Vec::new(), Overflow::Wrap);
    let mut words = Words::new(arguments);
    while let Some(word) = words.next() {
        if is(word, "GET") && words.len() >= 2 {
            steps.push((Field::parse(&mut words)?, Action::Get));
        } else if is(word, "SET") && words.len() >= 3 {
            let field = Field::parse(&mut words)?;
            steps.push((field, Action::Set(integer(words.expect()?)?, overflow)));
        } else if is(word, "INCRBY") && words.len() >= 3 {
            let field = Field::parse(&mut words)?;
            steps.push((field, Action::Add(integer(words.expect()?)?, overflow)));
        } else if is(word, "OVERFLOW") && !words.is_empty() {
            overflow = Overflow::parse(words.expect()?)?;
        } else {
            return Err(Halt::SYNTAX);
        }
    }
    Ok(steps)
}

impl Overflow {
    fn parse(word: &[u8]) -> Result<Self, Halt> {
        if is(word, "WRAP") {
            Ok(Self::Wrap)
        } else if is(word, "SAT") {
            Ok(Self::Saturate)
        } else if is(word, "FAIL") {
            Ok(Self::Fail)
        } else {
            Err(Halt::error("ERR Invalid OVERFLOW type specified"))
        }
    }
}

impl Field {
    /// A type such as `u8`, and an offset; one that begins with `#` counts fields of this type.
    fn parse(words: &mut Words<'_>) -> Result<Self, Halt> {
        let (is_signed, bits) = kind(words.expect()?).ok_or(Halt::error(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        ))?;
        let argument = words.expect()?;
        let offset = match argument.strip_prefix(b"#") {
            Some(argument) => {
                number::integer(argument).and_then(|index| index.checked_mul(bits as i64))
            }
            None => number::integer(argument),
        };
        let offset = offset.and_then(checked_offset).ok_or(BAD_OFFSET)?;
        Ok(Self {
            is_signed,
            bits,
            offset,
        })
    }

    fn get(self, bytes: &[u8]) -> i128 {
        let bits = (0..self.bits).map(|at| bit(bytes, self.offset + at));
        self.wrap(bits.fold(0, |value, bit| value << 1 | i128::from(bit)))
    }

    fn set(self, bytes: &mut [u8], value: i128) {
        for at in 0..self.bits {
            let is_set = value >> (self.bits - 1 - at) & 1 == 1;
            set_bit(bytes, self.offset + at, is_set);
        }
    }

    /// The value of an argument of SET. For an unsigned field a negative one is a large one, and so is one for a
    /// signed field if its distance to the largest value exceeds 64 bits, as it does in Redis.
    fn argument(self, value: i64) -> i128 {
        let (_, most) = self.bounds();
        let is_far = most - i128::from(value) > i128::from(i64::MAX);
        if self.is_signed && (self.bits == 64 || !is_far) {
            i128::from(value)
        } else {
            i128::from(value as u64)
        }
    }

    /// The least and the largest value.
    fn bounds(self) -> (i128, i128) {
        if self.is_signed {
            (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)
        } else {
            (0, (1 << self.bits) - 1)
        }
    }

    /// The lowest bits of a value, as this type has them.
    fn wrap(self, value: i128) -> i128 {
        let value = value & ((1 << self.bits) - 1);
        let is_negative = self.is_signed && value >> (self.bits - 1) & 1 == 1;
        if is_negative {
            value - (1 << self.bits)
        } else {
            value
        }
    }

    /// The value as it is stored; `None` if it is not.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i128> {
        let (least, most) = self.bounds();
        if (least..=most).contains(&value) {
            return Some(value);
        }
        match overflow {
            Overflow::Wrap => Some(self.wrap(value)),
            Overflow::Saturate => Some(value.clamp(least, most)),
            Overflow::Fail => None,
        }
    }
}

/// Whether a type has a sign, and its width.
fn kind(argument: &[u8]) -> Option<(bool, usize)> {
    let (is_signed, most) = match argument.first()? {
        b'i' => (true, 64),
        b'u' => (false, 63),
        _ => return None,
    };
    let bits = usize::try_from(number::integer(&argument[1..])?).ok()?;
    (1..=most).contains(&bits).then_some((is_signed, bits))
}
