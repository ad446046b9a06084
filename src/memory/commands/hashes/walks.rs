//! HSCAN and HRANDFIELD.

use bytes::Bytes;

use super::{Hash, hash};
use crate::memory::{
    arguments::is,
    commands::{
        sample,
        scan::{self, Options, Walk},
    },
    context::Context,
    halt::{Halt, Outcome},
    reply::{Protocol, Reply},
};

pub(super) fn hscan(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let cursor = scan::cursor(&args[2])?;
    let Some(hash) = hash(cx, &args[1])? else {
        return Ok(scan::empty());
    };
    let options = Options::parse(&args[3..], Walk::Fields)?;
    let page = options.page(cursor, hash.len(), hash.is_small());
    let mut found = Vec::new();
    for position in page.positions() {
        if let Some((field, value)) = hash.at(position)
            && options.matches(field)
        {
            found.push(Reply::Bulk(field.clone()));
            if !options.is_without_values {
                found.push(Reply::Bulk(value.clone()));
            }
        }
    }
    Ok(page.reply(found))
}

pub(super) fn hrandfield(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(count) = args.get(2) else {
        let len = hash(cx, &args[1])?.map_or(0, Hash::len);
        let positions = sample::positions(cx.random(), len, 1)?;
        let hash = hash(cx, &args[1])?;
        let field = hash.and_then(|hash| hash.at(*positions.first()?));
        return Ok(Reply::optional(field.map(|(field, _)| field.clone())));
    };
    let count = sample::count(count)?;
    let with_values = match &args[3..] {
        [] => false,
        [word] if is(word, "WITHVALUES") => true,
        _ => return Err(Halt::SYNTAX),
    };
    // Twice as many have to fit.
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Halt::error("ERR value is out of range"));
    }
    let len = hash(cx, &args[1])?.map_or(0, Hash::len);
    let positions = sample::positions(cx.random(), len, count)?;
    let nests = with_values && cx.session().protocol == Protocol::Resp3;
    let hash = hash(cx, &args[1])?;
    let mut reply = Vec::new();
    for position in positions {
        let Some((field, value)) = hash.and_then(|hash| hash.at(position)) else {
            continue;
        };
        let (field, value) = (Reply::Bulk(field.clone()), Reply::Bulk(value.clone()));
        if nests {
            reply.push(Reply::Array(vec![field, value]));
        } else {
            reply.push(field);
            reply.extend(with_values.then_some(value));
        }
    }
    Ok(Reply::Array(reply))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::memory::tests::client::Client;

    fn scan(client: &Client, cursor: &str, options: &str) -> (String, Vec<String>) {
        let reply = client.ask(&format!("HSCAN h {cursor} COUNT 100{options}"));
        let mut words = reply
            .split(' ')
            .skip(1)
            .filter(|word| !word.starts_with(['$', '*']));
        let cursor = words.next().expect("a cursor").to_owned();
        (cursor, words.map(str::to_owned).collect())
    }

    #[test]
    fn a_walk_over_many_fields_misses_none_that_stays() {
        let client = Client::new();
        for n in 0..1000 {
            client.ask(&format!("HSET h {n} v"));
        }
        let (mut cursor, mut found) = ("0".to_owned(), BTreeSet::new());
        for page in 0.. {
            let (next, fields) = scan(&client, &cursor, " NOVALUES");
            found.extend(fields);
            client.ask(&format!("HDEL h {page} {}", 500 + page));
            client.ask(&format!("HSET h new{page} v"));
            cursor = next;
            if cursor == "0" {
                assert!(page >= 9, "{page}");
                break;
            }
        }
        assert!((100..500).all(|n| found.contains(&n.to_string())));
    }

    #[test]
    fn few_fields_are_found_at_once_with_their_values() {
        let client = Client::new();
        client.ask("HSET h a 1 b 2");
        let (cursor, mut found) = scan(&client, "0", " MATCH a");
        found.sort();
        assert_eq!((cursor.as_str(), found.join(" ")), ("0", "1 a".into()));
        assert_eq!(client.ask("HSCAN nothing 0 x"), "*2 $1 0 *0");
    }
}
