//! Expiries of fields: HEXPIRE, HTTL, HPERSIST, and their relatives.

use bytes::Bytes;

use super::{Hash, hash};
use crate::memory::{
    arguments::{integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::Millis,
    number,
    reply::Reply,
};

/// The latest time at which a field can expire in Redis.
const LATEST: i64 = (1 << 46) - 1;

// The results for a field.
const NO_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const CONDITION_NOT_MET: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

#[derive(Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    Millis,
}

/// The time of an argument, which counts from this time.
pub(super) fn time(
    argument: &[u8],
    unit: Unit,
    base: Millis,
    command: &str,
) -> Result<Millis, Halt> {
    let amount = integer(argument)?;
    if amount < 0 {
        return Err(Halt::error("ERR invalid expire time, must be >= 0"));
    }
    let millis = match unit {
        Unit::Seconds => amount.checked_mul(1000),
        Unit::Millis => Some(amount),
    };
    let at = millis.and_then(|millis| millis.checked_add(base as i64));
    at.filter(|at| *at <= LATEST)
        .map(|at| at as Millis)
        .ok_or_else(|| Halt::invalid_expire(command))
}

/// The fields after the word FIELDS and their number.
pub(super) fn fields<'a>(
    args: &'a [Bytes],
    number_error: &'static str,
) -> Result<&'a [Bytes], Halt> {
    let (number, fields) = match args {
        [word, number, fields @ ..] if is(word, "FIELDS") => (number, fields),
        _ => {
            return Err(Halt::error(
                "ERR Mandatory argument FIELDS is missing or not at the right position",
            ));
        }
    };
    let number = number::integer(number)
        .filter(|number| *number > 0)
        .ok_or(Halt::error(number_error))?;
    if number != fields.len() as i64 {
        return Err(Halt::error(
            "ERR The `numfields` parameter must match the number of arguments",
        ));
    }
    Ok(fields)
}

pub(super) const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";

pub(super) fn hexpire(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    expire(cx, args, Unit::Seconds, now, "hexpire")
}

pub(super) fn hpexpire(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    expire(cx, args, Unit::Millis, now, "hpexpire")
}

pub(super) fn hexpireat(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    expire(cx, args, Unit::Seconds, 0, "hexpireat")
}

pub(super) fn hpexpireat(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    expire(cx, args, Unit::Millis, 0, "hpexpireat")
}

fn expire(
    cx: &mut Context<'_>,
    args: &[Bytes],
    unit: Unit,
    base: Millis,
    command: &str,
) -> Outcome {
    hash(cx, &args[1])?;
    let at = time(&args[2], unit, base, command)?;
    let condition = Condition::of(&args[3]);
    let skipped = usize::from(condition.is_some());
    let fields = fields(
        &args[3 + skipped..],
        "ERR Parameter `numFields` should be greater than 0",
    )?;
    let now = cx.now;
    let Some(mut hash) = cx.db().edit_existing::<Hash>(&args[1])? else {
        return Ok(for_each(fields, |_| NO_FIELD));
    };
    let mut is_changed = false;
    let results = for_each(fields, |field| {
        if !hash.contains(field) {
            return NO_FIELD;
        }
        let old = hash.expiry(field);
        if condition.is_some_and(|condition| !condition.permits(old, at)) {
            return CONDITION_NOT_MET;
        }
        is_changed = true;
        set(&mut hash, field, at, now)
    });
    if is_changed {
        hash.touch();
    }
    Ok(results)
}

/// Lets a field expire at this time; if it has passed, the field is removed.
pub(super) fn set(hash: &mut Hash, field: &Bytes, at: Millis, now: Millis) -> i64 {
    if at <= now {
        hash.remove(field);
        return DELETED;
    }
    hash.set_expiry(field, Some(at));
    DONE
}

/// On which an expiry is set.
#[derive(Clone, Copy)]
enum Condition {
    /// NX
    HasNone,
    /// XX
    HasOne,
    /// GT
    IsLater,
    /// LT
    IsEarlier,
}

impl Condition {
    fn of(word: &[u8]) -> Option<Self> {
        let all = [
            ("NX", Self::HasNone),
            ("XX", Self::HasOne),
            ("GT", Self::IsLater),
            ("LT", Self::IsEarlier),
        ];
        let found = all.into_iter().find(|(name, _)| is(word, name));
        found.map(|(_, condition)| condition)
    }

    /// A field without an expiry counts as one that expires never.
    fn permits(self, old: Option<Millis>, new: Millis) -> bool {
        match self {
            Self::HasNone => old.is_none(),
            Self::HasOne => old.is_some(),
            Self::IsLater => old.is_some_and(|old| new > old),
            Self::IsEarlier => old.is_none_or(|old| new < old),
        }
    }
}

fn for_each(fields: &[Bytes], result: impl FnMut(&Bytes) -> i64) -> Reply {
    Reply::Array(fields.iter().map(result).map(Reply::Integer).collect())
}

pub(super) fn httl(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    expiries(cx, args, |at| (at - now).div_ceil(1000))
}

pub(super) fn hpttl(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    expiries(cx, args, |at| at - now)
}

pub(super) fn hexpiretime(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    expiries(cx, args, |at| at.div_ceil(1000))
}

pub(super) fn hpexpiretime(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    expiries(cx, args, |at| at)
}

fn expiries(cx: &mut Context<'_>, args: &[Bytes], shown: impl Fn(Millis) -> Millis) -> Outcome {
    let hash = hash(cx, &args[1])?;
    let fields = fields(&args[2..], NOT_POSITIVE)?;
    Ok(for_each(fields, |field| {
        let Some(hash) = hash.filter(|hash| hash.contains(field)) else {
            return NO_FIELD;
        };
        hash.expiry(field).map_or(NO_EXPIRY, |at| shown(at) as i64)
    }))
}

pub(super) fn hpersist(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    hash(cx, &args[1])?;
    let fields = fields(&args[2..], NOT_POSITIVE)?;
    let Some(mut hash) = cx.db().edit_existing::<Hash>(&args[1])? else {
        return Ok(for_each(fields, |_| NO_FIELD));
    };
    let mut is_changed = false;
    let results = for_each(fields, |field| {
        if !hash.contains(field) {
            return NO_FIELD;
        }
        if hash.expiry(field).is_none() {
            return NO_EXPIRY;
        }
        hash.set_expiry(field, None);
        is_changed = true;
        DONE
    });
    if is_changed {
        hash.touch();
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::memory::tests::client::Client;

    fn expect(client: &Client, pairs: &[(&str, &str)]) {
        for (command, reply) in pairs {
            assert_eq!(client.ask(command), *reply, "{command}");
        }
    }

    fn advance(client: &Client, millis: u64) {
        let by = Duration::from_millis(millis);
        client.store.with(|engine| engine.clock.advance(by));
    }

    #[tokio::test(start_paused = true)]
    async fn fields_vanish_in_time_and_the_last_one_takes_the_key_along() {
        let client = Client::new();
        let lines = [
            ("HSET h a 1 b 2 c 3", ":3"),
            ("HPEXPIRE h 100 FIELDS 2 a x", "*2 :1 :-2"),
            ("HPEXPIRE h 200 FIELDS 2 b c", "*2 :1 :1"),
            ("HPTTL h FIELDS 2 a b", "*2 :100 :200"),
            ("HTTL h FIELDS 1 a", "*1 :1"),
            ("RENAME h i", "+OK"),
            ("COPY i j", ":1"),
        ];
        expect(&client, &lines);
        advance(&client, 99);
        expect(&client, &[("HLEN i", ":3")]);
        advance(&client, 1);
        expect(
            &client,
            &[("HLEN i", ":2"), ("HLEN j", ":2"), ("HGET i a", "$-1")],
        );
        expect(&client, &[("HSET j b 4", ":0"), ("DEL h", ":0")]);
        advance(&client, 100);
        expect(
            &client,
            &[("EXISTS i", ":0"), ("HGETALL j", "*2 $1 b $1 4")],
        );
    }

    #[test]
    fn values_that_are_set_lose_their_expiry_and_counters_keep_it() {
        expect(
            &Client::new(),
            &[
                ("HSET h a 1 b 2 c 3", ":3"),
                ("HEXPIREAT h 9999999999 FIELDS 3 a b c", "*3 :1 :1 :1"),
                ("HSET h a 2", ":0"),
                ("HINCRBY h b 1", ":3"),
                ("HINCRBYFLOAT h c 1", "$1 4"),
                (
                    "HEXPIRETIME h FIELDS 3 a b c",
                    "*3 :-1 :9999999999 :9999999999",
                ),
                ("HPERSIST h FIELDS 3 a b x", "*3 :-1 :1 :-2"),
                ("HPEXPIRETIME h FIELDS 2 b c", "*2 :-1 :9999999999000"),
                ("HDEL h c", ":1"),
                ("HSET h c 1", ":1"),
                ("HTTL h FIELDS 1 c", "*1 :-1"),
                ("HTTL nothing FIELDS 2 a b", "*2 :-2 :-2"),
                ("HPERSIST nothing FIELDS 1 a", "*1 :-2"),
                ("HEXPIRE nothing 1 FIELDS 1 a", "*1 :-2"),
                ("EXISTS nothing", ":0"),
            ],
        );
    }

    #[test]
    fn an_expiry_is_set_under_its_condition_and_one_in_the_past_removes() {
        expect(
            &Client::new(),
            &[
                ("HSET h a 1 b 2", ":2"),
                ("HEXPIREAT h 5000000000 XX FIELDS 1 a", "*1 :0"),
                ("HEXPIREAT h 5000000000 GT FIELDS 1 a", "*1 :0"),
                ("HEXPIREAT h 5000000000 lt FIELDS 1 a", "*1 :1"),
                ("HEXPIREAT h 5000000000 NX FIELDS 2 a b", "*2 :0 :1"),
                ("HEXPIREAT h 5000000000 GT FIELDS 1 a", "*1 :0"),
                ("HEXPIREAT h 5000000001 GT FIELDS 1 a", "*1 :1"),
                ("HEXPIREAT h 5000000001 LT FIELDS 1 a", "*1 :0"),
                ("HEXPIREAT h 5000000002 XX FIELDS 1 a", "*1 :1"),
                ("HEXPIRE h 0 FIELDS 1 a", "*1 :2"),
                ("HPEXPIREAT h 1 FIELDS 2 b b", "*2 :2 :-2"),
                ("EXISTS h", ":0"),
            ],
        );
    }

    #[test]
    fn malformed_commands_are_refused() {
        const MISSING: &str =
            "-ERR Mandatory argument FIELDS is missing or not at the right position";
        const MISMATCH: &str = "-ERR The `numfields` parameter must match the number of arguments";
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        expect(
            &Client::new(),
            &[
                ("SET s 1", "+OK"),
                ("HEXPIRE s x FIELDS 1 a", wrong_type),
                ("HTTL s x 1 a", wrong_type),
                (
                    "HEXPIRE h x FIELDS 1 a",
                    "-ERR value is not an integer or out of range",
                ),
                (
                    "HEXPIRE h -1 FIELDS 1 a",
                    "-ERR invalid expire time, must be >= 0",
                ),
                (
                    "HEXPIRE h 70368744178 FIELDS 1 a",
                    "-ERR invalid expire time in 'hexpire' command",
                ),
                (
                    "HPEXPIREAT h 70368744177664 FIELDS 1 a",
                    "-ERR invalid expire time in 'hpexpireat' command",
                ),
                ("HEXPIRE h 1 ZZ FIELDS 1 a", MISSING),
                ("HPERSIST h FIELD 1 a", MISSING),
                (
                    "HEXPIRE h 1 FIELDS 0 a",
                    "-ERR Parameter `numFields` should be greater than 0",
                ),
                (
                    "HTTL h FIELDS x a",
                    "-ERR Number of fields must be a positive integer",
                ),
                ("HEXPIRE h 1 FIELDS 2 a", MISMATCH),
                ("HTTL h FIELDS 1 a b", MISMATCH),
            ],
        );
    }

    #[test]
    fn clients_that_watch_notice_expiries_of_fields() {
        let client = Client::new();
        let other = Client::of(&client.store);
        client.ask("HSET h a 1");
        for (change, reply) in [
            ("HPERSIST h FIELDS 1 a", "*0"),
            ("HEXPIRE h 10 FIELDS 1 a", "*-1"),
        ] {
            client.ask("WATCH h");
            other.ask(change);
            client.ask("MULTI");
            assert_eq!(client.ask("EXEC"), reply, "{change}");
        }
    }
}
