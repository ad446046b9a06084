//! HGETDEL, HGETEX and HSETEX of Redis 8.

use bytes::Bytes;

use super::{
    Hash,
    expiry::{self, NOT_POSITIVE, Unit},
    hash,
};
use crate::memory::{
    arguments::is,
    context::Context,
    halt::{Halt, Outcome},
    keyspace::Millis,
    number,
    reply::Reply,
};

pub(super) fn hgetdel(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    hash(cx, &args[1])?;
    let fields = expiry::fields(&args[2..], NOT_POSITIVE)?;
    let Some(mut hash) = cx.db().edit_existing::<Hash>(&args[1])? else {
        return Ok(nothing(fields));
    };
    let values: Vec<_> = fields.iter().map(|field| hash.remove(field)).collect();
    if values.iter().any(Option::is_some) {
        hash.touch();
    }
    Ok(Reply::Array(
        values.into_iter().map(Reply::optional).collect(),
    ))
}

fn nothing(fields: &[Bytes]) -> Reply {
    Reply::Array(vec![Reply::Null; fields.len()])
}

/// The change of the expiries of fields.
#[derive(Clone, Copy)]
enum Change {
    At(Millis),
    Persist,
}

pub(super) fn hgetex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    hash(cx, &args[1])?;
    let (change, skipped) = if let Some((unit, base)) = time_word(&args[2], cx.now) {
        let at = expiry::time(&args[3], unit, base, "hgetex")?;
        (Some(Change::At(at)), 2)
    } else if is(&args[2], "PERSIST") {
        (Some(Change::Persist), 1)
    } else {
        (None, 0)
    };
    let fields = expiry::fields(&args[2 + skipped..], NOT_POSITIVE)?;
    let now = cx.now;
    let Some(mut hash) = cx.db().edit_existing::<Hash>(&args[1])? else {
        return Ok(nothing(fields));
    };
    let mut values = Vec::new();
    for field in fields {
        let value = hash.get(field).cloned();
        if value.is_some() {
            let is_changed = match change {
                Some(Change::At(at)) => {
                    expiry::set(&mut hash, field, at, now);
                    true
                }
                Some(Change::Persist) => {
                    let had_expiry = hash.expiry(field).is_some();
                    hash.set_expiry(field, None);
                    had_expiry
                }
                None => false,
            };
            if is_changed {
                hash.touch();
            }
        }
        values.push(Reply::optional(value));
    }
    Ok(Reply::Array(values))
}

/// What the value of an option such as EX counts, and from which time.
fn time_word(word: &[u8], now: Millis) -> Option<(Unit, Millis)> {
    let all = [
        ("EX", Unit::Seconds, now),
        ("PX", Unit::Millis, now),
        ("EXAT", Unit::Seconds, 0),
        ("PXAT", Unit::Millis, 0),
    ];
    let found = all.into_iter().find(|(name, ..)| is(word, name));
    found.map(|(_, unit, base)| (unit, base))
}

/// The words of HSETEX.
#[derive(Default)]
struct Setting<'a> {
    /// FXX or FNX: all fields have to exist, or none.
    only_if_exist: Option<bool>,
    expires_at: Option<Millis>,
    keeps_expiry: bool,
    pairs: &'a [[Bytes; 2]],
}

impl<'a> Setting<'a> {
    fn parse(args: &'a [Bytes], now: Millis) -> Result<Self, Halt> {
        let mut setting = Self::default();
        let mut position = 2;
        while let Some(word) = args.get(position) {
            position += 1;
            if is(word, "FIELDS") {
                setting.pairs = pairs(&args[position..])?;
                return Ok(setting);
            } else if let Some((unit, base)) = time_word(word, now) {
                setting.has_no_expiry()?;
                let value = args
                    .get(position)
                    .ok_or(Halt::error("ERR missing expire time"))?;
                position += 1;
                setting.expires_at = Some(expiry::time(value, unit, base, "hsetex")?);
            } else if is(word, "KEEPTTL") {
                setting.has_no_expiry()?;
                setting.keeps_expiry = true;
            } else if is(word, "FXX") || is(word, "FNX") {
                if setting.only_if_exist.is_some() {
                    return Err(Halt::error(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
                setting.only_if_exist = Some(is(word, "FXX"));
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(Halt::error(format!("ERR unknown argument: {word}")));
            }
        }
        Err(Halt::wrong_arity("hsetex"))
    }

    fn has_no_expiry(&self) -> Result<(), Halt> {
        if self.expires_at.is_some() || self.keeps_expiry {
            return Err(Halt::error(
                "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ));
        }
        Ok(())
    }

    fn is_permitted(&self, hash: Option<&Hash>) -> bool {
        self.only_if_exist.is_none_or(|exist| {
            let mut fields = self.pairs.iter().map(|[field, _]| field);
            fields.all(|field| hash.is_some_and(|hash| hash.contains(field)) == exist)
        })
    }
}

/// The fields and values after the word FIELDS, which begin with their number.
fn pairs(args: &[Bytes]) -> Result<&[[Bytes; 2]], Halt> {
    let arity = || Halt::wrong_arity("hsetex");
    let [number, rest @ ..] = args else {
        return Err(arity());
    };
    let (pairs, odd) = rest.as_chunks::<2>();
    if pairs.is_empty() {
        return Err(arity());
    }
    let number = number::integer(number)
        .filter(|number| (1..=i64::from(i32::MAX)).contains(number))
        .ok_or(Halt::error("ERR invalid number of fields"))?;
    if !odd.is_empty() || number != pairs.len() as i64 {
        return Err(arity());
    }
    Ok(pairs)
}

pub(super) fn hsetex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let setting = Setting::parse(args, cx.now)?;
    if !setting.is_permitted(hash(cx, &args[1])?) {
        return Ok(Reply::flag(false));
    }
    let now = cx.now;
    let mut hash = cx.db().edit::<Hash>(&args[1])?;
    for [field, value] in setting.pairs {
        if setting.keeps_expiry {
            hash.replace(field, value.clone());
        } else {
            hash.insert(field, value.clone());
        }
        if let Some(at) = setting.expires_at {
            expiry::set(&mut hash, field, at, now);
        }
    }
    hash.touch();
    Ok(Reply::flag(true))
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn fields_are_read_and_removed() {
        Client::new().expect(&[
            ("HSET h a 1 b 2", ":2"),
            ("HGETDEL h FIELDS 3 a a x", "*3 $1 1 $-1 $-1"),
            ("HGETDEL h FIELDS 1 b", "*1 $1 2"),
            ("EXISTS h", ":0"),
            ("HGETDEL h FIELDS 2 a b", "*2 $-1 $-1"),
            (
                "HGETDEL h FIELDS 2 a",
                "-ERR The `numfields` parameter must match the number of arguments",
            ),
        ]);
    }

    #[test]
    fn fields_are_read_and_expire() {
        Client::new().expect(&[
            ("HSET h a 1 b 2", ":2"),
            ("HGETEX h FIELDS 2 a x", "*2 $1 1 $-1"),
            ("HGETEX h EXAT 5000000000 FIELDS 2 a x", "*2 $1 1 $-1"),
            ("HEXPIRETIME h FIELDS 3 a b x", "*3 :5000000000 :-1 :-2"),
            ("HGETEX h PERSIST FIELDS 1 a", "*1 $1 1"),
            ("HTTL h FIELDS 1 a", "*1 :-1"),
            ("HGETEX h PX 0 FIELDS 2 a b", "*2 $1 1 $1 2"),
            ("EXISTS h", ":0"),
            ("HGETEX h EX 1 FIELDS 1 a", "*1 $-1"),
            (
                "HGETEX h EX -1 FIELDS 1 a",
                "-ERR invalid expire time, must be >= 0",
            ),
            (
                "HGETEX h KEEPTTL FIELDS 1 a",
                "-ERR Mandatory argument FIELDS is missing or not at the right position",
            ),
        ]);
    }

    #[test]
    fn fields_are_set_and_expire() {
        const ARITY: &str = "-ERR wrong number of arguments for 'hsetex' command";
        Client::new().expect(&[
            ("HSETEX h FXX FIELDS 1 a 1", ":0"),
            ("EXISTS h", ":0"),
            ("HSETEX h FNX EXAT 5000000000 FIELDS 2 a 1 b 2", ":1"),
            ("HSETEX h FNX FIELDS 2 b 1 c 2", ":0"),
            ("HSETEX h FXX FIELDS 2 b 1 c 2", ":0"),
            ("HSETEX h FXX KEEPTTL FIELDS 1 a 3", ":1"),
            ("HSETEX h FIELDS 1 b 4", ":1"),
            ("HEXPIRETIME h FIELDS 2 a b", "*2 :5000000000 :-1"),
            ("HGETALL h", "*4 $1 a $1 3 $1 b $1 4"),
            ("HSETEX h PXAT 1 FIELDS 3 a 1 b 1 c 1", ":1"),
            ("EXISTS h", ":0"),
            ("HSETEX h FIELDS 2 a 1", ARITY),
            ("HSETEX h FIELDS 1 a 1 b", ARITY),
            ("HSETEX h FXX EX 10 FIELDS 1", ARITY),
            ("HSETEX h FIELDS x a 1", "-ERR invalid number of fields"),
            (
                "HSETEX h nonsense FIELDS 1 a 1",
                "-ERR unknown argument: nonsense",
            ),
            (
                "HSETEX h FXX FNX FIELDS 1 a 1",
                "-ERR Only one of FXX or FNX arguments can be specified",
            ),
            (
                "HSETEX h EX 1 KEEPTTL FIELDS 1 a 1",
                "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ),
        ]);
    }
}
