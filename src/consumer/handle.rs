//! A consumer that runs.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    driver::Driver,
    error::ConsumerError,
    group::Group,
    handler::{Handler, Handlers},
    statistics::ConsumerStats,
};
use crate::{
    config::MAX_WAIT, database::Database, error::Error, execution::Execution, log::log_line,
    policy::consumer::Terms, state::clock,
};

type End = Option<Result<(), ConsumerError>>;

/// A running consumer of a stream. [`Database::consumer`](crate::Database::consumer) begins one.
///
/// It reads the entries that its group gives to it, calls the handler for each, and acknowledges an entry when its
/// handler has ended well. It keeps the supervisor running, and stops when this value is dropped: handlers are then
/// cancelled at their next `await`, and what was not acknowledged stays pending. [`stop`](Self::stop) ends it in good
/// order.
///
/// # At least once
///
/// Each entry is handled at least once, and no entry is acknowledged that was not handled. An entry is handled **again**
/// if
/// - its handler failed or panicked;
/// - this process or the server died, or the network broke, between the end of the handler and the acknowledgement;
/// - this process made no progress for [`claim_idle`](crate::ConsumerBuilder::claim_idle), or could not reach the
///   server for so long, so that another consumer took the entry over while the handler ran.
///
/// So a handler must be idempotent: handling an entry twice must be as good as once. It may store the
/// [id](crate::StreamEntry::id) of the entry together with its effect, or write values instead of adding to them. A handler
/// that is cancelled by a drop or at the end of a grace may have done a part of its work.
///
/// # Failures
///
/// An entry whose handler has failed stays pending, and is taken over when it has been idle for
/// [`claim_idle`](crate::ConsumerBuilder::claim_idle), by this consumer or another one of the group; so are the entries of
/// a consumer that has died. After [`max_deliveries`](crate::ConsumerBuilder::max_deliveries) an entry goes to the
/// [dead letters](crate::ConsumerBuilder::dead_letters), in the same transaction in which it is acknowledged, so it is
/// there once. While a handler runs, or an entry waits for its turn, the claim to it is renewed. So a handler may take
/// longer than `claim_idle`. An entry that another consumer has taken over all the same, after a pause of this process for
/// instance, is left to it.
///
/// An entry that is deleted from the stream while it is pending, for instance by `XTRIM`, cannot be handled any more. It
/// counts as [trimmed](ConsumerStats::trimmed).
///
/// # Outages
///
/// The consumer waits for the end of an outage of the server, as a [patient](crate::Database::patient) handle does, for
/// as long as it lasts, also while the database is [isolated](crate::Supervisor::isolate) or given up. Handlers go on
/// meanwhile, and are acknowledged afterwards. If the server comes back without its data, the group is created again,
/// provided that the consumer was [asked to](crate::ConsumerBuilder::create_group). After an outage, entries of others
/// are not taken over for half of `claim_idle`, so that live consumers renew their claims first.
///
/// # Connections
///
/// While the stream is empty, one [leased](crate::Database#connections) connection waits for entries. All else runs on
/// the shared connections, except for a move to the dead letters, which takes a lease.
///
/// # Shutdown
///
/// [Stop](Self::stop) all consumers before [`Supervisor::shutdown`](crate::Supervisor::shutdown), which lets no further
/// command through: what is handled from then on cannot be acknowledged and is handled again, and handlers that still run
/// at its end are cancelled. A consumer that is left ends with
/// [`ConsumerError::Database`](crate::ConsumerError::Database).
///
/// It needs Redis 6.2 or later (`XAUTOCLAIM`).
#[must_use = "the consumer stops when this is dropped"]
pub struct Consumer {
    name: Arc<str>,
    stop: oneshot::Sender<Instant>,
    statistics: watch::Receiver<ConsumerStats>,
    end: watch::Receiver<End>,
    _cancels_on_drop: DropGuard,
}

impl Consumer {
    pub(super) fn start(
        database: &Database,
        name: Arc<str>,
        terms: Terms,
        group: Group,
        handler: Handler,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (publisher, statistics) = watch::channel(ConsumerStats::default());
        let (ending, end) = watch::channel(None);
        let cancelled = CancellationToken::new();
        let cancels_on_drop = cancelled.clone().drop_guard();
        let application = Handle::try_current();
        let share = database.engine.state.consumers.join();
        let driver = async move {
            let runtime = application.unwrap_or_else(|_| Handle::current());
            let handlers = Handlers::new(handler, runtime);
            Driver::new(terms, group, handlers, stopped, publisher, share)
                .run()
                .await
        };
        let registry = &database.lifeline().registry;
        let driver = registry.until_stopped(cancelled.run_until_cancelled_owned(driver));
        let shut_down = Error::ShuttingDown {
            database: database.name().into(),
            execution: Execution::NotSent,
        };
        // A task that a runtime does not run drops `ending`.
        let logs = registry.clone();
        let database = database.name().to_owned();
        let _ = registry.executor.spawn(async move {
            let ended = driver.await.unwrap_or(Some(Err(shut_down.into())));
            if let Some(Err(error)) = &ended
                && !is_shutdown(error)
            {
                let error = error.clone();
                log_line!(logs.log, ERROR, database, %error, "a consumer of a stream has ended");
            }
            ending.send_replace(ended);
        });
        Self {
            name,
            stop,
            statistics,
            end,
            _cancels_on_drop: cancels_on_drop,
        }
    }

    /// The name of the consumer in its group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its counters, as of a moment ago.
    pub fn statistics(&self) -> ConsumerStats {
        self.statistics.borrow().clone()
    }

    /// Waits until the consumer has ended by itself. That is an error in any case: see [`ConsumerError`]. The future may
    /// be dropped at any point.
    pub async fn ended(&self) -> ConsumerError {
        match Self::end(&mut self.end.clone()).await {
            Err(error) => error,
            // Only a stop ends it otherwise, and that takes the handle.
            Ok(()) => std::future::pending().await,
        }
    }

    /// Stops the consumer in good order: it reads no further entry, handlers that run go on, and what they have handled
    /// is acknowledged. Entries that wait for their turn are given back: another consumer may take them over at once.
    /// At last the consumer is deleted from its group, unless something is pending for it; without the right to run
    /// scripts, it stays.
    ///
    /// It returns when all that is done, or at the end of the grace: handlers that still run are cancelled then, and
    /// their entries stay pending. [`ConsumerStats::held`] is their number. With an idle stream it takes up to a second,
    /// until the read that waits has ended. Range of the grace: up to 1 year; more counts as a year. If the future is
    /// dropped, the consumer is dropped.
    ///
    /// # Errors
    ///
    /// [`ConsumerError`], if the consumer has ended by itself.
    pub async fn stop(self, grace: Duration) -> Result<ConsumerStats, ConsumerError> {
        let deadline = clock::now() + grace.min(MAX_WAIT);
        // It may have ended before.
        let _ = self.stop.send(deadline);
        Self::end(&mut self.end.clone()).await?;
        Ok(self.statistics.borrow().clone())
    }

    async fn end(end: &mut watch::Receiver<End>) -> Result<(), ConsumerError> {
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(Ok(())),
            Err(_) => Err(ConsumerError::Runtime),
        }
    }
}

/// Whether it has ended because all ends.
fn is_shutdown(error: &ConsumerError) -> bool {
    matches!(error, ConsumerError::Database(Error::ShuttingDown { .. }))
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.name)
            .field("statistics", &*self.statistics.borrow())
            .finish_non_exhaustive()
    }
}
