//! Entries that are added and removed.

use bytes::Bytes;

use super::ids::{self, NewId};
use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{Bound, Entry, Id, Stream, Trim},
    reply::Reply,
};

/// The options before the id of XADD, or of XTRIM.
#[derive(Default)]
struct Options {
    bound: Option<Bound>,
    is_approximate: bool,
    limit: Option<u64>,
}

const TWO_BOUNDS: &str =
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";

impl Options {
    /// Takes an option and its values. Tells whether this is one.
    fn take(&mut self, word: &[u8], words: &mut Words<'_>) -> Result<bool, Halt> {
        let is_last = words.is_empty();
        let is_length = is(word, "MAXLEN") && !is_last;
        if is_length || is(word, "MINID") && !is_last {
            if self.bound.is_some() {
                return Err(Halt::error(TWO_BOUNDS));
            }
            self.is_approximate = words.len() >= 2 && words.take("~");
            if !self.is_approximate && words.len() >= 2 {
                words.take("=");
            }
            self.bound = Some(bound(is_length, words.expect()?)?);
            Ok(true)
        } else if is(word, "LIMIT") && !is_last {
            let limit = u64::try_from(integer(words.expect()?)?);
            let negative = |_| Halt::error("ERR The LIMIT argument must be >= 0.");
            self.limit = Some(limit.map_err(negative)?);
            Ok(true)
        } else {
            Ok(false)
        }
    }

    /// The trim, once all options are known.
    fn trim(&self) -> Result<Option<Trim>, Halt> {
        /// Redis trims so many nodes at most.
        const DEFAULT_LIMIT: u64 = 100 * 100;
        if self.limit.is_some_and(|limit| limit > 0) && self.bound.is_none() {
            return Err(Halt::error(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if self.limit.is_some() && !self.is_approximate {
            return Err(Halt::error(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        let default = if self.is_approximate {
            DEFAULT_LIMIT
        } else {
            0
        };
        Ok(self.bound.map(|bound| Trim {
            bound,
            is_approximate: self.is_approximate,
            limit: self.limit.unwrap_or(default),
        }))
    }
}

fn bound(is_length: bool, argument: &[u8]) -> Result<Bound, Halt> {
    if !is_length {
        return ids::strict(argument).map(Bound::Id);
    }
    let negative = |_| Halt::error("ERR The MAXLEN argument must be >= 0.");
    let length = u64::try_from(integer(argument)?).map_err(negative)?;
    Ok(Bound::Length(length))
}

pub(super) fn xadd(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (mut options, mut creates, mut id) = (Options::default(), true, None);
    let mut words = Words::new(&args[2..]);
    while id.is_none()
        && let Some(word) = words.next()
    {
        if &word[..] == b"*" {
            id = Some(NewId::Any);
        } else if is(word, "NOMKSTREAM") {
            creates = false;
        } else if !options.take(word, &mut words)? {
            id = Some(NewId::of(word)?);
        }
    }
    let trim = options.trim()?;
    let fields = words.rest();
    let Some(id) = id.filter(|_| !fields.is_empty() && fields.len().is_multiple_of(2)) else {
        return Err(Halt::wrong_arity("xadd"));
    };
    if id == NewId::Given(Id::MIN) {
        return Err(Halt::error(
            "ERR The ID specified in XADD must be greater than 0-0",
        ));
    }
    let now = cx.now;
    let (key, db) = (&args[1], cx.db());
    if db.read::<Stream>(key)?.is_none() && !creates {
        return Ok(Reply::Null);
    }
    let mut stream = db.edit::<Stream>(key)?;
    let id = new_id(&stream, id, now)?;
    let fields = fields.to_vec();
    stream.append(Entry { id, fields });
    if let Some(trim) = trim {
        stream.trim(trim);
    }
    stream.touch();
    Ok(super::id_reply(id))
}

fn new_id(stream: &Stream, id: NewId, now: u64) -> Result<Id, Halt> {
    let last = stream.last_id;
    if last == Id::MAX {
        return Err(Halt::error(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = match id {
        NewId::Any => stream.next_id(now),
        // The next one of this time, if there is one.
        NewId::At(millis) if millis == last.millis => {
            let sequence = last.sequence.checked_add(1);
            sequence.map(|sequence| Id::new(millis, sequence))
        }
        NewId::At(millis) => Some(Id::new(millis, 0)),
        NewId::Given(id) => Some(id),
    };
    id.filter(|id| *id > last).ok_or(Halt::error(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))
}

pub(super) fn xtrim(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mut options = Options::default();
    let mut words = Words::new(&args[2..]);
    while let Some(word) = words.next() {
        if !options.take(word, &mut words)? {
            return Err(Halt::SYNTAX);
        }
    }
    let missing = Halt::error("ERR syntax error, XTRIM must be called with a trimming strategy");
    let trim = options.trim()?.ok_or(missing)?;
    let Some(mut stream) = cx.db().edit_existing::<Stream>(&args[1])? else {
        return Ok(Reply::count(0));
    };
    let trimmed = stream.trim(trim);
    if trimmed > 0 {
        stream.touch();
    }
    Ok(Reply::count(trimmed))
}

pub(super) fn xdel(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(mut stream) = cx.db().edit_existing::<Stream>(&args[1])? else {
        return Ok(Reply::count(0));
    };
    let ids: Vec<Id> = args[2..]
        .iter()
        .map(|id| ids::strict(id))
        .collect::<Result<_, _>>()?;
    let deleted = ids.into_iter().filter(|id| stream.delete(*id)).count();
    if deleted > 0 {
        stream.touch();
    }
    Ok(Reply::count(deleted))
}

pub(super) fn xsetid(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let id = ids::strict(&args[2])?;
    let (mut added, mut max_deleted) = (None, Id::MIN);
    let mut words = Words::new(&args[3..]);
    while let Some(word) = words.next() {
        if is(word, "ENTRIESADDED") && !words.is_empty() {
            let number = integer(words.expect()?)?;
            if number < 0 {
                return Err(Halt::error("ERR entries_added must be positive"));
            }
            added = Some(number);
        } else if is(word, "MAXDELETEDID") && !words.is_empty() {
            max_deleted = ids::strict(words.expect()?)?;
            if id < max_deleted {
                return Err(Halt::error(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(Halt::SYNTAX);
        }
    }
    let Some(mut stream) = cx.db().edit_existing::<Stream>(&args[1])? else {
        return Err(Halt::NO_SUCH_KEY);
    };
    check_set_id(&stream, id, added)?;
    stream.last_id = id;
    stream.added = added.unwrap_or(stream.added);
    if max_deleted != Id::MIN {
        stream.max_deleted = max_deleted;
    }
    Ok(Reply::OK)
}

fn check_set_id(stream: &Stream, id: Id, added: Option<i64>) -> Result<(), Halt> {
    let error = if id < stream.max_deleted {
        "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
    } else if stream.last().is_some_and(|last| id < last.id) {
        "ERR The ID specified in XSETID is smaller than the target stream top item"
    } else if added.is_some_and(|added| added < stream.len() as i64) {
        "ERR The entries_added specified in XSETID is smaller than the target stream length"
    } else {
        return Ok(());
    };
    Err(Halt::error(error))
}
