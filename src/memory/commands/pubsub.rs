//! Channels.

use bytes::Bytes;

use super::help::help;
use crate::memory::{
    command::{
        Command,
        flags::{FAST, LOADING, MAY_REPLICATE, NOSCRIPT, PUBSUB, STALE},
    },
    context::Context,
    glob,
    halt::{Halt, Outcome},
    message::Message,
    reply::Reply,
    subscriptions::Kind,
};

const LISTENS: u32 = PUBSUB | NOSCRIPT | LOADING | STALE;
const PUBLISHES: u32 = PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE;
const TELLS: u32 = PUBSUB | LOADING | STALE;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("subscribe", -2, LISTENS, (0, 0, 0), subscribe),
    Command::new("unsubscribe", -1, LISTENS, (0, 0, 0), unsubscribe),
    Command::new("psubscribe", -2, LISTENS, (0, 0, 0), psubscribe),
    Command::new("punsubscribe", -1, LISTENS, (0, 0, 0), punsubscribe),
    Command::new("ssubscribe", -2, LISTENS, (1, -1, 1), ssubscribe),
    Command::new("sunsubscribe", -1, LISTENS, (1, -1, 1), sunsubscribe),
    Command::new("publish", 3, PUBLISHES, (0, 0, 0), publish),
    Command::new("spublish", 3, PUBLISHES, (1, 1, 1), spublish),
    Command::new("pubsub", -2, 0, (0, 0, 0), about),
    Command::new("pubsub|channels", -2, TELLS, (0, 0, 0), channels),
    Command::new("pubsub|numsub", -2, TELLS, (0, 0, 0), numsub),
    Command::new("pubsub|numpat", 2, TELLS, (0, 0, 0), numpat),
    Command::new("pubsub|shardchannels", -2, TELLS, (0, 0, 0), shardchannels),
    Command::new("pubsub|shardnumsub", -2, TELLS, (0, 0, 0), shardnumsub),
    Command::new("pubsub|help", 2, LOADING | STALE, (0, 0, 0), about),
];

fn subscribe(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(enter(cx, Kind::Channel, "subscribe", &args[1..]))
}

fn psubscribe(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(enter(cx, Kind::Pattern, "psubscribe", &args[1..]))
}

fn ssubscribe(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    if cx.engine.is_executing {
        return Err(Halt::error(
            "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client",
        ));
    }
    Ok(enter(cx, Kind::Shard, "ssubscribe", &args[1..]))
}

fn unsubscribe(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(leave(cx, Kind::Channel, "unsubscribe", &args[1..]))
}

fn punsubscribe(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(leave(cx, Kind::Pattern, "punsubscribe", &args[1..]))
}

fn sunsubscribe(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(leave(cx, Kind::Shard, "sunsubscribe", &args[1..]))
}

fn enter(cx: &mut Context<'_>, kind: Kind, word: &'static str, names: &[Bytes]) -> Reply {
    let confirmations = names.iter().map(|name| {
        if cx.session().subscriptions.of_mut(kind).insert(name.clone()) {
            cx.engine.channels.add(kind, name, cx.client);
        }
        confirmation(cx, kind, word, Some(name))
    });
    Reply::Several(confirmations.collect())
}

/// Without names all subscriptions of the kind end.
fn leave(cx: &mut Context<'_>, kind: Kind, word: &'static str, names: &[Bytes]) -> Reply {
    let all: Vec<Bytes>;
    let names = if names.is_empty() {
        all = cx
            .session()
            .subscriptions
            .of(kind)
            .iter()
            .cloned()
            .collect();
        if all.is_empty() {
            return confirmation(cx, kind, word, None);
        }
        &all
    } else {
        names
    };
    let confirmations = names.iter().map(|name| {
        if cx.session().subscriptions.of_mut(kind).swap_remove(name) {
            cx.engine.channels.remove(kind, name, cx.client);
        }
        confirmation(cx, kind, word, Some(name))
    });
    Reply::Several(confirmations.collect())
}

fn confirmation(
    cx: &mut Context<'_>,
    kind: Kind,
    word: &'static str,
    name: Option<&Bytes>,
) -> Reply {
    let count = cx.session().subscriptions.count(kind);
    Reply::Push(vec![
        Reply::text(word),
        Reply::optional(name.cloned()),
        Reply::count(count),
    ])
}

fn publish(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (channel, text) = (&args[1], &args[2]);
    let mut receivers = deliver(cx, Kind::Channel, "message", channel, text);
    for (pattern, ids) in cx.engine.channels.matching(channel) {
        let message = Message::Published(Reply::Push(vec![
            Reply::text("pmessage"),
            Reply::Bulk(pattern),
            Reply::Bulk(channel.clone()),
            Reply::Bulk(text.clone()),
        ]));
        receivers += ids.len();
        for id in ids {
            cx.engine.push(id, &message);
        }
    }
    Ok(Reply::count(receivers))
}

fn spublish(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let receivers = deliver(cx, Kind::Shard, "smessage", &args[1], &args[2]);
    Ok(Reply::count(receivers))
}

/// Sends a message to the subscribers of a channel. Returns how many there are.
fn deliver(
    cx: &mut Context<'_>,
    kind: Kind,
    word: &'static str,
    channel: &Bytes,
    text: &Bytes,
) -> usize {
    let ids = cx.engine.channels.subscribers(kind, channel);
    let message = Message::Published(Reply::Push(vec![
        Reply::text(word),
        Reply::Bulk(channel.clone()),
        Reply::Bulk(text.clone()),
    ]));
    for id in &ids {
        cx.engine.push(*id, &message);
    }
    ids.len()
}

fn channels(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    active(cx, Kind::Channel, args)
}

fn shardchannels(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    active(cx, Kind::Shard, args)
}

fn active(cx: &mut Context<'_>, kind: Kind, args: &[Bytes]) -> Outcome {
    if args.len() > 3 {
        return Err(Halt::subcommand_syntax("PUBSUB", &args[1]));
    }
    let names = cx.engine.channels.of(kind).keys();
    let is_wanted = |name: &&Bytes| {
        args.get(2)
            .is_none_or(|pattern| glob::matches(pattern, name))
    };
    Ok(Reply::bulks(names.filter(is_wanted).cloned()))
}

fn numsub(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(counts(cx, Kind::Channel, &args[2..]))
}

fn shardnumsub(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(counts(cx, Kind::Shard, &args[2..]))
}

fn counts(cx: &mut Context<'_>, kind: Kind, names: &[Bytes]) -> Reply {
    let subscribers = cx.engine.channels.of(kind);
    let counts = names.iter().flat_map(|name| {
        let count = subscribers.get(name).map_or(0, Vec::len);
        [Reply::Bulk(name.clone()), Reply::count(count)]
    });
    Reply::Array(counts.collect())
}

fn numpat(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::count(cx.engine.channels.of(Kind::Pattern).len()))
}

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ],
    ))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::memory::tests::client::Client;

    #[test]
    fn messages_come_in_order() {
        let publisher = Client::new();
        let (one, other) = (Client::of(&publisher.store), Client::of(&publisher.store));
        assert_eq!(
            one.ask("SUBSCRIBE a b"),
            "*3 $9 subscribe $1 a :1 *3 $9 subscribe $1 b :2"
        );
        other.ask("HELLO 3");
        assert_eq!(other.ask("PSUBSCRIBE a*"), ">3 $10 psubscribe $2 a* :1");
        assert_eq!(publisher.ask("PUBLISH a 1"), ":2");
        assert_eq!(publisher.ask("PUBLISH b 2"), ":1");
        assert_eq!(
            one.read(),
            "*3 $7 message $1 a $1 1 *3 $7 message $1 b $1 2"
        );
        assert_eq!(other.read(), ">4 $8 pmessage $2 a* $1 a $1 1");
        assert_eq!(publisher.ask("PUBSUB NUMSUB a x"), "*4 $1 a :1 $1 x :0");
        one.store.with(|engine| engine.disconnect(one.id));
        assert_eq!(publisher.ask("PUBSUB CHANNELS"), "*0");
        assert_eq!(publisher.ask("PUBSUB NUMPAT"), ":1");
    }

    #[test]
    fn a_message_of_its_own_comes_after_the_reply() {
        let client = Client::new();
        client.ask("HELLO 3");
        client.ask("SUBSCRIBE a");
        assert_eq!(client.ask("PUBLISH a x"), ":1 >3 $7 message $1 a $1 x");
        client.ask("MULTI");
        client.ask("PUBLISH a x");
        client.ask("PING");
        assert_eq!(client.ask("EXEC"), "*2 :1 +PONG >3 $7 message $1 a $1 x");
    }

    #[test]
    fn nothing_comes_after_the_end_of_a_connection() {
        let publisher = Client::new();
        for command in ["QUIT", "PING"] {
            let subscriber = Client::of(&publisher.store);
            subscriber.ask("HELLO 3");
            subscriber.ask("SUBSCRIBE a");
            if command == "PING" {
                publisher
                    .store
                    .with(|engine| engine.faults.cut_after = Some(3));
            }
            subscriber.send(&[command.into()]);
            assert_eq!(publisher.ask("PUBLISH a x"), ":0");
            let read = subscriber.read();
            assert_eq!(read, if command == "QUIT" { "+OK" } else { "+PO" });
        }
    }

    #[test]
    fn a_subscriber_that_does_not_read_is_disconnected() {
        let publisher = Client::new();
        let subscriber = Client::of(&publisher.store);
        subscriber.ask("SUBSCRIBE a");
        let message = Bytes::from(vec![b'x'; 8 * 1024 * 1024]);
        let publish = ["PUBLISH".into(), "a".into(), message];
        for receivers in [1, 1, 1, 1, 0] {
            let reply = publisher.ask_bytes(&publish);
            assert_eq!(reply, format!(":{receivers}\r\n").as_bytes());
        }
        assert!(publisher.store.with(|engine| {
            let session = engine.sessions.get(&subscriber.id);
            session.is_some_and(|session| session.has_ended())
        }));
    }
}
