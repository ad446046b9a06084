//! Whether users may do what their clients want, and what follows when their rights change.

use bytes::Bytes;

use super::{
    acl::{DEFAULT_USER, Denial, Entry},
    client_info::line,
    engine::Engine,
    session::{ClientId, OPERATOR, Session},
    signature::Signature,
    subscriptions::Kind,
};

impl Engine {
    /// Whether the user of a client may run a command; if not, why. The refusal is noted, with where it was made:
    /// `toplevel`, `multi` or `lua`.
    pub(super) fn permit(
        &mut self,
        context: &'static str,
        id: ClientId,
        command: &Signature,
        request: &[Bytes],
    ) -> Result<(), Denial> {
        let Some(denial) = self.denial(id, command, request) else {
            return Ok(());
        };
        let user = Bytes::copy_from_slice(self.user_of(id));
        self.note_denial(id, denial.reason(), context, denial.object(), user);
        Err(denial)
    }

    /// Why the user of a client may not run a command, if it may not. The application may do everything.
    pub(super) fn denial(
        &self,
        id: ClientId,
        command: &Signature,
        request: &[Bytes],
    ) -> Option<Denial> {
        if !self.users.are_restricted() || id == OPERATOR {
            return None;
        }
        self.users.denial(self.user_of(id), command, request)
    }

    /// The user of a client.
    pub(super) fn user_of(&self, id: ClientId) -> &[u8] {
        let session = self.sessions.get(&id);
        let user = session.and_then(|session| session.user.as_deref());
        user.unwrap_or(DEFAULT_USER)
    }

    /// A client gave a wrong password, by this command.
    pub(super) fn note_login(&mut self, id: ClientId, command: &Bytes, user: &Bytes) {
        self.note_denial(id, "auth", "toplevel", command.clone(), user.clone());
    }

    fn note_denial(
        &mut self,
        id: ClientId,
        reason: &'static str,
        context: &'static str,
        object: Bytes,
        user: Bytes,
    ) {
        let now = self.clock.millis();
        let session = self.sessions.get(&id);
        let client = session.map(|session| line(session, &self.settings.address, now));
        self.refusals.add(Entry {
            count: 1,
            reason,
            context,
            object,
            user,
            client: client.unwrap_or_default().trim_end().to_owned(),
            id: 0,
            created_at: now,
            updated_at: now,
        });
    }

    /// Removes a user, and disconnects its clients. Tells whether there was one.
    pub(super) fn remove_user(&mut self, name: &[u8]) -> bool {
        let has_been = self.users.remove(name);
        for id in self.clients_of(name) {
            self.kill(id);
        }
        has_been
    }

    /// The rights of a user have changed: clients are disconnected that have subscribed to what they may no more.
    pub(super) fn end_subscriptions(&mut self, user: &[u8]) {
        for id in self.clients_of(user) {
            let subscriptions = &self.session(id).subscriptions;
            let of_kind = |kind| {
                subscriptions
                    .of(kind)
                    .iter()
                    .map(move |name| (kind, name.clone()))
            };
            let all: Vec<_> = Kind::ALL.into_iter().flat_map(of_kind).collect();
            let may = |(kind, name): &(Kind, Bytes)| self.users.allow_channel(user, *kind, name);
            if !all.iter().all(may) {
                self.kill(id);
            }
        }
    }

    fn clients_of(&self, user: &[u8]) -> Vec<ClientId> {
        let sessions = self.sessions.values();
        let is_of_user =
            |session: &&Session| session.user.as_deref().unwrap_or(DEFAULT_USER) == user;
        sessions
            .filter(is_of_user)
            .map(|session| session.id)
            .collect()
    }
}
