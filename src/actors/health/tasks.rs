//! The tasks that reach for a server on behalf of the health actor, and report to it by message.

use std::{sync::Arc, time::Duration};

use actix::Addr;
use redis::Value;
use tokio::task::JoinError;

use super::HealthActor;
use crate::{
    actors::question::put,
    config::DatabaseSettings,
    messages::{Asked, EndpointChecked, Probed},
    net::{DialError, Reply, WhileLoading},
    policy::outcome::{AttemptEnd, Verdict, classify},
    registry::Registry,
    state::DatabaseState,
};

/// Opens a connection to a database after a pause, and closes it again.
pub(super) fn probe(
    after: Duration,
    epoch: u64,
    database: Arc<DatabaseState>,
    registry: Arc<Registry>,
    health: Addr<HealthActor>,
) {
    actix_rt::spawn(async move {
        tokio::time::sleep(after).await;
        let id = database.id.clone();
        let (dialler, settings) = (database.dialler.clone(), database.settings.share());
        let dial = async move {
            let established = dialler.dial(&settings, WhileLoading::Report).await?;
            // Dropping what was established closes it.
            Ok(established.seen)
        };
        let result = run(&registry, dial).await;
        health.do_send(Probed {
            database: id,
            epoch,
            result,
        });
    });
}

/// Asks the present connection of a database for a reply.
pub(super) fn ask(epoch: u64, database: Arc<DatabaseState>, health: Addr<HealthActor>) {
    actix_rt::spawn(async move {
        let has_answered = answers(&database).await;
        health.do_send(Asked {
            database: database.id.clone(),
            epoch,
            has_answered,
        });
    });
}

/// Whether a shared connection answers, within the time of a healthy reply. Without one there is no answer.
async fn answers(database: &DatabaseState) -> bool {
    let limit = database.settings.load().attempt_timeout;
    let answer = put(database, &database.dialler.question(), limit).await;
    answer.is_some_and(|reply| !fails(&reply))
}

/// Whether this is the reply of a server that fails all callers.
pub(super) fn fails(reply: &Reply) -> bool {
    match reply {
        Reply::One(Value::ServerError(error)) => {
            let outcome = classify(AttemptEnd::ErrorReply(error.into()));
            matches!(outcome.verdict, Verdict::Failing(_))
        }
        _ => false,
    }
}

/// Asks after a pause whether anything answers at the address of these settings of a database. The present ones may
/// lead elsewhere by then, and others wait for the answer from here.
pub(super) fn check(
    after: Duration,
    database: &DatabaseState,
    settings: Arc<DatabaseSettings>,
    registry: Arc<Registry>,
    health: Addr<HealthActor>,
) {
    let dialler = database.dialler.clone();
    actix_rt::spawn(async move {
        tokio::time::sleep(after).await;
        let endpoint = settings.address.clone();
        let check = async move { dialler.check_endpoint(&settings).await };
        let result = run(&registry, check).await;
        health.do_send(EndpointChecked { endpoint, result });
    });
}

/// Runs a task on the runtime of the connections. The end of that runtime is an error of the task.
pub(super) async fn run<R: Send + 'static>(
    registry: &Registry,
    task: impl Future<Output = Result<R, DialError>> + Send + 'static,
) -> Result<R, DialError> {
    let task = registry.until_stopped(task);
    match registry.executor.spawn(task) {
        Ok(task) => match task.await {
            Ok(result) => result.unwrap_or(Err(DialError::Cancelled)),
            Err(error) => Err(ended(registry, &error)),
        },
        Err(error) => Err(DialError::Spawn(Arc::new(error))),
    }
}

fn ended(registry: &Registry, error: &JoinError) -> DialError {
    registry.leave_caller();
    if error.is_panic() {
        DialError::Panicked
    } else {
        DialError::Cancelled
    }
}
