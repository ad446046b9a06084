//! The time to live of keys.

use bytes::Bytes;

use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::Millis,
    reply::Reply,
};

/// The unit of a time, and whether it counts from now.
#[derive(Clone, Copy)]
struct Form {
    command: &'static str,
    is_seconds: bool,
    is_relative: bool,
}

/// On which conditions EXPIRE sets an expiry.
#[derive(Default)]
struct Conditions {
    without_one: bool,
    with_one: bool,
    if_later: bool,
    if_earlier: bool,
}

pub(super) fn expire(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let form = Form {
        command: "expire",
        is_seconds: true,
        is_relative: true,
    };
    set(cx, args, form)
}

pub(super) fn pexpire(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let form = Form {
        command: "pexpire",
        is_seconds: false,
        is_relative: true,
    };
    set(cx, args, form)
}

pub(super) fn expireat(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let form = Form {
        command: "expireat",
        is_seconds: true,
        is_relative: false,
    };
    set(cx, args, form)
}

pub(super) fn pexpireat(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let form = Form {
        command: "pexpireat",
        is_seconds: false,
        is_relative: false,
    };
    set(cx, args, form)
}

fn set(cx: &mut Context<'_>, args: &[Bytes], form: Form) -> Outcome {
    let conditions = Conditions::parse(&args[3..])?;
    let at = form.time(integer(&args[2])?, cx.now)?;
    let (key, now) = (&args[1], cx.now);
    let database = cx.db();
    if !database.contains(key) || !conditions.permit(at, database.expiry(key)) {
        return Ok(Reply::flag(false));
    }
    match Millis::try_from(at) {
        Ok(at) if at > now => {
            database.set_expiry(key, Some(at));
            database.touch(key);
        }
        _ => drop(database.remove(key)),
    }
    Ok(Reply::flag(true))
}

impl Form {
    /// The time in milliseconds; a negative one is in the past.
    fn time(self, amount: i64, now: Millis) -> Result<i64, Halt> {
        let unit = if self.is_seconds { 1000 } else { 1 };
        let base = if self.is_relative { now as i64 } else { 0 };
        amount
            .checked_mul(unit)
            .and_then(|millis| millis.checked_add(base))
            .ok_or_else(|| Halt::invalid_expire(self.command))
    }
}

impl Conditions {
    fn parse(arguments: &[Bytes]) -> Result<Self, Halt> {
        let mut conditions = Self::default();
        let mut words = Words::new(arguments);
        while let Some(word) = words.next() {
            if is(word, "NX") {
                conditions.without_one = true;
            } else if is(word, "XX") {
                conditions.with_one = true;
            } else if is(word, "GT") {
                conditions.if_later = true;
            } else if is(word, "LT") {
                conditions.if_earlier = true;
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(Halt::error(format!("ERR Unsupported option {word}")));
            }
        }
        if conditions.without_one
            && (conditions.with_one || conditions.if_later || conditions.if_earlier)
        {
            return Err(Halt::error(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.if_later && conditions.if_earlier {
            return Err(Halt::error(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// No expiry is later than any other.
    fn permit(&self, at: i64, old: Option<Millis>) -> bool {
        let is_later = old.is_some_and(|old| at > old as i64);
        let is_earlier = old.is_none_or(|old| at < old as i64);
        !(self.without_one && old.is_some()
            || self.with_one && old.is_none()
            || self.if_later && !is_later
            || self.if_earlier && !is_earlier)
    }
}

pub(super) fn persist(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let key = &args[1];
    let database = cx.db();
    let expires = database.expiry(key).is_some();
    if expires {
        database.set_expiry(key, None);
        database.touch(key);
    }
    Ok(Reply::flag(expires))
}

pub(super) fn ttl(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    time(cx, &args[1], |at| seconds(at.saturating_sub(now)))
}

pub(super) fn pttl(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    time(cx, &args[1], |at| at.saturating_sub(now))
}

pub(super) fn expiretime(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    time(cx, &args[1], seconds)
}

pub(super) fn pexpiretime(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    time(cx, &args[1], |at| at)
}

fn seconds(millis: Millis) -> u64 {
    (millis + 500) / 1000
}

/// The time of a key's expiry in this form; -1 without an expiry, -2 without a key.
fn time(cx: &mut Context<'_>, key: &[u8], form: impl Fn(Millis) -> u64) -> Outcome {
    let database = cx.db();
    let time = match database.expiry(key) {
        Some(at) => form(at) as i64,
        None if database.contains(key) => -1,
        None => -2,
    };
    Ok(Reply::Integer(time))
}
