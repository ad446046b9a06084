//! The hub that publishes health events to subscribers.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Failover, Handoff, HealthEvent, HealthEvents,
    feed::{Change, Feed, Told},
    history::History,
};

/// Publishes events to subscribers. It outlives a restart of the health actor, so that subscribers do
/// not notice it.
///
/// Subscribers fetch the events. So an event costs the same with any number of subscribers that do not read.
#[derive(Debug, Default)]
pub(crate) struct EventHub(Arc<Feed>);

impl EventHub {
    /// Tells the subscribers of a change, and returns the event. A repetition of the last state is dropped.
    pub(crate) fn publish(&self, change: Change) -> Option<HealthEvent> {
        self.0.add(change)
    }

    /// Tells the subscribers which settings of a database have changed, and returns the event.
    pub(crate) fn publish_changed(
        &self,
        database: &Arc<str>,
        changed: &[&'static str],
        now: Instant,
    ) -> Option<HealthEvent> {
        let told = Told {
            changed: changed.into(),
            ..Told::default()
        };
        self.0.add_told(database, told, now)
    }

    /// Tells the subscribers of a failover, and returns the event.
    pub(crate) fn publish_failover(
        &self,
        database: &Arc<str>,
        failover: Failover,
        now: Instant,
    ) -> Option<HealthEvent> {
        let told = Told {
            failover: Some(failover),
            ..Told::default()
        };
        self.0.add_told(database, told, now)
    }

    /// Tells the subscribers of a move that the server has announced, and returns the event.
    pub(crate) fn publish_handoff(
        &self,
        database: &Arc<str>,
        handoff: Handoff,
        now: Instant,
    ) -> Option<HealthEvent> {
        let told = Told {
            handoff: Some(handoff),
            ..Told::default()
        };
        self.0.add_told(database, told, now)
    }

    /// A stream of the current states and all changes after them.
    pub(crate) fn subscribe(&self) -> HealthEvents {
        HealthEvents::new(self.0.clone())
    }

    /// The present state of one database, and what was before.
    pub(crate) fn history(&self, database: &str, now: Instant) -> History {
        self.0.history(database, now)
    }

    /// The last event of one database.
    #[cfg(test)]
    pub(crate) fn latest(&self, database: &str) -> Option<HealthEvent> {
        self.0.latest(database)
    }

    /// Ends every stream once its events are taken.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        task::{Context, Poll, Wake, Waker},
        time::Duration,
    };

    use super::*;
    use crate::events::{CircuitState, HealthState, Reason, TimeInState, feed::CAPACITY};

    fn change(database: &str, state: HealthState) -> Change {
        Change {
            database: database.into(),
            state,
            circuit: CircuitState::Closed,
            cause: None,
            recovery: None,
            now: Instant::now(),
        }
    }

    fn flip(database: &str, number: u64) -> Change {
        let state = match number % 2 {
            0 => HealthState::Starting,
            _ => HealthState::Healthy,
        };
        change(database, state)
    }

    fn taken(events: &mut HealthEvents) -> Vec<HealthEvent> {
        taken_with(events, Waker::noop())
    }

    fn taken_with(events: &mut HealthEvents, waker: &Waker) -> Vec<HealthEvent> {
        let mut cx = Context::from_waker(waker);
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
        for number in 0..flips {
            hub.publish(flip("busy", number));
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
    #[test]
    fn a_subscriber_within_the_bound_misses_nothing() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        for round in 0..3 {
            let first = round * CAPACITY as u64;
            for number in first..first + CAPACITY as u64 {
                hub.publish(flip("busy", number));
            }
            let seen: Vec<_> = taken(&mut events);
            assert!(seen.iter().all(|event| event.missed == 0));
            let sequences = seen.iter().map(|event| event.sequence);
            assert!(sequences.eq(first + 1..=first + CAPACITY as u64));
        }
    }

    #[test]
    fn a_change_of_settings_is_told_with_the_present_state() {
        let hub = EventHub::default();
        hub.publish(change("a", HealthState::Healthy));
        let mut events = hub.subscribe();
        hub.publish_changed(&"a".into(), &["password"], Instant::now());
        let seen = taken(&mut events);
        let told: Vec<_> = seen
            .iter()
            .map(|event| (&event.state, &*event.changed))
            .collect();
        let healthy = &HealthState::Healthy;
        assert_eq!(told, [(healthy, &[][..]), (healthy, &["password"][..])]);
        assert!(seen[1].to_string().ends_with("; changed password"));
    }

    #[test]
    fn a_removed_database_has_a_last_event_and_is_not_told_to_new_subscribers() {
        let hub = EventHub::default();
        hub.publish(change("a", HealthState::Healthy));
        let mut slow = hub.subscribe();
        for number in 0..2 * CAPACITY {
            hub.publish(change(&number.to_string(), HealthState::Removed));
            hub.publish(change("a", HealthState::Starting));
            hub.publish(change("a", HealthState::Healthy));
        }
        let new: Vec<_> = taken(&mut hub.subscribe());
        assert_eq!(new.len(), 1);
        assert_eq!(&*new[0].database, "a");
        let last = (2 * CAPACITY - 1).to_string();
        let seen = taken(&mut slow);
        assert!(seen.iter().any(|event| *event.database == *last));
        assert_eq!(seen.len(), 1 + CAPACITY + 1, "not all are kept");
        hub.publish(change(&last, HealthState::Starting));
        assert_eq!(taken(&mut hub.subscribe()).len(), 2, "it is there again");
    }

    #[test]
    fn the_time_in_each_state_and_the_trips_of_the_circuit_are_counted() {
        let hub = EventHub::default();
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let publish = |state, circuit, secs| {
            hub.publish(Change {
                state,
                circuit,
                now: at(secs),
                ..change("a", HealthState::Starting)
            });
        };
        let down = HealthState::Down {
            reason: Reason::Unreachable,
            retry_after: Duration::ZERO,
        };
        publish(HealthState::Starting, CircuitState::Closed, 0);
        publish(HealthState::Healthy, CircuitState::Closed, 1);
        publish(down.clone(), CircuitState::Open, 3);
        let reason = Reason::Recovering;
        publish(HealthState::Degraded { reason }, CircuitState::HalfOpen, 6);
        publish(down, CircuitState::Open, 7);
        hub.publish_changed(&"a".into(), &["password"], at(8));
        // Other settings are no other state.
        assert_eq!(hub.history("a", at(9)).present_for, Duration::from_secs(2));
        publish(HealthState::Healthy, CircuitState::Closed, 10);
        let history = hub.history("a", at(20));
        assert_eq!(history.trips, 2);
        let seconds = Duration::from_secs;
        let expected = TimeInState {
            starting: seconds(1),
            healthy: seconds(2 + 10),
            degraded: seconds(1),
            down: seconds(3 + 3),
            ..TimeInState::default()
        };
        assert_eq!(history.time_in, expected);
        assert_eq!(history.time_in.total(), seconds(20));
        publish(HealthState::Removed, CircuitState::Closed, 21);
        assert_eq!(hub.history("a", at(90)).time_in.total(), seconds(21));
        publish(HealthState::Starting, CircuitState::Closed, 100);
        let again = hub.history("a", at(101));
        assert_eq!((again.trips, again.time_in.total()), (0, seconds(1)));
    }

    #[derive(Default)]
    struct CountedWakes(AtomicUsize);

    impl Wake for CountedWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn row_78_idle_subscribers_are_woken_once_and_events_are_kept_once() {
        const DATABASES: usize = 1_000;
        let hub = EventHub::default();
        let wakes = Arc::new(CountedWakes::default());
        let waker = Waker::from(wakes.clone());
        let mut idle: Vec<_> = (0..8).map(|_| hub.subscribe()).collect();
        for events in &mut idle {
            assert!(taken_with(events, &waker).is_empty());
        }
        for number in 0..2 {
            for database in 0..DATABASES {
                hub.publish(flip(&database.to_string(), number));
            }
        }
        assert_eq!(wakes.0.load(Relaxed), idle.len());
        assert_eq!(hub.0.lengths(), (CAPACITY, 0), "no event costs them more");
        for mut events in idle {
            assert!(events.holds_nothing());
            let seen = taken(&mut events);
            assert_eq!(seen.len(), DATABASES, "the present state of each");
            assert_eq!(seen[0].missed, DATABASES as u64);
        }
    }

    #[test]
    fn a_subscriber_that_has_gone_is_not_woken() {
        let hub = EventHub::default();
        let wakes = Arc::new(CountedWakes::default());
        let mut gone = hub.subscribe();
        assert!(taken_with(&mut gone, &wakes.clone().into()).is_empty());
        assert_eq!(hub.0.lengths(), (0, 1));
        drop(gone);
        assert_eq!(hub.0.lengths(), (0, 0));
        hub.publish(change("a", HealthState::Healthy));
        assert_eq!(wakes.0.load(Relaxed), 0);
    }

    /// Code of the application that runs when a subscriber is woken may use the hub.
    struct Asks(EventHub);

    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            assert!(self.0.latest("a").is_some());
            drop(self.0.subscribe());
        }
    }

    #[test]
    fn a_woken_subscriber_may_ask_the_hub() {
        let hub = EventHub::default();
        let waker = Waker::from(Arc::new(Asks(EventHub(hub.0.clone()))));
        let mut events = hub.subscribe();
        assert!(taken_with(&mut events, &waker).is_empty());
        hub.publish(change("a", HealthState::Healthy));
        assert_eq!(taken_with(&mut events, &waker).len(), 1);
        hub.close();
    }
}
