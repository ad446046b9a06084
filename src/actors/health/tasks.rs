//! The tasks that reach for a server on behalf of the health actor, and report to it by message.

use std::{sync::Arc, time::Duration};

use actix::Addr;
use tokio::task::JoinError;

use super::HealthActor;
use crate::{
    config::DatabaseSettings,
    messages::{EndpointChecked, Probed},
    net::{Connector, DialError, Executor, Seen, WhileLoading, check_endpoint, dial},
    registry::Registry,
};

/// Opens a connection to a database after a pause, and closes it again.
pub(super) fn probe(
    after: Duration,
    epoch: u64,
    settings: Arc<DatabaseSettings>,
    registry: Arc<Registry>,
    health: Addr<HealthActor>,
) {
    actix_rt::spawn(async move {
        tokio::time::sleep(after).await;
        let database = settings.name.clone();
        let result = run(&registry, move |connector| async move {
            dial_once(&*connector, &settings).await
        });
        let result = result.await;
        health.do_send(Probed {
            database,
            epoch,
            result,
        });
    });
}

/// Asks after a pause whether anything answers at the address in `settings`.
pub(super) fn check(
    after: Duration,
    settings: Arc<DatabaseSettings>,
    registry: Arc<Registry>,
    health: Addr<HealthActor>,
) {
    actix_rt::spawn(async move {
        tokio::time::sleep(after).await;
        let endpoint = settings.address.clone();
        let result = run(&registry, move |connector| async move {
            check_endpoint(&*connector, &settings).await
        });
        let result = result.await;
        health.do_send(EndpointChecked { endpoint, result });
    });
}

async fn dial_once(
    connector: &dyn Connector,
    settings: &DatabaseSettings,
) -> Result<Seen, DialError> {
    // Dropping what was established closes it.
    dial(connector, settings, WhileLoading::Report)
        .await
        .map(|established| established.seen)
}

/// Runs a task of a connection's kind where connections run, and survives the end of that runtime.
async fn run<F, T, R>(registry: &Registry, task: F) -> Result<R, DialError>
where
    F: FnOnce(Arc<dyn Connector>) -> T,
    T: Future<Output = Result<R, DialError>> + Send + 'static,
    R: Send + 'static,
{
    let task = registry.until_stopped(task(registry.connector.clone()));
    match registry.executor.spawn(task) {
        Ok(task) => match task.await {
            Ok(result) => result.unwrap_or(Err(DialError::Cancelled)),
            Err(error) => Err(ended(&registry.executor, &error)),
        },
        Err(error) => Err(DialError::Spawn(Arc::new(error))),
    }
}

fn ended(executor: &Executor, error: &JoinError) -> DialError {
    executor.leave_caller();
    if error.is_panic() {
        DialError::Panicked
    } else {
        DialError::Cancelled
    }
}
