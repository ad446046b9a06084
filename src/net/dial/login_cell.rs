//! The credentials that the last dial had, where they change.

use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::ExposeSecret;
use tokio::{sync, time::Instant};

use crate::{
    config::{DatabaseSettings, Username},
    credentials::{Credentials, CredentialsSource},
};

/// Asks a provider once for all dials of a moment.
#[derive(Debug, Default)]
pub(super) struct LoginCell {
    fetching: sync::Mutex<()>,
    last: Mutex<Option<Last>>,
}

#[derive(Clone, Debug)]
struct Last {
    credentials: Credentials,
    /// Grows whenever open connections have to authenticate again.
    generation: u64,
    fetched: Instant,
}

impl LoginCell {
    /// The present credentials, of a fetch that began after this call.
    pub(super) async fn fetch(
        &self,
        source: &CredentialsSource,
        database: &str,
    ) -> Result<Credentials, String> {
        let asked = Instant::now();
        let _turn = self.fetching.lock().await;
        let last = self.last().clone();
        if let Some(last) = last.filter(|last| last.fetched >= asked) {
            return Ok(last.credentials);
        }
        let fetched = Instant::now();
        let credentials = source.fetch(database).await?;
        let mut last = self.last();
        let generation = match &*last {
            Some(last) if credentials.are_like(&last.credentials) => last.generation,
            Some(last) => last.generation + 1,
            None => 1,
        };
        *last = Some(Last {
            credentials: credentials.clone(),
            generation,
            fetched,
        });
        Ok(credentials)
    }

    /// When the provider is to be asked again on behalf of open connections.
    pub(super) fn due(&self) -> Option<Instant> {
        let last = self.last();
        let last = last.as_ref()?;
        Some(last.fetched + last.credentials.ask_again_after()?)
    }

    pub(super) fn generation(&self) -> u64 {
        self.last().as_ref().map_or(0, |last| last.generation)
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings with these credentials.
pub(super) fn logged_in(settings: &DatabaseSettings, credentials: Credentials) -> DatabaseSettings {
    let name = credentials.username.as_ref();
    let username = name.map(|name| Username(name.expose_secret().to_owned()));
    let mut settings = settings.clone();
    settings.username = username.or(settings.username);
    settings.password = Some(credentials.password);
    settings
}
