//! Waiting until every database is healthy.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use crate::{
    error::Error,
    events::{HealthEvents, HealthState},
    registry::Registry,
};

/// Returns when all databases have been healthy at the same moment, or says which were not when
/// the time was over.
pub(super) async fn until_ready(registry: Arc<Registry>, within: Duration) -> Result<(), Error> {
    let start = Instant::now();
    let names = registry.names().into_iter();
    let mut states: BTreeMap<_, _> = names.map(|it| (it, HealthState::Starting)).collect();
    let mut events = registry.hub.subscribe();
    if timeout(within, follow(&mut events, &mut states)).await == Ok(true) {
        return Ok(());
    }
    let pending = states
        .iter()
        .filter(|(_, state)| **state != HealthState::Healthy);
    Err(Error::NotReady {
        waited: start.elapsed(),
        pending: pending
            .map(|(name, state)| format!("{name} is {state}").into())
            .collect(),
    })
}

/// Follows the events until all states are healthy, or there are no more events.
async fn follow(events: &mut HealthEvents, states: &mut BTreeMap<Arc<str>, HealthState>) -> bool {
    while states.values().any(|state| *state != HealthState::Healthy) {
        match events.next().await {
            Some(event) => states.insert(event.database, event.state),
            None => return false,
        };
    }
    true
}
