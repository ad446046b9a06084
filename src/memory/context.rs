//! What a command sees while it runs.

use super::{
    engine::Engine,
    keyspace::{Database, Millis},
    session::{ClientId, Session},
};

pub(super) struct Context<'a> {
    pub(super) engine: &'a mut Engine,
    /// The client that sent the command.
    pub(super) client: ClientId,
    /// The time at which the command runs. In a transaction it is the same for all commands.
    pub(super) now: Millis,
    /// The number of the database on which it runs.
    pub(super) database: usize,
}

impl Context<'_> {
    /// The database on which the command runs.
    pub(super) fn db(&mut self) -> &mut Database {
        self.engine.keyspace.database(self.database)
    }

    pub(super) fn session(&mut self) -> &mut Session {
        let session = self.engine.sessions.get_mut(&self.client);
        session.expect("BUG: a command of a client that is gone")
    }

    pub(super) fn random(&mut self) -> &mut fastrand::Rng {
        &mut self.engine.random
    }
}
