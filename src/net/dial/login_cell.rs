//! The credentials that the last dial had, where they change.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::ExposeSecret;
use tokio::{sync, time::Instant};

use crate::{
    config::{DatabaseSettings, Username},
    credentials::{Credentials, CredentialsSource},
};

/// However often a provider wants to be asked, open connections wait so long.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Asks a provider once for all dials of a moment.
#[derive(Debug, Default)]
pub(super) struct LoginCell {
    fetching: sync::Mutex<()>,
    last: Mutex<Option<Last>>,
}

#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) credentials: Credentials,
    pub(super) note: LoginNote,
    source: CredentialsSource,
    fetched: Instant,
}

/// Which credentials a connection has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoginNote {
    /// Grows whenever open connections have to authenticate again.
    pub(crate) generation: u64,
    /// When the provider is to be asked again on behalf of open connections.
    pub(crate) due: Option<Instant>,
}

impl LoginCell {
    /// The present credentials, of a fetch that began after this call.
    pub(super) async fn fetch(
        &self,
        source: &CredentialsSource,
        database: &str,
    ) -> Result<Last, String> {
        let asked = Instant::now();
        let _turn = self.fetching.lock().await;
        let is_shared = |last: &Last| last.fetched >= asked && last.source == *source;
        if let Some(last) = self.last().clone().filter(is_shared) {
            return Ok(last);
        }
        let fetched = Instant::now();
        let credentials = source.fetch(database).await?;
        let pause = credentials.ask_again_after();
        let mut last = self.last();
        let generation = match &*last {
            Some(last) if credentials.are_like(&last.credentials) => last.note.generation,
            Some(last) => last.note.generation + 1,
            None => 1,
        };
        let due = pause.and_then(|pause| fetched.checked_add(pause.max(MIN_PAUSE)));
        let present = Last {
            credentials,
            note: LoginNote { generation, due },
            source: source.clone(),
            fetched,
        };
        *last = Some(present.clone());
        Ok(present)
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
