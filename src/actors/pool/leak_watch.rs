//! Leases that may have been forgotten.

use std::{collections::HashMap, panic::Location};

use actix::{AsyncContext, Context};
use tokio::time::Instant;

use super::PoolActor;

/// The leases that are out, if anybody is to be told of those that are held for too long. One timer
/// serves them all.
#[derive(Default)]
pub(super) struct LeakWatch {
    leases: HashMap<u64, Taken>,
    is_armed: bool,
}

struct Taken {
    at: &'static Location<'static>,
    /// When it has been held for too long.
    due: Instant,
}

impl LeakWatch {
    /// It is given back.
    pub(super) fn returned(&mut self, id: u64) {
        self.leases.remove(&id);
    }
}

impl PoolActor {
    /// Looks later whether a lease has been forgotten that was taken `at` a place, if that is asked for.
    pub(super) fn watch_lease(
        &mut self,
        id: u64,
        at: Option<&'static Location<'static>>,
        ctx: &mut Context<Self>,
    ) {
        if let (Some(limit), Some(at)) = (self.dispatcher.settings.leak_warning, at) {
            let due = Instant::now() + limit;
            self.leak_watch.leases.insert(id, Taken { at, due });
            self.arm_watch(ctx);
        }
    }

    /// Who was there first is due first, so a timer that runs is soon enough for those who come later.
    fn arm_watch(&mut self, ctx: &mut Context<Self>) {
        if self.leak_watch.is_armed {
            return;
        }
        if let Some(first) = self.leak_watch.leases.values().map(|it| it.due).min() {
            self.leak_watch.is_armed = true;
            let pause = first.saturating_duration_since(Instant::now());
            ctx.run_later(pause, Self::warn_of_overdue);
        }
    }

    fn warn_of_overdue(&mut self, ctx: &mut Context<Self>) {
        self.leak_watch.is_armed = false;
        let now = Instant::now();
        let settings = &self.dispatcher.settings;
        let limit = settings.leak_warning.unwrap_or_default();
        self.leak_watch.leases.retain(|_, taken| {
            let is_overdue = taken.due <= now;
            if is_overdue {
                tracing::warn!(
                    database = %settings.name,
                    taken_at = %taken.at,
                    "a lease has been held for more than {limit:?}; is it still needed?"
                );
            }
            !is_overdue
        });
        self.arm_watch(ctx);
    }
}
