//! The sealed result of checking a configuration. Everything past `resolve` reads this, and may
//! rely on it.

use std::{fmt, sync::Arc, time::Duration};

use secrecy::SecretString;

use super::{Address, Io, Keepalive};

/// At least one database, with distinct names, in the order they were given.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) databases: Vec<Arc<DatabaseSettings>>,
    pub(crate) io: Io,
}

/// One database. The setters of [`DatabaseConfig`](super::DatabaseConfig) say what each value
/// means; here every one is within its range, `connect_timeout < command_timeout`, `attempt_timeout
/// <= command_timeout`, `min_idle <= max_connections`, `1 <= shared_min <= shared_max <=
/// max_connections`, and a user name comes with a password.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseSettings {
    pub(crate) name: Arc<str>,
    pub(crate) address: Address,
    pub(crate) number: i64,
    pub(crate) username: Option<Username>,
    /// Shows itself as `[REDACTED]`.
    pub(crate) password: Option<SecretString>,
    /// Visible ASCII, which is what `CLIENT SETNAME` takes.
    pub(crate) client_name: String,
    pub(crate) command_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) acquire_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) shared_min: usize,
    pub(crate) shared_max: usize,
    pub(crate) min_idle: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) leak_warning: Option<Duration>,
    pub(crate) sweep_interval: Duration,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) tcp_user_timeout: Option<Duration>,
    pub(crate) health_check_interval: Duration,
    pub(crate) failure_threshold: u32,
    pub(crate) recovery_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) max_in_flight_bytes: usize,
    pub(crate) max_parked: usize,
    pub(crate) max_reply_bytes: usize,
    pub(crate) allow_admin: bool,
}

/// Who connects. Half of a credential, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Username(pub(crate) String);

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
