//! What all clients of a front share: its databases, logins and limits.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};

use crate::database::Database;

/// The user of a client that gives a password alone.
pub(super) const DEFAULT_USER: &str = "default";

#[derive(Debug)]
pub(super) struct Service {
    /// By the numbers of SELECT.
    pub(super) databases: BTreeMap<i64, Database>,
    /// Without one, clients need none.
    pub(super) logins: Vec<Login>,
    pub(super) limits: Limits,
    /// Whether clients get the messages of subscriptions.
    pub(super) carries_messages: bool,
    next_id: AtomicU64,
}

/// A user, and the database in which its clients begin if it is not that of the listener.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: SecretString,
    pub(super) database: Option<i64>,
}

/// The bounds of each client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) request_bytes: usize,
    /// Requests that are under way at a time.
    pub(super) outstanding: usize,
    /// Bytes of replies that wait for the client, beyond which it is served no further.
    pub(super) output_bytes: usize,
    /// Bytes of messages that wait for a subscriber.
    pub(super) message_bytes: usize,
    /// How long a client may take no reply.
    pub(super) stall: Duration,
    /// How long a client with a transaction may send nothing.
    pub(super) transaction: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 64 * 1024 * 1024,
            outstanding: 1024,
            output_bytes: 1024 * 1024,
            message_bytes: 32 * 1024 * 1024,
            stall: Duration::from_secs(60),
            transaction: Duration::from_secs(60),
        }
    }
}

impl Service {
    pub(super) fn new(
        databases: BTreeMap<i64, Database>,
        logins: Vec<Login>,
        limits: Limits,
    ) -> Self {
        Self {
            databases,
            logins,
            limits,
            carries_messages: true,
            next_id: AtomicU64::new(1),
        }
    }

    /// Clients may not subscribe.
    pub(super) fn without_messages(mut self) -> Self {
        self.carries_messages = false;
        self
    }

    /// The number of the next client.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    pub(super) fn needs_login(&self) -> bool {
        !self.logins.is_empty()
    }

    /// The login with this user and password.
    pub(super) fn login(&self, user: &[u8], password: &[u8]) -> Option<&Login> {
        let login = self
            .logins
            .iter()
            .find(|login| login.user.as_bytes() == user)?;
        is_equal(login.password.expose_secret().as_bytes(), password).then_some(login)
    }
}

/// Compares in a time that tells nothing but the length.
fn is_equal(secret: &[u8], given: &[u8]) -> bool {
    let differences = secret.iter().zip(given).map(|(one, other)| one ^ other);
    secret.len() == given.len() && differences.fold(0, |all, difference| all | difference) == 0
}
