//! The present settings of a database, which change while it is in use.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};

use crate::config::{DatabaseSettings, WhenDown};

/// Holds the present settings and their generation.
///
/// Reading takes no lock and waits for nothing, so that each call can read the settings that it
/// runs under.
pub(crate) struct SettingsCell {
    present: ArcSwap<Versioned>,
    /// What every call reads, in one word: a load of the whole would cost a GET one percent.
    call: AtomicU64,
    /// Held by writers, so that both change together.
    writing: Mutex<()>,
}

/// The settings that every call reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallSettings {
    /// In microseconds; a year of them takes 45 bits.
    pub(crate) command_timeout: Duration,
    pub(crate) allow_admin: bool,
    /// Calls wait while the database is down.
    pub(crate) is_patient: bool,
    /// What calls read is remembered for an outage.
    pub(crate) remembers: bool,
    /// Each key has a node of a cluster.
    pub(crate) is_cluster: bool,
}

struct Versioned {
    generation: u64,
    settings: Arc<DatabaseSettings>,
}

impl SettingsCell {
    /// The generation of the settings that a database starts with.
    pub(crate) const FIRST: u64 = 1;

    pub(crate) fn new(settings: Arc<DatabaseSettings>) -> Self {
        Self {
            call: AtomicU64::new(CallSettings::of(&settings).encode()),
            present: ArcSwap::from_pointee(Versioned {
                generation: Self::FIRST,
                settings,
            }),
            writing: Mutex::default(),
        }
    }

    /// The settings that every call reads.
    pub(crate) fn for_call(&self) -> CallSettings {
        CallSettings::decode(self.call.load(Relaxed))
    }

    /// The present settings, for a short time. They stay the same while the guard is held. Do not hold it
    /// across an `await`; use [`share`](Self::share) there.
    pub(crate) fn load(&self) -> Present {
        Present(self.present.load())
    }

    /// The present settings, to be kept, for instance by a connection until it ends.
    pub(crate) fn share(&self) -> Arc<DatabaseSettings> {
        self.present.load().settings.clone()
    }

    /// The number of the present settings. It grows with each change, so that an equal number means
    /// equal settings.
    pub(crate) fn generation(&self) -> u64 {
        self.present.load().generation
    }

    /// Replaces the settings, and returns their generation. If two threads do so at once, the settings with
    /// the higher generation stay.
    pub(crate) fn store(&self, settings: Arc<DatabaseSettings>) -> u64 {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.generation() + 1;
        self.call
            .store(CallSettings::of(&settings).encode(), Relaxed);
        self.present.store(Arc::new(Versioned {
            generation,
            settings,
        }));
        generation
    }
}

impl CallSettings {
    fn of(settings: &DatabaseSettings) -> Self {
        Self {
            command_timeout: settings.command_timeout,
            allow_admin: settings.allow_admin,
            is_patient: settings.when_down == WhenDown::Wait,
            remembers: settings
                .fallback
                .is_some_and(|fallback| fallback.stale.is_some()),
            is_cluster: settings.address.is_cluster(),
        }
    }

    fn encode(self) -> u64 {
        (self.command_timeout.as_micros() as u64) << 4
            | u64::from(self.is_cluster) << 3
            | u64::from(self.remembers) << 2
            | u64::from(self.is_patient) << 1
            | u64::from(self.allow_admin)
    }

    fn decode(word: u64) -> Self {
        Self {
            command_timeout: Duration::from_micros(word >> 4),
            is_cluster: word >> 3 & 1 == 1,
            remembers: word >> 2 & 1 == 1,
            is_patient: word >> 1 & 1 == 1,
            allow_admin: word & 1 == 1,
        }
    }
}

impl fmt::Debug for SettingsCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = self.present.load();
        f.debug_struct("SettingsCell")
            .field("generation", &present.generation)
            .field("settings", &present.settings)
            .finish()
    }
}

/// Settings that are being read, with their generation.
pub(crate) struct Present(Guard<Arc<Versioned>>);

impl Present {
    #[cfg(test)]
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation
    }
}

impl Deref for Present {
    type Target = DatabaseSettings;

    fn deref(&self) -> &DatabaseSettings {
        &self.0.settings
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;
    use crate::config::{Config, DatabaseConfig, MAX_WAIT, resolve};

    fn settings(max_in_flight: usize) -> Arc<DatabaseSettings> {
        let database = DatabaseConfig::new().max_in_flight(max_in_flight);
        let settings = resolve(Config::new().database("main", database));
        settings.expect("a valid configuration").databases[0].clone()
    }

    #[test]
    fn the_last_settings_stored_are_the_present_ones() {
        let cell = SettingsCell::new(settings(1));
        assert_eq!(cell.generation(), SettingsCell::FIRST);
        assert_eq!(cell.store(settings(2)), SettingsCell::FIRST + 1);
        assert_eq!(cell.generation(), SettingsCell::FIRST + 1);
        assert_eq!(cell.load().max_in_flight, 2);
        assert_eq!(cell.share().max_in_flight, 2);
    }

    #[test]
    fn a_reader_keeps_the_settings_and_the_generation_that_it_began_with() {
        let cell = SettingsCell::new(settings(1));
        let (present, kept) = (cell.load(), cell.share());
        cell.store(settings(2));
        assert_eq!((present.max_in_flight, kept.max_in_flight), (1, 1));
        assert_eq!(present.generation(), SettingsCell::FIRST);
        assert_eq!(cell.load().generation(), SettingsCell::FIRST + 1);
    }

    #[test]
    fn every_change_has_a_generation_of_its_own() {
        const THREADS: usize = 4;
        const CHANGES: usize = 250;
        let cell = SettingsCell::new(settings(1));
        let change = || {
            let next = settings(2);
            let store = |_| cell.store(next.clone());
            (0..CHANGES).map(store).collect::<Vec<_>>()
        };
        let seen: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(change)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Vec<u64>>| thread.join();
            threads.into_iter().map(join).collect()
        });
        let mut generations = HashSet::new();
        for changes in seen {
            let changes = changes.expect("no thread panics");
            assert!(changes.is_sorted(), "{changes:?}");
            generations.extend(changes);
        }
        assert_eq!(generations.len(), THREADS * CHANGES);
        assert_eq!(cell.generation(), 1 + (THREADS * CHANGES) as u64);
    }

    #[test]
    fn generations_and_settings_are_read_as_a_pair() {
        let cell = SettingsCell::new(settings(1));
        let changes: Vec<_> = (2..200).map(settings).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                for next in changes {
                    cell.store(next);
                    thread::sleep(Duration::from_micros(20));
                }
            });
            // Each change stores a maximum equal to its generation.
            while cell.generation() < 199 {
                let present = cell.load();
                assert_eq!(present.max_in_flight as u64, present.generation());
            }
        });
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = Config::single("redis://user:canary@localhost");
        let settings = resolve(config).expect("a valid configuration");
        let cell = SettingsCell::new(settings.databases[0].clone());
        let shown = format!("{cell:?}");
        assert!(
            shown.contains("generation: 1") && !shown.contains("canary"),
            "{shown}"
        );
    }

    #[test]
    fn the_settings_of_a_call_fit_into_one_word() {
        for command_timeout in [
            Duration::from_millis(1),
            Duration::from_micros(1_500),
            MAX_WAIT,
        ] {
            for bits in 0..16 {
                let settings = CallSettings {
                    command_timeout,
                    allow_admin: bits & 1 > 0,
                    is_patient: bits & 2 > 0,
                    remembers: bits & 4 > 0,
                    is_cluster: bits & 8 > 0,
                };
                assert_eq!(CallSettings::decode(settings.encode()), settings);
            }
        }
    }
}
