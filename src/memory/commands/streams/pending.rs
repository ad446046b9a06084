//! Entries that are pending, and consumers that take them from others.

use bytes::Bytes;

use super::{entry_reply, group, id_reply, ids};
use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome, text_of},
    keyspace::{Group, Id, Millis, Pending, Stream},
    number,
    reply::Reply,
};

pub(super) fn xpending(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    if args.len() == 3 {
        let (_, group) = group(cx, &args[1], &args[2])?;
        return Ok(summary(group));
    }
    if !(6..=9).contains(&args.len()) {
        return Err(Halt::SYNTAX);
    }
    let mut words = Words::new(&args[3..]);
    let mut idle = 0;
    if words.take("IDLE") {
        idle = integer(words.expect()?)?;
        if words.len() < 3 {
            return Err(Halt::SYNTAX);
        }
    }
    let (start, end, most) = (words.expect()?, words.expect()?, words.expect()?);
    let most = integer(most)?.max(0) as usize;
    let (start, end) = (ids::start(start)?, ids::end(end)?);
    let consumer = words.next();
    let now = cx.now;
    let (_, group) = group(cx, &args[1], &args[2])?;
    if start > end {
        return Ok(Reply::Array(Vec::new()));
    }
    let pending: Box<dyn Iterator<Item = (&Id, &Pending)>> = match consumer {
        None => Box::new(group.pending().range(start..=end)),
        Some(name) => {
            let consumer = group.consumers().get(name).into_iter();
            let ids = consumer.flat_map(|consumer| consumer.pending.range(start..=end));
            Box::new(ids.filter_map(|id| Some((id, group.pending().get(id)?))))
        }
    };
    let found = pending.filter(|(_, pending)| idle == 0 || idle_time(pending, now) >= idle);
    let replies = found.take(most).map(|(id, pending)| {
        Reply::Array(vec![
            id_reply(*id),
            Reply::Bulk(pending.consumer.clone()),
            Reply::Integer(idle_time(pending, now)),
            Reply::Integer(pending.deliveries),
        ])
    });
    Ok(Reply::Array(replies.collect()))
}

/// The milliseconds since an entry was delivered.
fn idle_time(pending: &Pending, now: Millis) -> i64 {
    now.saturating_sub(pending.delivered_at) as i64
}

fn summary(group: &Group) -> Reply {
    let pending = group.pending();
    let (first, last) = (pending.first_key_value(), pending.last_key_value());
    let (Some((first, _)), Some((last, _))) = (first, last) else {
        let nothing = vec![Reply::count(0), Reply::Null, Reply::Null, Reply::NullArray];
        return Reply::Array(nothing);
    };
    let consumers = group.consumers().iter();
    let consumers = consumers.filter(|(_, consumer)| !consumer.pending.is_empty());
    let consumers = consumers.map(|(name, consumer)| {
        let count = consumer.pending.len().to_string();
        Reply::Array(vec![Reply::Bulk(name.clone()), Reply::bulk(count)])
    });
    Reply::Array(vec![
        Reply::count(pending.len()),
        id_reply(*first),
        id_reply(*last),
        Reply::Array(consumers.collect()),
    ])
}

/// A consumer that takes entries.
struct Claim<'a> {
    group: &'a Bytes,
    consumer: &'a Bytes,
    min_idle: i64,
    /// The time of delivery that entries get.
    delivered_at: Millis,
    deliveries: Option<i64>,
    is_forced: bool,
    only_ids: bool,
}

/// The result for one entry.
enum Claimed {
    Yes(Reply),
    No,
    /// The entry was deleted, and is pending no more.
    Deleted,
}

impl Claim<'_> {
    fn take(&self, stream: &mut Stream, id: Id, now: Millis) -> Claimed {
        let Some(entry) = stream.get(id) else {
            if let Some(mut group) = stream.group_mut(self.group) {
                group.acknowledge(id);
            }
            return Claimed::Deleted;
        };
        let reply = if self.only_ids {
            id_reply(id)
        } else {
            entry_reply(entry)
        };
        let Some(mut group) = stream.group_mut(self.group) else {
            return Claimed::No;
        };
        let known = group.pending().get(&id);
        let before = match known {
            Some(pending) if self.min_idle > 0 && idle_time(pending, now) < self.min_idle => {
                return Claimed::No;
            }
            Some(pending) => pending.deliveries,
            None if self.is_forced => 1,
            None => return Claimed::No,
        };
        let counted = before.wrapping_add(i64::from(!self.only_ids));
        let pending = Pending {
            consumer: self.consumer.clone(),
            delivered_at: self.delivered_at,
            deliveries: self.deliveries.unwrap_or(counted),
        };
        group.assign(id, pending, now);
        Claimed::Yes(reply)
    }
}

fn min_idle(command: &str, argument: &[u8]) -> Result<i64, Halt> {
    let idle = number::integer(argument).map(|idle| idle.max(0));
    idle.ok_or_else(|| Halt::error(format!("ERR Invalid min-idle-time argument for {command}")))
}

pub(super) fn xclaim(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    group(cx, &args[1], &args[2])?;
    let mut claim = Claim {
        group: &args[2],
        consumer: &args[3],
        min_idle: min_idle("XCLAIM", &args[4])?,
        delivered_at: now,
        deliveries: None,
        is_forced: false,
        only_ids: false,
    };
    let ids: Vec<Id> = args[5..]
        .iter()
        .map_while(|argument| ids::strict(argument).ok())
        .collect();
    let last_id = claim_options(&mut claim, &args[5 + ids.len()..], now)?;
    let mut stream = cx.db().edit::<Stream>(&args[1])?;
    if let Some(mut group) = stream.group_mut(claim.group) {
        group.last_id = group.last_id.max(last_id);
        group.see(claim.consumer, now);
    }
    let claimed = ids
        .into_iter()
        .filter_map(|id| match claim.take(&mut stream, id, now) {
            Claimed::Yes(reply) => Some(reply),
            Claimed::No | Claimed::Deleted => None,
        });
    Ok(Reply::Array(claimed.collect()))
}

/// Reads the options of XCLAIM. Returns the one that moves the group on.
fn claim_options(claim: &mut Claim<'_>, options: &[Bytes], now: Millis) -> Result<Id, Halt> {
    let option = |argument: &[u8], name: &str| {
        let invalid = || Halt::error(format!("ERR Invalid {name} option argument for XCLAIM"));
        number::integer(argument).ok_or_else(invalid)
    };
    let mut last_id = Id::MIN;
    let mut words = Words::new(options);
    while let Some(word) = words.next() {
        let has_value = !words.is_empty();
        if is(word, "FORCE") {
            claim.is_forced = true;
        } else if is(word, "JUSTID") {
            claim.only_ids = true;
        } else if is(word, "IDLE") && has_value {
            let idle = option(words.expect()?, "IDLE")?;
            claim.delivered_at = sane((now as i64).wrapping_sub(idle), now);
        } else if is(word, "TIME") && has_value {
            claim.delivered_at = sane(option(words.expect()?, "TIME")?, now);
        } else if is(word, "RETRYCOUNT") && has_value {
            let count = option(words.expect()?, "RETRYCOUNT")?;
            claim.deliveries = (count >= 0).then_some(count);
        } else if is(word, "LASTID") && has_value {
            last_id = ids::strict(words.expect()?)?;
        } else {
            let word = text_of(word);
            return Err(Halt::error(format!(
                "ERR Unrecognized XCLAIM option '{word}'"
            )));
        }
    }
    Ok(last_id)
}

/// A time of delivery; now if it cannot be one.
fn sane(time: i64, now: Millis) -> Millis {
    u64::try_from(time).map_or(now, |time| time.min(now))
}

pub(super) fn xautoclaim(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    /// So many pending entries are looked at for each that may be claimed.
    const ATTEMPTS: usize = 10;
    let now = cx.now;
    let mut claim = Claim {
        group: &args[2],
        consumer: &args[3],
        min_idle: min_idle("XAUTOCLAIM", &args[4])?,
        delivered_at: now,
        deliveries: None,
        is_forced: false,
        only_ids: false,
    };
    let start = ids::start(&args[5])?;
    let mut most = 100;
    let mut words = Words::new(&args[6..]);
    while let Some(word) = words.next() {
        if is(word, "COUNT") && !words.is_empty() {
            most = auto_count(words.expect()?)?;
        } else if is(word, "JUSTID") {
            claim.only_ids = true;
        } else {
            return Err(Halt::SYNTAX);
        }
    }
    group(cx, &args[1], &args[2])?;
    let mut stream = cx.db().edit::<Stream>(&args[1])?;
    let mut candidates = Vec::new();
    if let Some(mut group) = stream.group_mut(claim.group) {
        group.see(claim.consumer, now);
        let pending = group.pending().range(start..).map(|(id, _)| *id);
        candidates.extend(pending.take(most.saturating_mul(ATTEMPTS).saturating_add(1)));
    }
    let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
    let mut cursor = Id::MIN;
    for (attempt, id) in candidates.into_iter().enumerate() {
        if claimed.len() + deleted.len() == most || attempt == most.saturating_mul(ATTEMPTS) {
            cursor = id;
            break;
        }
        match claim.take(&mut stream, id, now) {
            Claimed::Yes(reply) => claimed.push(reply),
            Claimed::No => {}
            Claimed::Deleted => deleted.push(id_reply(id)),
        }
    }
    Ok(Reply::Array(vec![
        id_reply(cursor),
        Reply::Array(claimed),
        Reply::Array(deleted),
    ]))
}

fn auto_count(argument: &[u8]) -> Result<usize, Halt> {
    /// Redis reserves memory for as many ids.
    const MOST: i64 = i64::MAX / 16;
    let count = number::integer(argument);
    let count = count.filter(|count| (1..=MOST).contains(count));
    count
        .map(|count| count as usize)
        .ok_or(Halt::error("ERR COUNT must be > 0"))
}
