//! Descriptions of users.

use bytes::Bytes;

use crate::memory::{acl::Selector, context::Context, halt::Outcome, reply::Reply};

pub(super) fn list(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let lines = cx.engine.users.descriptions().map(Bytes::from);
    Ok(Reply::bulks(lines))
}

pub(super) fn users(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::bulks(cx.engine.users.names().cloned()))
}

pub(super) fn getuser(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(user) = cx.engine.users.get(&args[2]) else {
        return Ok(Reply::Null);
    };
    let flags = user.flags().into_iter().map(Reply::text);
    let passwords = user.passwords.iter().cloned().map(Reply::bulk);
    let mut fields = vec![
        (Reply::text("flags"), Reply::Set(flags.collect())),
        (Reply::text("passwords"), Reply::Array(passwords.collect())),
    ];
    fields.extend(rights(user.root()));
    let selectors = user.selectors.iter();
    let selectors = selectors.map(|rules| Reply::Map(rights(rules).into()));
    fields.push((Reply::text("selectors"), Reply::Array(selectors.collect())));
    Ok(Reply::Map(fields))
}

fn rights(rules: &Selector) -> [(Reply, Reply); 3] {
    [
        (Reply::text("commands"), Reply::bulk(rules.commands())),
        (Reply::text("keys"), Reply::bulk(rules.keys())),
        (Reply::text("channels"), Reply::bulk(rules.channels())),
    ]
}
