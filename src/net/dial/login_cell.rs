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

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    use futures_util::future::{join, join_all};
    use tokio::{sync::Semaphore, task::yield_now};

    use super::*;
    use crate::credentials::CredentialsFn;

    /// Answers once there is a permit, with the number of the question.
    fn gate(gate: &Arc<Semaphore>) -> (CredentialsSource, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let (gate, count) = (gate.clone(), asked.clone());
        let provider = CredentialsFn::new(move |_| {
            let (gate, count) = (gate.clone(), count.clone());
            async move {
                let number = count.fetch_add(1, Relaxed) + 1;
                let _open = gate.acquire().await;
                Ok::<_, Infallible>(Credentials::new(number.to_string()))
            }
        });
        (CredentialsSource::provider(provider), asked)
    }

    /// Opens the gate when all others wait.
    async fn open(gate: &Semaphore) {
        yield_now().await;
        gate.add_permits(1);
    }

    #[tokio::test]
    async fn dials_of_a_moment_share_an_answer() {
        let closed = Arc::new(Semaphore::new(0));
        let (source, asked) = gate(&closed);
        let cell = LoginCell::default();
        let dials = join_all((0..40).map(|_| cell.fetch(&source, "main")));
        let (logins, ()) = join(dials, open(&closed)).await;
        // The first question was under way when the others came, so its answer may be too old for them.
        assert_eq!(asked.load(Relaxed), 2);
        let words = logins.into_iter().map(|login| {
            let login = login.expect("credentials");
            login.credentials.password.expose_secret().to_owned()
        });
        assert_eq!(words.filter(|word| word == "2").count(), 39);
    }

    #[tokio::test]
    async fn the_answer_of_another_provider_is_not_shared() {
        let closed = Arc::new(Semaphore::new(0));
        let (old, new) = (gate(&closed), gate(&closed));
        let cell = LoginCell::default();
        let (of_old, of_new) = (cell.fetch(&old.0, "main"), cell.fetch(&new.0, "main"));
        let again = cell.fetch(&old.0, "main");
        let dials = join(join(of_old, of_new), again);
        let (((first, second), third), ()) = join(dials, open(&closed)).await;
        let generation = |login: Result<Last, _>| login.expect("credentials").note.generation;
        // The same word of the new one is no reason to authenticate again.
        assert_eq!((generation(first), generation(second)), (1, 1));
        assert_eq!(generation(third), 2);
        assert_eq!((old.1.load(Relaxed), new.1.load(Relaxed)), (2, 1));
    }
}
