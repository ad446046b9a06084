//! The settings that differ between two configurations of a database, and what that means for its connections.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Address, AddressMap, Fallback, Keepalive, MaintenanceNotifications, Protocol, WhenDown,
    username::Username,
};
use crate::{credentials::CredentialsSource, tls::TlsClient};

/// The settings that have changed, by their keys in the order of the table.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Changes(pub(super) Vec<&'static str>);

impl Changes {
    pub(crate) fn keys(&self) -> &[&'static str] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a connection has one of them from its opening on.
    pub(super) fn are_carried(&self) -> bool {
        self.0.iter().any(|key| CARRIED.contains(key))
    }

    /// Whether the fallback is another one from now on.
    pub(crate) fn concern_fallback(&self) -> bool {
        self.0.contains(&"fallback")
    }

    /// Whether somebody else tells the credentials from now on.
    pub(crate) fn concern_credentials(&self) -> bool {
        self.0.contains(&"credentials")
    }

    /// Whether the database is another one from now on.
    pub(crate) fn lead_elsewhere(&self) -> bool {
        self.0.iter().any(|key| ["url", "number"].contains(key))
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// The settings that a connection has from its opening until its end. All others are read when they are needed.
const CARRIED: &[&str] = &[
    "url",
    "number",
    "username",
    "password",
    "credentials",
    "client_name",
    "protocol",
    "tls",
    "without_hello",
    "without_client_name",
    "without_select",
    "attempt_timeout",
    "relaxed_timeout",
    "maintenance_notifications",
    "keepalive",
    "tcp_user_timeout",
    "max_reply_bytes",
];

/// Values that are compared to find changes.
pub(super) trait Compared {
    fn is_same(&self, other: &Self) -> bool;
}

macro_rules! compared {
    ($($type:ty),+) => {$(
        impl Compared for $type {
            fn is_same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )+};
}

compared!(
    Address,
    AddressMap,
    Duration,
    Fallback,
    Keepalive,
    MaintenanceNotifications,
    Protocol,
    String,
    Username,
    WhenDown,
    bool,
    i64,
    u32,
    usize
);

impl Compared for SecretString {
    fn is_same(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }
}

impl Compared for CredentialsSource {
    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl Compared for TlsClient {
    fn is_same(&self, other: &Self) -> bool {
        self.settings() == other.settings()
    }
}

impl<T: Compared> Compared for Option<T> {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Some(one), Some(other)) => one.is_same(other),
            (None, None) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Config, DatabaseConfig, DatabaseSettings, field::Field, fields::FIELDS, resolve,
    };

    fn settings(main: DatabaseConfig) -> DatabaseSettings {
        let settings = resolve(Config::new().database("main", main)).expect("valid");
        DatabaseSettings::clone(&settings.databases[0])
    }

    #[test]
    fn equal_settings_have_no_changes() {
        let main = || DatabaseConfig::from_url("redis://user:canary@localhost").number(3);
        assert!(settings(main()).changes(&settings(main())).is_empty());
        let changes = settings(main()).changes(&settings(main().password("other")));
        assert_eq!(changes.keys(), ["password"]);
        assert!(changes.are_carried() && !changes.lead_elsewhere());
    }

    #[test]
    fn a_setting_that_follows_from_another_changes_with_it() {
        let short = DatabaseConfig::new().command_timeout(Duration::from_millis(500));
        let changes = settings(DatabaseConfig::new()).changes(&settings(short));
        let derived = [
            "command_timeout",
            "attempt_timeout",
            "connect_timeout",
            "acquire_timeout",
        ];
        assert_eq!(changes.keys(), derived);
    }

    #[test]
    fn an_embedded_server_without_a_name_stays() {
        let of = |url: &str| settings(DatabaseConfig::from_url(url));
        let present = of("memory://");
        let next = of("memory://");
        assert_eq!(present.changes(&next).keys(), ["url"]);
        assert!(present.changes(&present.precede(next.into())).is_empty());
        let cluster = present.precede(of("memory+cluster://").into());
        assert!(cluster.address != present.address && cluster.address.is_cluster());
        let same = cluster.precede(of("memory+cluster://").into());
        assert_eq!(same.address, cluster.address);
        let named = present.precede(of("memory://change-tests").into());
        assert_eq!(present.changes(&named).keys(), ["url"]);
    }

    #[test]
    fn carried_settings_are_in_the_table() {
        for key in CARRIED {
            assert!(FIELDS.iter().any(|field| field.key == *key), "{key}");
        }
    }

    /// The test that changes each setting under load has a case for each row.
    #[test]
    fn every_setting_is_changed_under_load() {
        let cases = include_str!("../../tests/apply/settings.rs");
        // These are parts of the URL once they are resolved.
        let is_own = |field: &&Field| !["host", "port"].contains(&field.key);
        for field in FIELDS.iter().filter(is_own) {
            let case = format!("\"{}\",", field.key);
            assert!(
                cases.contains(&case),
                "{case} is missing in tests/apply/settings.rs"
            );
        }
    }
}
