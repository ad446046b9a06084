//! CLIENT KILL.

use bytes::Bytes;

use super::list::Type;
use crate::memory::{
    acl::{DEFAULT_USER, Users},
    arguments::is,
    context::Context,
    halt::{Halt, Outcome, shown},
    keyspace::Millis,
    number,
    reply::Reply,
    session::{ClientId, Session},
};

/// The clients that are meant: those for which all conditions hold.
#[derive(Default)]
struct Filter {
    address: Option<Bytes>,
    local_address: Option<Bytes>,
    of_type: Option<Type>,
    id: Option<ClientId>,
    user: Option<Bytes>,
    /// In seconds.
    age: Option<u64>,
    spares_me: bool,
}

pub(super) fn kill(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let is_old_form = args.len() == 3;
    let filter = if is_old_form {
        Filter {
            address: Some(args[2].clone()),
            ..Filter::default()
        }
    } else {
        Filter::read(&args[2..], &cx.engine.users)?
    };
    let (me, now) = (cx.client, cx.now);
    let local = &cx.engine.settings.address;
    let clients = cx.engine.clients();
    let killed: Vec<ClientId> = clients
        .filter(|session| filter.means(session, local, me, now))
        .map(|session| session.id)
        .collect();
    for id in &killed {
        cx.engine.kill(*id);
    }
    match (is_old_form, killed.len()) {
        (true, 0) => Err(Halt::error("ERR No such client")),
        (true, _) => Ok(Reply::OK),
        (false, count) => Ok(Reply::count(count)),
    }
}

impl Filter {
    fn read(words: &[Bytes], users: &Users) -> Result<Self, Halt> {
        let mut filter = Self {
            spares_me: true,
            ..Self::default()
        };
        let (pairs, rest) = words.as_chunks::<2>();
        for [option, value] in pairs {
            filter.set(option, value, users)?;
        }
        if rest.is_empty() {
            Ok(filter)
        } else {
            Err(Halt::SYNTAX)
        }
    }

    fn set(&mut self, option: &[u8], value: &Bytes, users: &Users) -> Result<(), Halt> {
        if is(option, "ID") {
            let id = number::integer(value).filter(|id| *id > 0);
            let id = id.ok_or(Halt::error("ERR client-id should be greater than 0"))?;
            self.id = Some(id as ClientId);
        } else if is(option, "MAXAGE") {
            let age = number::integer(value)
                .ok_or(Halt::error("ERR maxage is not an integer or out of range"))?;
            let age = u64::try_from(age).ok().filter(|age| *age > 0);
            self.age = Some(age.ok_or(Halt::error("ERR maxage should be greater than 0"))?);
        } else if is(option, "TYPE") {
            self.of_type = Some(Type::named(value)?);
        } else if is(option, "ADDR") {
            self.address = Some(value.clone());
        } else if is(option, "LADDR") {
            self.local_address = Some(value.clone());
        } else if is(option, "USER") {
            if users.get(value).is_none() {
                let name = shown(value);
                return Err(Halt::error(format!("ERR No such user '{name}'")));
            }
            self.user = Some(value.clone());
        } else if is(option, "SKIPME") && is(value, "YES") {
            self.spares_me = true;
        } else if is(option, "SKIPME") && is(value, "NO") {
            self.spares_me = false;
        } else {
            return Err(Halt::SYNTAX);
        }
        Ok(())
    }

    fn means(&self, session: &Session, local: &str, me: ClientId, now: Millis) -> bool {
        let user = session.user.as_deref().unwrap_or(DEFAULT_USER);
        let age = now.saturating_sub(session.connected_at) / 1000;
        let is_address = |expected: &Option<Bytes>, address: &str| {
            expected
                .as_ref()
                .is_none_or(|expected| expected == address.as_bytes())
        };
        is_address(&self.address, &session.address)
            && is_address(&self.local_address, local)
            && self.of_type.is_none_or(|only| only == Type::of(session))
            && self.id.is_none_or(|id| id == session.id)
            && self.user.as_ref().is_none_or(|name| name == user)
            && self.age.is_none_or(|least| age >= least)
            && !(self.spares_me && session.id == me)
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn clients_are_killed() {
        let client = Client::new();
        let other = Client::of(&client.store);
        other.ask("SUBSCRIBE a");
        assert_eq!(client.ask("CLIENT KILL TYPE normal"), ":0");
        assert_eq!(client.ask("CLIENT KILL TYPE pubsub USER default"), ":1");
        assert!(other.is_closing());
        assert_eq!(client.ask("PUBLISH a 1"), ":0");
        assert_eq!(client.ask("CLIENT KILL MAXAGE"), "-ERR No such client");
        assert_eq!(client.ask("CLIENT KILL MAXAGE 10 SKIPME no"), ":0");
        assert_eq!(
            client.ask("CLIENT KILL MAXAGE x SKIPME no"),
            "-ERR maxage is not an integer or out of range"
        );
        assert_eq!(client.ask("CLIENT KILL ID 1 SKIPME no"), ":1");
        assert!(client.is_closing());
    }
}
