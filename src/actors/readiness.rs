//! Waiting until every database is healthy.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    error::Error,
    events::{HealthEvent, HealthEvents, HealthState},
    registry::Registry,
};

/// The latest event of each database; `None` before its first.
type Latest = BTreeMap<Arc<str>, Option<HealthEvent>>;

/// Waits until all databases are healthy at the same moment. The error names the databases that were not
/// when the time was over.
pub(super) async fn until_ready(registry: Arc<Registry>, within: Duration) -> Result<(), Error> {
    let names = registry.names().into_iter();
    let mut latest: Latest = names.map(|name| (name, None)).collect();
    let mut events = registry.hub.subscribe();
    if timeout(within, follow(&registry, &mut events, &mut latest)).await == Ok(true) {
        return Ok(());
    }
    let pending = latest.iter().filter(|(_, event)| !is_healthy(event));
    Err(Error::NotReady {
        waited: within,
        pending: pending.map(|(name, event)| describe(name, event)).collect(),
    })
}

/// Follows the events until all are healthy, or there are no more events.
async fn follow(registry: &Registry, events: &mut HealthEvents, latest: &mut Latest) -> bool {
    let is_part = |name: &str| {
        let state = registry.find(name);
        state.is_some_and(|state| state.part_of.is_some())
    };
    while !latest.values().all(is_healthy) {
        match events.next().await {
            // The whole tells what matters.
            Some(event) if is_part(&event.database) => continue,
            Some(event) if event.state == HealthState::Removed => latest.remove(&event.database),
            Some(event) => latest.insert(event.database.clone(), Some(event)),
            None => return false,
        };
    }
    true
}

fn is_healthy(event: &Option<HealthEvent>) -> bool {
    let state = event.as_ref().map(|event| &event.state);
    state == Some(&HealthState::Healthy)
}

fn describe(name: &str, event: &Option<HealthEvent>) -> Arc<str> {
    match event {
        None => format!("{name} is {}", HealthState::Starting).into(),
        Some(event) => match &event.cause {
            None => format!("{name} is {}", event.state).into(),
            Some(cause) => format!("{name} is {}: {cause}", event.state).into(),
        },
    }
}
