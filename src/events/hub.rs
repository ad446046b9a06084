//! The hub that publishes health events to subscribers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, Weak},
    time::SystemTime,
};

use super::{CircuitState, HealthEvent, HealthEvents, HealthState, lock, stream::Queue};

/// Publishes events to subscribers. It outlives a restart of the health actor, so that subscribers do
/// not notice it.
///
/// Its lock belongs to the control plane: no command ever takes it.
#[derive(Debug, Default)]
pub(crate) struct EventHub(Mutex<Hub>);

#[derive(Debug, Default)]
struct Hub {
    latest: BTreeMap<Arc<str>, HealthEvent>,
    subscribers: Vec<Weak<Mutex<Queue>>>,
    sequence: u64,
    closed: bool,
}

/// A change to publish. The hub adds time and sequence number.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) database: Arc<str>,
    pub(crate) state: HealthState,
    pub(crate) circuit: CircuitState,
    pub(crate) cause: Option<Arc<str>>,
}

impl EventHub {
    /// Tells every subscriber of a change. A repetition of the last state is dropped.
    pub(crate) fn publish(&self, change: Change) {
        let mut hub = lock(&self.0);
        if hub.closed {
            return;
        }
        if let Some(latest) = hub.latest.get(&change.database)
            && latest.state.is_like(&change.state)
            && latest.circuit == change.circuit
        {
            return;
        }
        hub.sequence += 1;
        let event = HealthEvent {
            database: change.database,
            state: change.state,
            circuit: change.circuit,
            cause: change.cause,
            at: SystemTime::now(),
            sequence: hub.sequence,
            missed: 0,
        };
        tracing::info!(
            database = %event.database,
            state = %event.state,
            circuit = %event.circuit,
            cause = event.cause.as_deref().unwrap_or_default(),
            "health changed"
        );
        hub.latest.insert(event.database.clone(), event.clone());
        hub.subscribers.retain(|subscriber| {
            let Some(queue) = subscriber.upgrade() else {
                return false;
            };
            lock(&queue).push(event.clone());
            true
        });
    }

    /// A stream of the current states and all changes after them.
    pub(crate) fn subscribe(&self) -> HealthEvents {
        let mut hub = lock(&self.0);
        let states = hub.latest.values().cloned().collect();
        let queue = Arc::new(Mutex::new(Queue::new(states, hub.closed)));
        hub.subscribers
            .retain(|subscriber| subscriber.strong_count() > 0);
        hub.subscribers.push(Arc::downgrade(&queue));
        HealthEvents::new(queue)
    }

    /// The last event of one database.
    pub(crate) fn latest(&self, database: &str) -> Option<HealthEvent> {
        lock(&self.0).latest.get(database).cloned()
    }

    /// Ends every stream once its events are taken.
    pub(crate) fn close(&self) {
        let mut hub = lock(&self.0);
        hub.closed = true;
        for queue in hub
            .subscribers
            .drain(..)
            .filter_map(|queue| queue.upgrade())
        {
            lock(&queue).close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn change(database: &str, state: HealthState) -> Change {
        Change {
            database: database.into(),
            state,
            circuit: CircuitState::Closed,
            cause: None,
        }
    }

    fn taken(events: &mut HealthEvents) -> Vec<HealthEvent> {
        let mut cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match events.poll_event(&mut cx) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
        .collect()
    }

    #[test]
    fn a_subscriber_gets_current_states_then_changes_once_and_in_order() {
        let hub = EventHub::default();
        hub.publish(change("a", HealthState::Starting));
        hub.publish(change("a", HealthState::Healthy));
        let mut events = hub.subscribe();
        hub.publish(change("a", HealthState::Healthy));
        hub.publish(change("b", HealthState::Starting));
        let seen: Vec<_> = taken(&mut events)
            .into_iter()
            .map(|event| (event.database.to_string(), event.state, event.sequence))
            .collect();
        assert_eq!(
            seen,
            [
                ("a".into(), HealthState::Healthy, 2),
                ("b".into(), HealthState::Starting, 3),
            ]
        );
    }

    #[test]
    fn a_slow_subscriber_keeps_the_last_states_and_learns_what_it_missed() {
        let hub = EventHub::default();
        hub.publish(change("quiet", HealthState::Failed));
        let mut events = hub.subscribe();
        let flips = 1_000;
        for flip in 0..flips {
            hub.publish(change(
                "busy",
                match flip % 2 {
                    0 => HealthState::Starting,
                    _ => HealthState::Healthy,
                },
            ));
        }
        let seen = taken(&mut events);
        let missed: u64 = seen.iter().map(|event| event.missed).sum();
        assert_eq!(missed + seen.len() as u64, flips + 1);
        assert!(seen.iter().any(|event| &*event.database == "quiet"));
        assert_eq!(seen.last().map(|event| event.sequence), Some(flips + 1));
    }

    #[test]
    fn a_closed_hub_ends_its_streams() {
        let hub = EventHub::default();
        hub.publish(change("a", HealthState::Healthy));
        let mut events = hub.subscribe();
        hub.close();
        assert_eq!(taken(&mut events).len(), 1);
        assert!(
            taken(&mut hub.subscribe()).len() == 1,
            "late subscribers end too"
        );
    }
}
