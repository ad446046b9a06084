//! The store in this process that stands in for a server during an outage.
//!
//! A healthy database uses none, and its calls do not come here. One lock makes a command and the record of its
//! changes one step, and orders both against the beginning and the end of a recovery.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use redis::Value;

use super::SeenValues;
use crate::{
    config::{DatabaseSettings, Fallback, OnRecovery, Protocol},
    events::Recovery,
    memory::{Held, LocalClient},
    net::codec::{Decoded, Decoder, Limits},
    policy::fallback::{Bounds, Journal, Keeps, LocalReply, Lot, LotBounds, Replayed, Served},
    stats::FallbackStats,
};

/// The local store of one database, if its settings ask for one.
pub(crate) struct LocalStore {
    /// Kept beside, so that the refused calls of a database without one take no lock.
    is_wanted: AtomicBool,
    outage: Mutex<Outage>,
    /// Kept beside, so that reading it takes no lock.
    figures: ArcSwap<FallbackStats>,
}

struct Outage {
    /// Those of the store that serves, or else of the next one.
    terms: Option<Terms>,
    /// Other ones that hold from the next outage on.
    later: Option<Option<Terms>>,
    phase: Phase,
    store: Option<LocalClient>,
    journal: Journal,
    /// A lot of the journal is on its way to the server.
    has_lot: bool,
    served: u64,
    stale: u64,
    so_far: Recovery,
    /// Of the outages before.
    before: Recovery,
    evicted_before: u64,
}

/// What the settings say about the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    fallback: Fallback,
    speaks_resp3: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no outage.
    Over,
    Serving,
    /// The journal is carried out at the server.
    Recovering,
}

/// Commands to be run together, one after the other.
pub(crate) struct LocalWork<'a> {
    /// As they are sent, with the words around a transaction.
    pub(crate) bytes: Vec<u8>,
    pub(crate) commands: Vec<Vec<&'a [u8]>>,
    pub(crate) is_transaction: bool,
}

/// Why a store does not run commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRun {
    /// The outage is over, or about to be: the server will serve them.
    NotServing,
    /// They are too large.
    TooLarge,
}

/// The end of an outage.
pub(crate) struct Ended {
    pub(crate) recovery: Recovery,
    /// Other settings of the fallback hold from now on.
    pub(crate) has_changed: bool,
}

/// The next step of a recovery.
pub(crate) enum Step {
    /// Commands for the server.
    Send(Lot),
    /// All is carried out.
    Done,
    /// The outage goes on.
    Stopped,
}

/// What is carried out in one write. A server takes no command of more than about a million arguments, and each lot has
/// one attempt's time.
const LOT: LotBounds = LotBounds {
    commands: 128,
    bytes: 1 << 20,
    command_bytes: 64 << 10,
};

impl LocalStore {
    pub(super) fn of(settings: &DatabaseSettings) -> Self {
        let terms = Terms::of(settings);
        Self {
            is_wanted: AtomicBool::new(terms.is_some()),
            outage: Mutex::new(Outage {
                terms,
                later: None,
                phase: Phase::Over,
                store: None,
                journal: Terms::journal(terms),
                has_lot: false,
                served: 0,
                stale: 0,
                so_far: Recovery::default(),
                before: Recovery::default(),
                evicted_before: 0,
            }),
            figures: ArcSwap::default(),
        }
    }

    /// Takes other settings. A store that stands in goes on under those that it began with, so that nothing is
    /// lost which it has kept. Tells whether the new ones hold already.
    pub(super) fn change(&self, settings: &DatabaseSettings) -> bool {
        let mut outage = self.lock();
        outage.later = Some(Terms::of(settings));
        let is_over = outage.phase == Phase::Over;
        if is_over {
            self.take_terms(&mut outage);
        }
        is_over
    }

    fn take_terms(&self, outage: &mut Outage) {
        if let Some(terms) = outage.later.take() {
            outage.terms = terms;
            outage.journal = Terms::journal(terms);
            self.is_wanted.store(terms.is_some(), Relaxed);
        }
    }

    /// Whether it is to stand in, or does so.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }

    /// Serves from now on. An outage that goes on has its data.
    pub(crate) fn begin(&self) {
        let mut outage = self.lock();
        let Some(terms) = outage.terms else {
            return;
        };
        outage.phase = Phase::Serving;
        if outage.store.is_none() {
            let bounds = terms.fallback;
            let store = LocalClient::of_new_server(bounds.max_entries, bounds.max_bytes);
            if terms.speaks_resp3 {
                store.run(b"HELLO 3\r\n");
            }
            outage.store = Some(store);
        }
    }

    /// Whether it serves, or is about to end.
    pub(crate) fn is_standing_in(&self) -> bool {
        self.lock().phase != Phase::Over
    }

    /// Runs commands, and keeps their changes for the server. What a read does not find is taken from what was `seen`
    /// at the server.
    pub(crate) fn run(
        &self,
        work: &LocalWork<'_>,
        seen: &SeenValues,
    ) -> Result<Vec<Value>, NotRun> {
        let mut guard = self.lock();
        let outage = &mut *guard;
        let (Some(terms), Phase::Serving, Some(store)) =
            (&outage.terms, outage.phase, &outage.store)
        else {
            return Err(NotRun::NotServing);
        };
        if work.bytes.len() > terms.fallback.max_bytes / 2 {
            return Err(NotRun::TooLarge);
        }
        let now = store.now();
        let mut replies = decode(store.run(&work.bytes));
        outage.served += 1;
        for (words, reply) in work.commands.iter().zip(work.results(&mut replies)) {
            for (key, change) in Served::changes(words, result(reply), now) {
                seen.forget([&*key].into_iter());
                let expiry = store.expiry(&key);
                let is_kept = outage.journal.record(key, change, expiry, now);
                outage.so_far.discarded += u64::from(!is_kept);
            }
            let is_completed = seen.complete(words, reply);
            outage.stale += u64::from(is_completed);
        }
        outage.so_far.dropped += outage.journal.take_dropped();
        self.show(outage);
        Ok(replies)
    }

    /// Serves no more, because the journal is to be carried out at the server.
    pub(crate) fn begin_recovery(&self) {
        let mut outage = self.lock();
        if outage.phase == Phase::Serving {
            outage.phase = Phase::Recovering;
        }
    }

    /// The next commands to be carried out at the server. What has become of them is told by
    /// [`settle`](Self::settle).
    pub(crate) fn next_step(&self) -> Step {
        let mut outage = self.lock();
        let (Phase::Recovering, Some(store), false) = (outage.phase, &outage.store, outage.has_lot)
        else {
            return Step::Stopped;
        };
        let now = store.now();
        let lot = outage.journal.take(LOT, now);
        if lot.is_empty() {
            return Step::Done;
        }
        outage.has_lot = true;
        Step::Send(lot)
    }

    /// The commands of the last step have ended like this.
    pub(crate) fn settle(&self, ends: &[Replayed]) {
        let mut outage = self.lock();
        let now = outage.store.as_ref().map_or(0, LocalClient::now);
        let settled = outage.journal.settle(ends, now);
        outage.has_lot = false;
        outage.so_far.replayed += settled.done;
        outage.so_far.refused += settled.refused;
        outage.so_far.in_doubt += settled.in_doubt;
        self.show(&outage);
    }

    /// Ends with the outage, unless something is left to be carried out.
    pub(super) fn end(&self) -> Option<Ended> {
        let mut outage = self.lock();
        let is_done =
            outage.phase == Phase::Recovering && !outage.has_lot && outage.journal.len() == 0;
        let fallback = |terms: Option<Terms>| terms.map(|terms| terms.fallback);
        let has_changed = outage
            .later
            .is_some_and(|later| fallback(later) != fallback(outage.terms));
        is_done.then(|| Ended {
            recovery: self.finish(&mut outage),
            has_changed,
        })
    }

    /// Ends at once. What is left is lost.
    pub(crate) fn abandon(&self) -> Option<Recovery> {
        let mut outage = self.lock();
        if outage.phase == Phase::Over {
            return None;
        }
        Some(self.finish(&mut outage))
    }

    pub(crate) fn figures(&self) -> FallbackStats {
        **self.figures.load()
    }

    fn finish(&self, outage: &mut Outage) -> Recovery {
        outage.phase = Phase::Over;
        let given_up = outage.journal.clear();
        outage.so_far.dropped += given_up.waiting;
        outage.so_far.in_doubt += given_up.under_way;
        let store = outage.store.take();
        outage.evicted_before += store.map_or(0, |store| store.held().evicted);
        let recovery = std::mem::take(&mut outage.so_far);
        outage.before = outage.before.and(recovery);
        self.take_terms(outage);
        self.show(outage);
        recovery
    }

    /// Publishes the figures.
    fn show(&self, outage: &Outage) {
        let held = outage
            .store
            .as_ref()
            .map_or(Held::default(), |store| store.held());
        self.figures.store(
            FallbackStats {
                served: outage.served,
                stale: outage.stale,
                entries: held.keys,
                bytes: held.bytes,
                evicted: outage.evicted_before + held.evicted,
                journal_entries: outage.journal.len(),
                journal_bytes: outage.journal.bytes(),
                recovery: outage.before.and(outage.so_far),
            }
            .into(),
        );
    }

    fn lock(&self) -> MutexGuard<'_, Outage> {
        // No holder leaves it half-changed.
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terms {
    fn of(settings: &DatabaseSettings) -> Option<Self> {
        Some(Self {
            fallback: settings.fallback?,
            speaks_resp3: settings.protocol == Protocol::Resp3 && !settings.without_hello,
        })
    }

    /// The journal of the next outage; without terms it stays empty.
    fn journal(terms: Option<Self>) -> Journal {
        let fallback = terms.map_or(Fallback::memory(), |terms| terms.fallback);
        let keeps = match fallback.on_recovery {
            OnRecovery::Discard => Keeps::Removals,
            OnRecovery::Replay => Keeps::All,
        };
        let bounds = Bounds {
            entries: fallback.max_journal_entries,
            bytes: fallback.max_journal_bytes,
        };
        Journal::new(keeps, bounds)
    }
}

/// Without the data, which may be secret.
impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore")
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}

impl LocalWork<'_> {
    /// The result of each command, among the replies to all.
    fn results<'a>(&self, replies: &'a mut [Value]) -> &'a mut [Value] {
        if !self.is_transaction {
            return replies;
        }
        match replies.last_mut() {
            Some(Value::Array(results)) => results,
            // It was discarded.
            _ => &mut [],
        }
    }
}

fn result(reply: &Value) -> LocalReply {
    match reply {
        Value::ServerError(_) => LocalReply::Error,
        Value::Nil | Value::Int(0) => LocalReply::Nothing,
        _ => LocalReply::Something,
    }
}

/// The replies, however large they are: what they belong to has run.
fn decode(mut encoded: bytes::BytesMut) -> Vec<Value> {
    let mut decoder = Decoder::new(Limits {
        max_bytes: usize::MAX,
        max_elements: usize::MAX,
        ..Limits::default()
    });
    let mut replies = Vec::new();
    while let Some(decoded) = decoder
        .decode(&mut encoded)
        .expect("BUG: the embedded server breaks the protocol")
    {
        match decoded {
            Decoded::Value(reply) => replies.push(reply),
            Decoded::TooLarge(_) => unreachable!("BUG: the store serves no reply of such a depth"),
        }
    }
    replies
}

#[cfg(test)]
#[path = "local_store_tests.rs"]
mod tests;
