//! Observations during a run: connections, statistics, events.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use redis_steward::{HealthEvent, HealthEvents, Supervisor, SupervisorStats};

use crate::{
    common::proc,
    invariants::{Check, Invariant, check, free_of_secrets},
    site::Site,
    stage::Stage,
};

/// The shared connection, one that drains, a probe, one that is being opened, that of subscribers, and one of a publisher.
const SOCKETS: usize = 6;
/// A server lists closed clients until it has read from their sockets. Beyond this time an excess is a
/// violation.
const LINGER: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(100);

/// Counts the connections of one database until the end of calls. Returns the maximum of sockets and of
/// listed clients.
pub(crate) fn connections(site: &Site, supervisor: &Supervisor, stage: &Stage) -> (usize, usize) {
    let (mut most_sockets, mut most_clients) = (0, 0);
    let mut last_few = Instant::now();
    let mut earlier = supervisor.statistics();
    while !stage.calls_have_ended() {
        let stats = supervisor.statistics();
        stage.record(adds_up(site.name, &earlier, &stats), String::new);
        earlier = stats.clone();
        stage.record(free_of_secrets(&format!("{stats:?}")), String::new);
        let pool = &stats.databases[site.name].pool;
        let is_within = check(Invariant::Connections, pool.open <= pool.max, || {
            format!("{}: {pool:?}", site.name)
        });
        stage.record(is_within, String::new);

        let sockets = proc::sockets_to(site.port());
        most_sockets = most_sockets.max(sockets);
        let are_few = check(Invariant::Connections, sockets <= SOCKETS, || {
            format!("{} has {sockets} sockets: {pool:?}", site.name)
        });
        stage.record(are_few, String::new);

        // A server that is down, frozen or full does not list its clients.
        let clients = clients(site);
        if clients.is_none_or(|clients| clients <= SOCKETS) {
            last_few = Instant::now();
        }
        most_clients = most_clients.max(clients.unwrap_or_default());
        let do_not_linger = check(Invariant::Connections, last_few.elapsed() < LINGER, || {
            format!("{} lists {clients:?} clients: {pool:?}", site.name)
        });
        stage.record(do_not_linger, String::new);
        thread::sleep(EVERY);
    }
    (most_sockets, most_clients)
}

/// Whether a snapshot is consistent, and no counter has fallen since an earlier one.
fn adds_up(name: &str, earlier: &SupervisorStats, later: &SupervisorStats) -> Check {
    let (before, now) = (&earlier.databases[name], &later.databases[name]);
    let rate = now.success_rate();
    let is_whole = now.succeeded + now.failures() == now.commands() && (0.0..=1.0).contains(&rate);
    let replies = now.succeeded + now.error_replies;
    let are_measured = now.latency.count() <= replies;
    let interval = now.since(before);
    let has_grown = before.succeeded + interval.succeeded == now.succeeded
        && before.latency.count() + interval.latency.count() == now.latency.count()
        && before.trips <= now.trips
        && before.uptime() <= now.uptime();
    check(
        Invariant::Statistics,
        is_whole && are_measured && has_grown,
        || format!("{name}: {before:?} and then {now:?}"),
    )
}

fn clients(site: &Site) -> Option<usize> {
    let list = site.server.try_command(&["CLIENT", "LIST"]).ok()?;
    let list = list.to_string();
    let name = format!("name={} ", site.client_name());
    list.starts_with("id=")
        .then(|| list.lines().filter(|line| line.contains(&name)).count())
}

/// The knowledge of a subscriber that has followed all events from the start.
#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) latest: BTreeMap<String, HealthEvent>,
    sequence: u64,
    /// Events that came, or are known to have been missed.
    accounted: u64,
}

/// Follows events until there are no more.
pub(crate) async fn follow(
    mut events: HealthEvents,
    replay: Arc<Mutex<Replay>>,
    stage: Arc<Stage>,
) {
    while let Some(event) = events.next().await {
        let text = format!("{event} {event:?}");
        stage.record(free_of_secrets(&text), String::new);
        let follows = replay.lock().unwrap().take(event);
        stage.record(follows, String::new);
    }
}

impl Replay {
    fn take(&mut self, event: HealthEvent) -> Check {
        let (before, sequence, missed) = (self.sequence, event.sequence, event.missed);
        self.sequence = before.max(sequence);
        let name = event.database.to_string();
        if self.latest.insert(name, event).is_none() {
            // The state at the subscription, which covers all earlier events.
            self.accounted = self.accounted.max(sequence);
            return Ok(());
        }
        self.accounted += 1 + missed;
        check(Invariant::Events, sequence > before, || {
            format!("event {sequence} came after event {before}")
        })
    }

    /// The number of events.
    pub(crate) fn events(&self) -> u64 {
        self.sequence
    }

    /// Whether the last events agree with the statistics.
    pub(crate) fn agrees(&self, stats: &SupervisorStats) -> bool {
        stats.databases.iter().all(|(name, stats)| {
            let latest = self.latest.get(name);
            latest
                .is_some_and(|event| event.state == stats.health && event.circuit == stats.circuit)
        })
    }

    /// Checks that every change was reported, or reported as missed.
    pub(crate) fn is_complete(&self) -> Check {
        check(Invariant::Events, self.accounted == self.sequence, || {
            format!("{} of {} events", self.accounted, self.sequence)
        })
    }
}
