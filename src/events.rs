//! Health as a stream: a new subscriber first gets the current state of every database, then
//! every change, once and in order.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use futures_core::Stream;

/// The state of one database as its users should see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// No attempt to reach the server has ended yet.
    Starting,
    /// The server answers.
    Healthy,
    /// The server is there, and not everything works.
    Degraded {
        /// What does not work.
        reason: Reason,
    },
    /// The circuit is open: commands fail at once.
    Down {
        /// What opened the circuit.
        reason: Reason,
        /// When the next probe is due.
        retry_after: Duration,
    },
    /// The pool of this database crashed repeatedly and was given up.
    Failed,
    /// The supervisor has been shut down.
    Stopped,
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Healthy => f.write_str("healthy"),
            Self::Degraded { reason } => write!(f, "degraded ({reason})"),
            Self::Down { reason, .. } => write!(f, "down ({reason})"),
            Self::Failed => f.write_str("failed"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// What is wrong with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No connection can be opened: refused, no route, the name does not resolve.
    Unreachable,
    /// It accepts connections and does not answer in time.
    Unresponsive,
    /// Its connections break.
    ConnectionLost,
    /// It is loading its dataset into memory (`LOADING`).
    Loading,
    /// It refuses the credentials or the client (`WRONGPASS`, `NOAUTH`, `NOPERM`, `DENIED`).
    Rejected,
    /// It has as many clients as it accepts.
    ServerFull,
    /// What answers does not speak the Redis protocol.
    NotRedis,
    /// It runs a script or a function that has blocked it for long (`BUSY`).
    Busy,
    /// It was down and answers again; a few commands are let through to see whether it lasts.
    Recovering,
    /// It is a replica that has lost its primary (`MASTERDOWN`), or a cluster that is down.
    PrimaryDown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the server cannot be reached",
            Self::Unresponsive => "the server does not answer in time",
            Self::ConnectionLost => "its connections break",
            Self::Loading => "the server is loading its dataset",
            Self::Rejected => "the server rejects this client",
            Self::ServerFull => "the server has as many clients as it accepts",
            Self::NotRedis => "what answers does not speak the Redis protocol",
            Self::Busy => "the server is busy with a script",
            Self::Recovering => "the server answers again and is on trial",
            Self::PrimaryDown => "the server has lost its primary",
        })
    }
}

/// The circuit breaker's state of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Commands pass.
    Closed,
    /// Commands fail at once; probes decide when that ends.
    Open,
    /// A probe succeeded; a few commands at a time are let through.
    HalfOpen,
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// One change of one database's health, or, for a new subscriber, its current state.
///
/// As an actix message it has no reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthEvent {
    /// Name of the database.
    pub database: Arc<str>,
    /// The state from now on.
    pub state: HealthState,
    /// State of the circuit breaker from now on.
    pub circuit: CircuitState,
    /// What happened, in a sentence without secrets, where something did.
    pub cause: Option<Arc<str>>,
    /// When it was noticed.
    pub at: SystemTime,
    /// Number of this change, counted over all databases of the supervisor from 1.
    pub sequence: u64,
    /// How many older events this subscriber has missed right before this one, because it was
    /// slow. The last event of every database is never among them.
    pub missed: u64,
}

impl actix::Message for HealthEvent {
    type Result = ();
}

impl fmt::Display for HealthEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, circuit {}",
            self.database, self.state, self.circuit
        )?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

/// The health of all databases as a stream: first their current states, then every change.
///
/// It ends when the supervisor has stopped. A subscriber that does not keep up slows nothing
/// down: of the events that it has not taken in time, only the last one of each database is kept,
/// and [`HealthEvent::missed`] says how many were left out. Dropping it ends the subscription;
/// it keeps the supervisor from nothing. Waiting for an event can be cancelled at any point
/// without losing one.
#[derive(Debug)]
pub struct HealthEvents {
    queue: Arc<Mutex<Queue>>,
}

impl HealthEvents {
    /// The next event, or `None` once the supervisor has stopped and all were taken.
    pub async fn next(&mut self) -> Option<HealthEvent> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<HealthEvent>> {
        let mut queue = lock(&self.queue);
        match queue.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.closed => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for HealthEvents {
    type Item = HealthEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<HealthEvent>> {
        self.poll_event(cx)
    }
}

/// Where events are published and subscribed to. It outlives a restart of the health actor, so
/// that subscribers do not notice one.
///
/// Its lock is one of the control plane: no command ever takes it.
#[derive(Debug, Default)]
pub(crate) struct EventHub(Mutex<Hub>);

#[derive(Debug, Default)]
struct Hub {
    latest: BTreeMap<Arc<str>, HealthEvent>,
    subscribers: Vec<Weak<Mutex<Queue>>>,
    sequence: u64,
    closed: bool,
}

/// A change to publish; the hub adds time and number.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) database: Arc<str>,
    pub(crate) state: HealthState,
    pub(crate) circuit: CircuitState,
    pub(crate) cause: Option<Arc<str>>,
}

impl EventHub {
    /// Tells every subscriber of a change. What is no change is no event.
    pub(crate) fn publish(&self, change: Change) {
        let mut hub = lock(&self.0);
        if let Some(latest) = hub.latest.get(&change.database)
            && same_state(&latest.state, &change.state)
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
        let queue = Arc::new(Mutex::new(Queue {
            events: hub.latest.values().cloned().collect(),
            closed: hub.closed,
            waker: None,
        }));
        hub.subscribers.push(Arc::downgrade(&queue));
        HealthEvents { queue }
    }

    /// The last event of one database: its state and its circuit's.
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
            let mut queue = lock(&queue);
            queue.closed = true;
            queue.wake();
        }
    }
}

/// Events a subscriber has not taken yet.
#[derive(Debug)]
struct Queue {
    events: VecDeque<HealthEvent>,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    const CAPACITY: usize = 256;

    fn push(&mut self, event: HealthEvent) {
        self.events.push_back(event);
        if self.events.len() > Self::CAPACITY {
            self.condense();
        }
        self.wake();
    }

    /// Keeps the last event of each database and tells, on the first one kept, how many went.
    fn condense(&mut self) {
        let before: u64 = self.events.iter().map(|event| event.missed + 1).sum();
        let mut seen = HashSet::new();
        let mut kept: VecDeque<_> = VecDeque::new();
        for mut event in self.events.drain(..).rev() {
            if seen.insert(event.database.clone()) {
                event.missed = 0;
                kept.push_front(event);
            }
        }
        let gone = before - kept.len() as u64;
        if let Some(first) = kept.front_mut() {
            first.missed = gone;
        }
        self.events = kept;
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A later `retry_after` alone is no change worth an event.
fn same_state(left: &HealthState, right: &HealthState) -> bool {
    match (left, right) {
        (HealthState::Down { reason: left, .. }, HealthState::Down { reason: right, .. }) => {
            left == right
        }
        _ => left == right,
    }
}

/// Nothing that holds these locks can leave its data half-changed, so a panic elsewhere while
/// one was held is no reason to give up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
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
