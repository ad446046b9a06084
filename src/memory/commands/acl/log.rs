//! The log of refusals.

use bytes::Bytes;

use crate::memory::{
    acl::Entry,
    arguments::{integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::Millis,
    reply::Reply,
};

/// Entries that are shown without a count.
const SHOWN: i64 = 10;

pub(super) fn log(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let count = match &args[2..] {
        [] => SHOWN,
        [word] if is(word, "RESET") => {
            cx.engine.refusals.clear();
            return Ok(Reply::OK);
        }
        [count] => integer(count)?,
        _ => return Err(Halt::subcommand_syntax("ACL", &args[1])),
    };
    let count = usize::try_from(count).unwrap_or(0);
    let entries = cx.engine.refusals.latest(count);
    Ok(Reply::Array(
        entries.map(|entry| shown(entry, cx.now)).collect(),
    ))
}

fn shown(entry: &Entry, now: Millis) -> Reply {
    let age = now.saturating_sub(entry.created_at) as f64 / 1000.0;
    let time = |at: Millis| Reply::Integer(at as i64);
    Reply::Map(vec![
        (Reply::text("count"), Reply::Integer(entry.count)),
        (Reply::text("reason"), Reply::text(entry.reason)),
        (Reply::text("context"), Reply::text(entry.context)),
        (Reply::text("object"), Reply::Bulk(entry.object.clone())),
        (Reply::text("username"), Reply::Bulk(entry.user.clone())),
        (Reply::text("age-seconds"), Reply::Double(age)),
        (
            Reply::text("client-info"),
            Reply::bulk(entry.client.clone()),
        ),
        (Reply::text("entry-id"), Reply::Integer(entry.id)),
        (Reply::text("timestamp-created"), time(entry.created_at)),
        (
            Reply::text("timestamp-last-updated"),
            time(entry.updated_at),
        ),
    ])
}
