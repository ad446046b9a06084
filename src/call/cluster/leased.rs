//! Exclusive connections to the nodes of keys.

use std::{panic::Location, time::Duration};

use redis::Cmd;

use super::{
    super::{CallEngine, CallOptions, Overrides},
    refusal,
    way::Way,
};
use crate::{
    backend::Backend,
    config::Address,
    error::Error,
    messages::Grant,
    policy::cluster::{Redirect, Route, is_away},
    state::clock,
};

/// The pause before another lease, while a slot is on its way.
const PAUSE: Duration = Duration::from_millis(20);

impl<B: Backend> CallEngine<B> {
    /// An exclusive connection to the node of the keys of a `WATCH`, as soon as there is one. If this is no cluster, it is
    /// one like any other.
    pub(crate) async fn acquire_for(
        self,
        watch: &Cmd,
        overrides: Overrides,
        by: &'static Location<'static>,
    ) -> Result<(Self, Grant), Error> {
        let options = self.options(overrides);
        if !options.is_in_cluster {
            let grant = self.acquire(options, Some(by)).await?;
            return Ok((self, grant));
        }
        let slot = match self.route(watch) {
            Route::Slot(slot) => slot,
            Route::Crossed(first, other) => return Err(self.crossed(watch, first, other)),
            Route::Refused(why) => return Err(self.forbidden(watch, refusal(why))),
            // It has no keys.
            Route::Any | Route::Split(_) | Route::EachPrimary(_) => {
                let grant = self.acquire(options.at_node(), Some(by)).await?;
                return Ok((self, grant));
            }
        };
        let wait = options.acquire_timeout(self.state.settings.load().acquire_timeout);
        let deadline = options.deadline(clock::now(), wait);
        let mut way = Way::until(&self, Some(slot), deadline, options);
        let mut stop = way.first().await?;
        loop {
            match stop.engine.acquire(stop.options, Some(by)).await {
                Ok(grant) => return Ok((stop.engine, grant)),
                Err(error) => stop = way.after(stop, error).await?,
            }
        }
    }
}

impl<B: Backend> CallEngine<B> {
    /// Whether a lease failed because its keys are at another node, or on their way there. Returns when another lease is
    /// worth a trial; or `false`, if this is no such error or no time is left.
    pub(crate) async fn is_sent_away(&self, error: &Error, options: &CallOptions) -> bool {
        let Some(errors) = error.server_errors().filter(|_| error.has_not_run()) else {
            return false;
        };
        let table = self.state.cluster.table.present().clone();
        let (Some(table), now) = (table, clock::now()) else {
            return false;
        };
        let (mut is_sent_away, mut has_moved) = (false, false);
        for (_, error) in errors.iter() {
            let text = error.details().unwrap_or_default();
            is_sent_away |= is_away(error.code(), text);
            if let Some(redirect) = Redirect::of(error.code(), text)
                && let Some(told) = Address::of_host(redirect.host, redirect.port)
            {
                let settings = self.state.settings.load();
                let address = settings.cluster_addresses.reached(told.clone());
                has_moved |=
                    !redirect.is_ask && self.state.cluster.moved(redirect.slot, &address, None);
                if table.at(&address).is_none() {
                    self.state.cluster.seek(&self.state.id, told);
                }
            }
        }
        if !is_sent_away {
            return false;
        }
        self.state.cluster.ask_again(&self.state.id);
        let deadline = options.end(now);
        // Otherwise the next lease would lead to the same node.
        if !has_moved {
            let until = (now + PAUSE).min(deadline);
            self.state.cluster.table.next(Some(&table), until).await;
        }
        clock::now() < deadline
    }
}
