//! Leases that may have been forgotten.

use std::{collections::HashMap, panic::Location, time::Duration};

use tokio::time::Instant;

use super::PoolActor;
use crate::{log::log_line, rounded::Rounded};

/// The leases that are out, if the application is to be warned of leases that are held for too long.
#[derive(Default)]
pub(super) struct LeakWatch {
    leases: HashMap<u64, Taken>,
    /// None is due earlier.
    soonest: Option<Instant>,
}

struct Taken {
    at: &'static Location<'static>,
    since: Instant,
    /// When it has been held for too long.
    due: Instant,
}

impl LeakWatch {
    /// It is given back.
    pub(super) fn returned(&mut self, id: u64) {
        self.leases.remove(&id);
    }

    /// The leases that are out are held to another limit.
    pub(super) fn change(&mut self, limit: Option<Duration>) {
        match limit {
            Some(limit) => {
                for taken in self.leases.values_mut() {
                    taken.due = taken.since + limit;
                }
            }
            None => self.leases.clear(),
        }
        self.soonest = self.leases.values().map(|taken| taken.due).min();
    }

    /// When the first may be due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.soonest.filter(|_| !self.leases.is_empty())
    }
}

impl PoolActor {
    /// Looks later whether a lease has been forgotten that was taken `at` a place, if that is asked for.
    pub(super) fn watch_lease(
        &mut self,
        id: u64,
        at: Option<&'static Location<'static>>,
        now: Instant,
    ) {
        if let (Some(limit), Some(at)) = (self.state.settings.load().leak_warning, at) {
            let (since, due) = (now, now + limit);
            self.leak_watch.leases.insert(id, Taken { at, since, due });
            // The first to be taken is the first to be due.
            self.leak_watch.soonest.get_or_insert(due);
        }
    }

    pub(super) fn warn_of_overdue(&mut self, now: Instant) {
        let watch = &mut self.leak_watch;
        if watch.soonest.is_none_or(|soonest| soonest > now) {
            return;
        }
        let settings = self.state.settings.load();
        let limit = settings.leak_warning.unwrap_or_default();
        watch.leases.retain(|_, taken| {
            let is_overdue = taken.due <= now;
            if is_overdue {
                let (database, taken_at) = (settings.name.clone(), taken.at);
                log_line!(
                    self.registry.log,
                    WARN,
                    %database,
                    %taken_at,
                    "a lease has been held for more than {}; is it still needed?",
                    Rounded(limit)
                );
            }
            !is_overdue
        });
        watch.soonest = watch.leases.values().map(|taken| taken.due).min();
    }
}
