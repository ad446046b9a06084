//! BITCOUNT and BITPOS, within ranges of bytes or of bits.

use std::ops::Range;

use bytes::Bytes;

use super::bit;
use crate::memory::{
    arguments::{integer, is},
    context::Context,
    halt::{Halt, Outcome},
    reply::Reply,
};

/// Positions as they were given: negative ones count from the end.
struct Bounds {
    start: i64,
    /// The last position; without one the range goes up to the end.
    end: Option<i64>,
    is_bits: bool,
}

impl Bounds {
    fn parse(
        start: Option<&Bytes>,
        end: Option<&Bytes>,
        unit: Option<&Bytes>,
    ) -> Result<Self, Halt> {
        let start = start.map_or(Ok(0), |start| integer(start))?;
        // BITPOS reads the unit before the end.
        let is_bits = match unit {
            Some(unit) if is(unit, "BIT") => true,
            Some(unit) if !is(unit, "BYTE") => return Err(Halt::SYNTAX),
            _ => false,
        };
        let end = end.map(|end| integer(end)).transpose()?;
        Ok(Self {
            start,
            end,
            is_bits,
        })
    }

    /// The range of bits in a string of so many bytes.
    fn of(&self, length: usize) -> Range<usize> {
        let total = (if self.is_bits { 8 * length } else { length }) as i64;
        let from_end = |position: i64| {
            if position < 0 {
                position.saturating_add(total).max(0)
            } else {
                position
            }
        };
        let start = from_end(self.start);
        let last = from_end(self.end.unwrap_or(total - 1)).min(total - 1);
        if start > last {
            return 0..0;
        }
        let unit = if self.is_bits { 1 } else { 8 };
        unit * start as usize..unit * (last as usize + 1)
    }
}

pub(super) fn bitcount(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let bounds = match &args[2..] {
        [] => Bounds::parse(None, None, None)?,
        [start, end] => Bounds::parse(Some(start), Some(end), None)?,
        [start, end, unit] => count_bounds(start, end, unit)?,
        _ => return Err(Halt::SYNTAX),
    };
    let Some(bytes) = cx.db().read::<Bytes>(&args[1])? else {
        return Ok(Reply::count(0));
    };
    if let (start @ ..0, Some(end @ ..0)) = (bounds.start, bounds.end)
        && start > end
    {
        return Ok(Reply::count(0));
    }
    Ok(Reply::count(ones(bytes, bounds.of(bytes.len()))))
}

/// BITCOUNT reads both positions before the unit.
fn count_bounds(start: &Bytes, end: &Bytes, unit: &Bytes) -> Result<Bounds, Halt> {
    integer(start)?;
    integer(end)?;
    Bounds::parse(Some(start), Some(end), Some(unit))
}

fn ones(bytes: &[u8], range: Range<usize>) -> usize {
    let (start, end) = (range.start.next_multiple_of(8), range.end / 8 * 8);
    if start >= end {
        return range.filter(|at| bit(bytes, *at)).count();
    }
    let whole: u32 = bytes[start / 8..end / 8]
        .iter()
        .map(|byte| byte.count_ones())
        .sum();
    let edges = (range.start..start).chain(end..range.end);
    whole as usize + edges.filter(|at| bit(bytes, *at)).count()
}

pub(super) fn bitpos(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let wanted = match integer(&args[2])? {
        0 => false,
        1 => true,
        _ => return Err(Halt::error("ERR The bit argument must be 1 or 0.")),
    };
    if args.len() > 6 {
        return Err(Halt::SYNTAX);
    }
    let bounds = Bounds::parse(args.get(3), args.get(4), args.get(5))?;
    let Some(bytes) = cx.db().read::<Bytes>(&args[1])? else {
        return Ok(Reply::Integer(if wanted { -1 } else { 0 }));
    };
    let range = bounds.of(bytes.len());
    if range.is_empty() {
        return Ok(Reply::Integer(-1));
    }
    // A string goes on with zeros, unless the range has an end.
    let behind = (!wanted && bounds.end.is_none()).then_some(range.end);
    let found = position(bytes, range, wanted).or(behind);
    Ok(Reply::Integer(found.map_or(-1, |at| at as i64)))
}

fn position(bytes: &[u8], range: Range<usize>, wanted: bool) -> Option<usize> {
    let without = if wanted { 0 } else { u8::MAX };
    let mut at = range.start;
    while at < range.end {
        if at.is_multiple_of(8) && at + 8 <= range.end && bytes[at / 8] == without {
            at += 8;
        } else if bit(bytes, at) == wanted {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}
