//! Descriptions of clients.

use bytes::Bytes;

use crate::memory::{
    arguments::is,
    client_info::line,
    context::Context,
    halt::{Halt, Outcome, shown},
    number,
    reply::Reply,
    session::Session,
};

/// The type of a client, as CLIENT LIST and CLIENT KILL name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Normal,
    Subscriber,
    /// Another server: there is none.
    Server,
}

impl Type {
    pub(super) fn named(name: &[u8]) -> Result<Self, Halt> {
        if is(name, "NORMAL") {
            Ok(Self::Normal)
        } else if is(name, "PUBSUB") {
            Ok(Self::Subscriber)
        } else if ["SLAVE", "REPLICA", "MASTER"]
            .iter()
            .any(|known| is(name, known))
        {
            Ok(Self::Server)
        } else {
            let name = shown(name);
            Err(Halt::error(format!("ERR Unknown client type '{name}'")))
        }
    }

    pub(super) fn of(session: &Session) -> Self {
        if session.subscriptions.is_empty() {
            Self::Normal
        } else {
            Self::Subscriber
        }
    }
}

pub(super) fn info(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let local = cx.engine.settings.address.clone();
    let now = cx.now;
    Ok(Reply::Verbatim(line(cx.session(), &local, now).into()))
}

pub(super) fn list(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (only_type, only_ids) = match &args[2..] {
        [] => (None, None),
        [word, name] if is(word, "TYPE") => (Some(Type::named(name)?), None),
        [word, ids @ ..] if !ids.is_empty() && is(word, "ID") => {
            let ids: Option<Vec<_>> = ids.iter().map(|id| number::integer(id)).collect();
            (None, Some(ids.ok_or(Halt::error("ERR Invalid client ID"))?))
        }
        _ => return Err(Halt::SYNTAX),
    };
    let local = &cx.engine.settings.address;
    let clients: Vec<&Session> = match only_ids {
        // In the order in which they are asked for.
        Some(ids) => ids
            .iter()
            .filter_map(|id| cx.engine.sessions.get(&u64::try_from(*id).ok()?))
            .filter(|session| !session.is_closing)
            .collect(),
        None => cx.engine.clients().collect(),
    };
    let clients = clients
        .into_iter()
        .filter(|session| only_type.is_none_or(|only| only == Type::of(session)));
    let lines: String = clients
        .map(|session| line(session, local, cx.now))
        .collect();
    Ok(Reply::Verbatim(lines.into()))
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn clients_are_described() {
        let client = Client::new();
        let other = Client::of(&client.store);
        other.ask("SUBSCRIBE a");
        client.ask("CLIENT SETNAME me");
        client.ask("SELECT 2");
        client.ask("WATCH a b");
        let info = client.ask("CLIENT INFO");
        assert!(
            info.contains(
                "id=1 addr=test laddr=memory:test fd=-1 name=me age=0 idle=0 flags=N db=2 sub=0 psub=0 ssub=0 \
                 multi=-1 watch=2 qbuf=0"
            ),
            "{info}"
        );
        assert!(info.contains("cmd=client|info user=default redir=-1 resp=2"));
        let listed = client.ask("CLIENT LIST TYPE pubsub");
        assert!(listed.contains("id=2 ") && !listed.contains("id=1 "));
        assert!(listed.contains(" flags=P db=0 sub=1"));
        let listed = client.ask("CLIENT LIST ID 2 1 7");
        assert!(listed.find("id=2 ") < listed.find("id=1 "));
        assert_eq!(client.ask("CLIENT LIST TYPE master"), "$0 ");
    }
}
