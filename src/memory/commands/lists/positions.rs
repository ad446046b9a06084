//! Commands about elements at positions of a list.

use bytes::Bytes;

use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{End, List},
    number,
    reply::Reply,
};

pub(super) fn llen(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let list = cx.db().read::<List>(&args[1])?;
    Ok(Reply::count(list.map_or(0, List::len)))
}

/// The positions from one to another, which count from the end if negative, as the first one and the one after
/// the last. `None` if there are none.
fn bounds(start: i64, end: i64, length: usize) -> Option<(usize, usize)> {
    let length = length as i64;
    let from_end = |position: i64| {
        if position < 0 {
            position.saturating_add(length)
        } else {
            position
        }
    };
    let start = from_end(start).max(0);
    let end = from_end(end).min(length - 1);
    (start <= end).then(|| (start as usize, end as usize + 1))
}

/// The position of an element, which counts from the end if negative.
fn position(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add(length as i64)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|index| *index < length)
}

pub(super) fn lrange(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (start, end) = (integer(&args[2])?, integer(&args[3])?);
    let Some(list) = cx.db().read::<List>(&args[1])? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let items = match bounds(start, end, list.len()) {
        Some((start, end)) => list.range(start..=end - 1).cloned().collect(),
        None => Vec::new(),
    };
    Ok(Reply::bulks(items))
}

pub(super) fn lindex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(list) = cx.db().read::<List>(&args[1])? else {
        return Ok(Reply::Null);
    };
    let position = position(integer(&args[2])?, list.len());
    Ok(Reply::optional(
        position.and_then(|position| list.get(position)).cloned(),
    ))
}

pub(super) fn lset(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let list = cx.db().edit_existing::<List>(&args[1])?;
    let mut list = list.ok_or(Halt::NO_SUCH_KEY)?;
    let position = position(integer(&args[2])?, list.len());
    if !position.is_some_and(|position| list.set(position, args[3].clone())) {
        return Err(Halt::error("ERR index out of range"));
    }
    list.touch();
    Ok(Reply::OK)
}

pub(super) fn linsert(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let after = if is(&args[2], "AFTER") {
        1
    } else if is(&args[2], "BEFORE") {
        0
    } else {
        return Err(Halt::SYNTAX);
    };
    let Some(mut list) = cx.db().edit_existing::<List>(&args[1])? else {
        return Ok(Reply::count(0));
    };
    let Some(pivot) = list.iter().position(|item| *item == args[3]) else {
        return Ok(Reply::Integer(-1));
    };
    list.insert(pivot + after, args[4].clone());
    list.touch();
    Ok(Reply::count(list.len()))
}

/// An integer whose negative is one as well.
fn symmetric(argument: &[u8]) -> Result<i64, Halt> {
    let number = integer(argument)?;
    if number == i64::MIN {
        return Err(Halt::error(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    Ok(number)
}

pub(super) fn lrem(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let count = symmetric(&args[2])?;
    let Some(mut list) = cx.db().edit_existing::<List>(&args[1])? else {
        return Ok(Reply::count(0));
    };
    let (from, most) = match count {
        0 => (End::Left, usize::MAX),
        1.. => (End::Left, count as usize),
        _ => (End::Right, count.unsigned_abs() as usize),
    };
    let removed = list.remove(from, most, &args[3]);
    if removed > 0 {
        list.touch();
    }
    Ok(Reply::count(removed))
}

pub(super) fn ltrim(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (start, end) = (integer(&args[2])?, integer(&args[3])?);
    let Some(mut list) = cx.db().edit_existing::<List>(&args[1])? else {
        return Ok(Reply::OK);
    };
    let (start, end) = bounds(start, end, list.len()).unwrap_or((0, 0));
    list.trim(start, end);
    // It counts as a change even if all elements stay.
    list.touch();
    Ok(Reply::OK)
}

/// The options of LPOS.
struct Search {
    /// The first match that counts.
    rank: usize,
    from: End,
    /// How many positions to return; 0 stands for all, and `None` for one without an array.
    count: Option<usize>,
    /// How many elements to look at; 0 stands for all.
    most: usize,
}

fn parse_search(args: &[Bytes]) -> Result<Search, Halt> {
    let (mut rank, mut count, mut most) = (1, None, 0);
    let not_negative = |argument: &[u8], error: &'static str| {
        let number = number::integer(argument).and_then(|number| usize::try_from(number).ok());
        number.ok_or(Halt::error(error))
    };
    let mut words = Words::new(args);
    while let Some(word) = words.next() {
        let value = words.expect()?;
        if is(word, "RANK") {
            rank = symmetric(value)?;
            if rank == 0 {
                return Err(Halt::error(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                     negative to start from the end of the list",
                ));
            }
        } else if is(word, "COUNT") {
            count = Some(not_negative(value, "ERR COUNT can't be negative")?);
        } else if is(word, "MAXLEN") {
            most = not_negative(value, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(Halt::SYNTAX);
        }
    }
    Ok(Search {
        rank: rank.unsigned_abs() as usize,
        from: if rank < 0 { End::Right } else { End::Left },
        count,
        most,
    })
}

pub(super) fn lpos(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let search = parse_search(&args[3..])?;
    let found = match cx.db().read::<List>(&args[1])? {
        Some(list) => find(list, &args[2], &search),
        None => Vec::new(),
    };
    let mut positions = found.into_iter().map(Reply::count);
    Ok(match search.count {
        Some(_) => Reply::Array(positions.collect()),
        None => positions.next().unwrap_or(Reply::Null),
    })
}

fn find(list: &List, value: &Bytes, search: &Search) -> Vec<usize> {
    let all_if_zero = |number| if number == 0 { usize::MAX } else { number };
    let most = all_if_zero(search.most);
    let is_match = |(position, item): (usize, &Bytes)| (item == value).then_some(position);
    let matches: &mut dyn Iterator<Item = usize> = match search.from {
        End::Left => &mut list.iter().enumerate().take(most).filter_map(is_match),
        End::Right => &mut list
            .iter()
            .enumerate()
            .rev()
            .take(most)
            .filter_map(is_match),
    };
    let wanted = all_if_zero(search.count.unwrap_or(1));
    matches.skip(search.rank - 1).take(wanted).collect()
}
