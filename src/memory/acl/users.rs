//! All users of a server.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Fault, denial::Denial, user::User};
use crate::memory::{
    signature::{Signature, Table},
    subscriptions::Kind,
};

/// The user of a client that has not logged in.
pub(in crate::memory) const DEFAULT_USER: &[u8] = b"default";

#[derive(Debug)]
pub(in crate::memory) struct Users {
    table: &'static Table,
    users: BTreeMap<Bytes, User>,
    /// The password that was set last without ACL, as CONFIG GET shows it.
    password: Bytes,
    are_restricted: bool,
}

impl Users {
    pub(in crate::memory) fn new(table: &'static Table) -> Self {
        let default = User::with_all_rights(table);
        Self {
            table,
            users: BTreeMap::from([(Bytes::from_static(DEFAULT_USER), default)]),
            password: Bytes::new(),
            are_restricted: false,
        }
    }

    /// What CONFIG calls `requirepass`.
    pub(in crate::memory) fn password(&self) -> &Bytes {
        &self.password
    }

    /// Sets the only password of the user `default`; an empty one is none.
    pub(in crate::memory) fn set_password(&mut self, password: Bytes) {
        if let Some(user) = self.users.get_mut(DEFAULT_USER) {
            user.set_password(&password);
        }
        self.password = password;
    }

    /// Adds a user that may do everything, with this password alone.
    pub(in crate::memory) fn add(&mut self, name: Bytes, password: &[u8]) {
        let mut user = User::with_all_rights(self.table);
        user.set_password(password);
        self.users.insert(name, user);
        self.note_restrictions();
    }

    /// Adds or changes a user by rules, all of them or none. The error is the number of a rule, and its fault.
    pub(in crate::memory) fn set(
        &mut self,
        name: &Bytes,
        rules: &[Bytes],
    ) -> Result<(), (usize, Fault)> {
        let mut user = match self.users.get(name) {
            Some(user) => user.clone(),
            None => User::new(self.table),
        };
        for (number, rule) in rules.iter().enumerate() {
            user.apply(rule).map_err(|fault| (number, fault))?;
        }
        self.users.insert(name.clone(), user);
        self.note_restrictions();
        Ok(())
    }

    /// Tells whether there was such a user.
    pub(in crate::memory) fn remove(&mut self, name: &[u8]) -> bool {
        let has_been = self.users.remove(name).is_some();
        self.note_restrictions();
        has_been
    }

    fn note_restrictions(&mut self) {
        self.are_restricted = !self.users.values().all(User::allows_all);
    }

    /// Whether some user may not do everything.
    pub(in crate::memory) fn are_restricted(&self) -> bool {
        self.are_restricted
    }

    pub(in crate::memory) fn get(&self, name: &[u8]) -> Option<&User> {
        self.users.get(name)
    }

    pub(in crate::memory) fn names(&self) -> impl Iterator<Item = &Bytes> {
        self.users.keys()
    }

    /// As ACL LIST shows them.
    pub(in crate::memory) fn descriptions(&self) -> impl Iterator<Item = Vec<u8>> {
        self.users.iter().map(|(name, user)| user.description(name))
    }

    /// Whether a user can log in with this password.
    pub(in crate::memory) fn accepts(&self, name: &[u8], password: &[u8]) -> bool {
        self.users
            .get(name)
            .is_some_and(|user| user.accepts(password))
    }

    /// Whether the user `default` takes any password.
    pub(in crate::memory) fn takes_any_password(&self) -> bool {
        self.users
            .get(DEFAULT_USER)
            .is_some_and(|user| user.needs_no_password)
    }

    /// Whether clients have to log in before they may do anything.
    pub(in crate::memory) fn want_login(&self) -> bool {
        let default = self.users.get(DEFAULT_USER);
        default.is_none_or(|user| !user.is_on || !user.needs_no_password)
    }

    /// The user that a new client is logged in as; `None` if it has to log in.
    pub(in crate::memory) fn without_login(&self) -> Option<Bytes> {
        (!self.want_login()).then(|| Bytes::from_static(DEFAULT_USER))
    }

    /// Why a user may not run a command, if it may not.
    pub(in crate::memory) fn denial(
        &self,
        name: &[u8],
        command: &Signature,
        args: &[Bytes],
    ) -> Option<Denial> {
        self.users.get(name)?.denial(command, args)
    }

    /// Whether a user may subscribe to this.
    pub(in crate::memory) fn allow_channel(
        &self,
        name: &[u8],
        kind: Kind,
        channel: &Bytes,
    ) -> bool {
        let user = self.users.get(name);
        user.is_none_or(|user| user.allows_channel(kind, channel))
    }

    /// Whether a user may run a command that reads any key.
    pub(in crate::memory) fn read_all_keys(
        &self,
        name: &[u8],
        command: &Signature,
        args: &[Bytes],
    ) -> bool {
        let user = self.users.get(name);
        !self.are_restricted || user.is_none_or(|user| user.reads_all_keys(command, args))
    }
}
