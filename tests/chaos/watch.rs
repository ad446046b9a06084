//! What is looked at while a run goes on: connections, statistics, events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis_steward::{HealthEvent, HealthEvents, Supervisor, SupervisorStats};

use crate::common::proc;
use crate::invariants::{Check, Invariant, check, free_of_secrets};
use crate::site::Site;
use crate::stage::Stage;

/// The connection that all share, one that drains beside it, a probe, and one that is being opened.
const SOCKETS: usize = 4;
/// A server lists clients that have gone until it has looked at their sockets; longer than this
/// is a connection too many.
const LINGER: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(100);

/// Counts the connections of one database as long as there are calls. Returns the most sockets of
/// ours, and the most clients that the server listed.
pub(crate) fn connections(site: &Site, supervisor: &Supervisor, stage: &Stage) -> (usize, usize) {
    let (mut most_sockets, mut most_clients) = (0, 0);
    let mut last_few = Instant::now();
    while !stage.calls_have_ended() {
        let stats = supervisor.statistics();
        stage.judge(free_of_secrets(&format!("{stats:?}")), String::new);
        let pool = &stats.databases[site.name].pool;
        let is_within = check(Invariant::Connections, pool.open <= pool.max, || {
            format!("{}: {pool:?}", site.name)
        });
        stage.judge(is_within, String::new);

        let sockets = proc::sockets_to(site.port());
        most_sockets = most_sockets.max(sockets);
        let are_few = check(Invariant::Connections, sockets <= SOCKETS, || {
            format!("{} has {sockets} sockets: {pool:?}", site.name)
        });
        stage.judge(are_few, String::new);

        // Of a server that is down, frozen or full nobody knows how many it lists.
        let clients = clients(site);
        if clients.is_none_or(|clients| clients <= SOCKETS) {
            last_few = Instant::now();
        }
        most_clients = most_clients.max(clients.unwrap_or_default());
        let do_not_linger = check(Invariant::Connections, last_few.elapsed() < LINGER, || {
            format!("{} lists {clients:?} clients: {pool:?}", site.name)
        });
        stage.judge(do_not_linger, String::new);
        thread::sleep(EVERY);
    }
    (most_sockets, most_clients)
}

fn clients(site: &Site) -> Option<usize> {
    let list = site.server.try_command(&["CLIENT", "LIST"]).ok()?;
    let list = list.to_string();
    let name = format!("name={} ", site.client_name());
    list.starts_with("id=")
        .then(|| list.lines().filter(|it| it.contains(&name)).count())
}

/// What a subscriber knows who has followed all events from the start.
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
        let said = format!("{event} {event:?}");
        stage.judge(free_of_secrets(&said), String::new);
        let follows = replay.lock().unwrap().take(event);
        stage.judge(follows, String::new);
    }
}

impl Replay {
    fn take(&mut self, event: HealthEvent) -> Check {
        let (before, sequence, missed) = (self.sequence, event.sequence, event.missed);
        self.sequence = before.max(sequence);
        let name = event.database.to_string();
        if self.latest.insert(name, event).is_none() {
            // The state that there was: all events up to it were before the subscription.
            self.accounted = self.accounted.max(sequence);
            return Ok(());
        }
        self.accounted += 1 + missed;
        check(Invariant::Events, sequence > before, || {
            format!("event {sequence} came after event {before}")
        })
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> u64 {
        self.sequence
    }

    /// Whether the last events tell what the statistics tell.
    pub(crate) fn agrees(&self, stats: &SupervisorStats) -> bool {
        stats.databases.iter().all(|(name, stats)| {
            let latest = self.latest.get(name);
            latest.is_some_and(|it| it.state == stats.health && it.circuit == stats.circuit)
        })
    }

    /// Every change was told, or told to be missed.
    pub(crate) fn is_complete(&self) -> Check {
        check(Invariant::Events, self.accounted == self.sequence, || {
            format!("{} of {} events", self.accounted, self.sequence)
        })
    }
}
