//! Observations during a run: connections, statistics, events.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use redis_steward::{HealthEvent, HealthEvents, Supervisor, SupervisorStats};

use crate::{
    common::{RedisServer, proc},
    invariants::{Check, Invariant, check, free_of_secrets},
    site::{CONNECTIONS, Site},
    stage::Stage,
};

/// The connections of a pool, one that drains, a probe, one that is being opened, that of subscribers, and one of a publisher.
const SOCKETS: usize = CONNECTIONS + 5;
/// A server lists closed clients until it has read from their sockets. Beyond this time an excess is a
/// violation.
const LINGER: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(100);

/// The connections to one server.
struct Door<'a> {
    port: u16,
    server: &'a RedisServer,
    /// Since when it has listed too many clients.
    excess: Option<Instant>,
}

/// Counts the connections of one database until the end of calls. Returns the maximum of sockets and of
/// clients listed at a server.
pub(crate) fn connections(site: &Site, supervisor: &Supervisor, stage: &Stage) -> (usize, usize) {
    let (mut most_sockets, mut most_clients) = (0, 0);
    // A node that changes its role has a pool as a primary and one as a replica.
    let limit = if site.is_cluster() { 2 } else { 1 } * SOCKETS;
    let servers = site.servers().into_iter();
    let doors = servers.map(|(port, server)| Door {
        port,
        server,
        excess: None,
    });
    let mut doors: Vec<_> = doors.collect();
    let mut turns = (0..doors.len()).cycle();
    let mut earlier = supervisor.statistics();
    while !stage.calls_have_ended() {
        let stats = supervisor.statistics();
        stage.record(adds_up(site.name, &earlier, &stats), String::new);
        earlier = stats.clone();
        stage.record(free_of_secrets(&format!("{stats:?}")), String::new);
        for (name, database) in stats.databases.iter().filter(|(name, _)| site.has(name)) {
            let pool = &database.pool;
            let is_within = check(Invariant::Connections, pool.open <= pool.max, || {
                format!("{name}: {pool:?}")
            });
            stage.record(is_within, String::new);
        }
        // One after the other: the kernel's table is long.
        let door = &mut doors[turns.next().expect("BUG: it has no end")];
        let (sockets, clients) = door.look(site, limit, stage);
        most_sockets = most_sockets.max(sockets);
        most_clients = most_clients.max(clients.unwrap_or_default());
        thread::sleep(EVERY);
    }
    (most_sockets, most_clients)
}

impl Door<'_> {
    /// The number of sockets and of listed clients, of which there may be so many.
    fn look(&mut self, site: &Site, limit: usize, stage: &Stage) -> (usize, Option<usize>) {
        let name = format!("{}, port {}", site.name, self.port);
        let sockets = proc::sockets_to(self.port);
        let are_few = check(Invariant::Connections, sockets <= limit, || {
            format!("{name} has {sockets} sockets")
        });
        stage.record(are_few, String::new);

        // A server that is down, frozen or full does not list its clients.
        let clients = self.clients(site);
        let is_excess = clients.is_some_and(|clients| clients > limit);
        self.excess = is_excess.then(|| self.excess.unwrap_or_else(Instant::now));
        let lingers = self.excess.is_some_and(|since| since.elapsed() >= LINGER);
        let do_not_linger = check(Invariant::Connections, !lingers, || {
            format!("{name} lists {clients:?} clients")
        });
        stage.record(do_not_linger, String::new);
        (sockets, clients)
    }

    fn clients(&self, site: &Site) -> Option<usize> {
        let list = self.server.try_command(&["CLIENT", "LIST"]).ok()?;
        let list = list.to_string();
        let name = format!("name={}", site.client_name());
        list.starts_with("id=")
            .then(|| list.lines().filter(|line| line.contains(&name)).count())
    }
}

/// Whether a snapshot is consistent, and no counter has fallen since an earlier one.
fn adds_up(name: &str, earlier: &SupervisorStats, later: &SupervisorStats) -> Check {
    let (before, now) = (&earlier.databases[name], &later.databases[name]);
    let replies = now.succeeded + now.error_replies;
    let are_measured = now.latency.count() <= replies;
    let interval = now.since(before);
    let has_grown = before.commands() <= now.commands()
        && before.failures() <= now.failures()
        && before.succeeded + interval.succeeded == now.succeeded
        && before.latency.count() + interval.latency.count() == now.latency.count()
        && before.trips <= now.trips
        && before.uptime() <= now.uptime();
    check(Invariant::Statistics, are_measured && has_grown, || {
        format!("{name}: {before:?} and then {now:?}")
    })
}

/// The knowledge of a subscriber that has followed all events from the start.
#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) latest: BTreeMap<String, HealthEvent>,
    sequence: u64,
    /// Events that came, or are known to have been missed.
    accounted: u64,
    /// The states at the subscription have come, which cover all earlier events.
    has_begun: bool,
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
        self.has_begun |= self.latest.insert(name, event).is_some();
        if !self.has_begun {
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
