//! What is known of one service: its sentinels and its primary.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    knowledge::Knowledge,
    question::{ask, ask_all},
    roll::Roll,
    words::Words,
};
use crate::{
    config::{Address, DatabaseSettings},
    net::transport::Connector,
};

/// A service, for all databases that have it with the same login of the sentinels.
///
/// Dials take the known primary as long as it is not in doubt, and ask otherwise. Its lock is held for moments, and never
/// by a command.
pub(crate) struct Service {
    pub(super) name: String,
    pub(super) connector: Arc<dyn Connector>,
    /// Those of one of the databases, for the way to the sentinels.
    pub(super) settings: ArcSwap<DatabaseSettings>,
    state: Mutex<State>,
    present: watch::Sender<Option<Address>>,
    /// Held while all are asked, so that dials at the same time ask once.
    asking: tokio::sync::Mutex<()>,
    inquiries: AtomicU64,
    /// There are other sentinels.
    pub(super) roll_changed: Notify,
}

struct State {
    roll: Roll,
    knowledge: Knowledge,
    /// The replicas of the primary; `None` until a sentinel has told them.
    replicas: Option<Vec<Address>>,
    /// Those of them that the last answer lacked: one sentinel alone may not know them yet.
    lacking: Vec<Address>,
}

impl State {
    /// Takes what a sentinel says of the replicas, if it means the replicas of the known primary.
    fn hear_of_replicas<'a>(&mut self, words: impl IntoIterator<Item = &'a Words>) {
        let primary = self.knowledge.primary();
        let of_primary = words
            .into_iter()
            .filter(|words| words.primary.as_ref() == primary)
            .filter_map(|words| words.replicas.as_ref());
        let mut told: Option<Vec<Address>> = None;
        for replicas in of_primary {
            let told = told.get_or_insert_default();
            for replica in replicas {
                if !told.contains(replica) {
                    told.push(replica.clone());
                }
            }
        }
        if let Some(mut told) = told {
            let known = self.replicas.iter().flatten();
            let lacking: Vec<_> = known
                .filter(|known| !told.contains(known) && Some(*known) != primary)
                .cloned()
                .collect();
            let stay = lacking.iter().filter(|one| !self.lacking.contains(one));
            told.extend(stay.cloned());
            self.lacking = lacking;
            // Sentinels list them in no order.
            told.sort_unstable_by_key(Address::to_string);
            self.replicas = Some(told);
        }
    }
}

impl Service {
    pub(super) fn new(
        name: &str,
        sentinels: &[Address],
        settings: Arc<DatabaseSettings>,
        connector: Arc<dyn Connector>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            connector,
            settings: ArcSwap::new(settings),
            state: Mutex::new(State {
                roll: Roll::new(sentinels),
                knowledge: Knowledge::default(),
                replicas: None,
                lacking: Vec::new(),
            }),
            present: watch::Sender::new(None),
            asking: tokio::sync::Mutex::default(),
            inquiries: AtomicU64::new(0),
            roll_changed: Notify::new(),
        }
    }

    /// The primary, and each other one from then on.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Address>> {
        self.present.subscribe()
    }

    /// Whether these settings lead to the same service in the same way.
    pub(super) fn is_of(&self, settings: &DatabaseSettings) -> bool {
        self.settings.load().shares_sentinels(settings)
    }

    pub(super) fn sentinels(&self) -> Vec<Address> {
        self.state().roll.all()
    }

    /// The replicas of the primary; `None` until a sentinel has told them.
    pub(crate) fn replicas(&self) -> Option<Vec<Address>> {
        self.state().replicas.clone()
    }

    /// The address of the primary. The caller bounds the time.
    ///
    /// # Errors
    /// Why the sentinels do not tell it.
    pub(crate) async fn locate(&self, settings: &DatabaseSettings) -> io::Result<Address> {
        match self.trusted() {
            Some(primary) => Ok(primary),
            None => self.inquire_once(settings).await,
        }
    }

    /// Asks all, or waits for those who ask already.
    async fn inquire_once(&self, settings: &DatabaseSettings) -> io::Result<Address> {
        let before = self.inquiries.load(Relaxed);
        let _turn = self.asking.lock().await;
        let has_asked = self.inquiries.load(Relaxed) != before;
        match self.trusted().filter(|_| has_asked) {
            Some(primary) => Ok(primary),
            None => self.inquire(settings).await,
        }
    }

    /// The server at this address is not the primary, or cannot be reached. Later dials ask.
    pub(crate) fn doubt(&self, address: &Address) {
        self.state().knowledge.doubt(address);
    }

    /// Whether this is the primary, as far as is known.
    pub(crate) fn is_present(&self, address: &Address) -> bool {
        self.state().knowledge.primary() == Some(address)
    }

    /// A sentinel has announced that this is the primary from now on.
    pub(super) async fn announced(&self, by: &Address, from: &Address, to: Address) {
        if self.change(|state| state.knowledge.announced(from, to)) {
            return self.consult(by).await;
        }
        if let Ok(words) = self.ask(by).await {
            self.change(|state| {
                state.roll.heard(by, &words);
                state.knowledge.confirm(&words);
                state.hear_of_replicas([&words]);
            });
        }
    }

    /// Asks one sentinel whether all is as it is known, and if not, all of them.
    pub(super) async fn consult(&self, sentinel: &Address) {
        let Ok(words) = self.ask(sentinel).await else {
            return;
        };
        let is_settled = self.change(|state| {
            state.roll.heard(sentinel, &words);
            let is_settled = state.knowledge.take_word(&words);
            state.hear_of_replicas([&words]);
            is_settled
        });
        if !is_settled {
            // An error is told to dials, which ask as well.
            let _ = self.inquire_once(&self.settings.load_full()).await;
        }
    }

    async fn ask(&self, sentinel: &Address) -> Result<Words, String> {
        let settings = self.settings.load_full();
        ask(&*self.connector, &settings, sentinel, &self.name).await
    }

    async fn inquire(&self, settings: &DatabaseSettings) -> io::Result<Address> {
        let (sentinels, known) = {
            let state = self.state();
            (state.roll.all(), state.knowledge.epoch())
        };
        let asked = ask_all(&*self.connector, settings, sentinels, &self.name, known);
        let (inquiry, verdict) = asked.await;
        let now = Instant::now().into_std();
        let settled = self.change(|state| {
            for (sentinel, words) in inquiry.answers() {
                state.roll.heard(sentinel, words);
            }
            state.roll.forget_unannounced(inquiry.answers());
            let settled = state.knowledge.settle(verdict, now);
            let answers = inquiry.answers().iter();
            state.hear_of_replicas(answers.map(|(_, words)| words));
            settled
        });
        self.inquiries.fetch_add(1, Relaxed);
        settled.map_err(io::Error::other)
    }

    fn trusted(&self) -> Option<Address> {
        self.state().knowledge.trusted().cloned()
    }

    /// Changes what is known, and tells of another primary and of other sentinels.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, has_other_sentinels) = {
            let mut state = self.state();
            let before = state.roll.all();
            let result = change(&mut state);
            let primary = state.knowledge.primary();
            // Under the lock, so that two changes are told in their order. A receiver is woken and runs no code here.
            self.present.send_if_modified(|present| {
                let is_other = present.as_ref() != primary;
                if is_other {
                    *present = primary.cloned();
                }
                is_other
            });
            (result, state.roll.all() != before)
        };
        if has_other_sentinels {
            self.roll_changed.notify_one();
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder can leave the data half-changed, so a poisoned lock can still be used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
