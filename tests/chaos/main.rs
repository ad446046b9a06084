//! Goal: under random faults and cancellations, every result is truthful, the crate recovers without
//! help, and nothing leaks. Method: 200 callers of four databases, one of which is a cluster, and a seeded
//! script for each that injects every fault of the fixtures; each caller records its results, which are
//! compared with the data on the servers (`invariants`).
//!
//! `CHAOS_SECONDS` sets the duration of the faults (60) and `CHAOS_SEED` the seed, which is printed at
//! the start. The seed determines the script and the choices of the callers, not their timing.

#[path = "../common/mod.rs"]
mod common;

mod callers;
mod faults;
mod history;
mod invariants;
mod keys;
mod messages;
mod pulse;
mod reader;
mod script;
mod sharded;
mod single;
mod site;
mod stage;
mod watch;

use std::{
    collections::BTreeMap,
    env,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use redis::cmd;
use redis_steward::{CircuitState, Config, HealthState, Supervisor};
use tokio::{
    sync::Mutex as AsyncMutex,
    task::{JoinHandle, block_in_place, spawn_blocking},
    time::timeout,
};

use crate::{
    callers::{Caller, Callers, compare},
    common::{eventually_async, left_out_on_embedded, proc, version::version},
    history::{History, Tally},
    invariants::{Invariant, by_invariant, check},
    messages::Published,
    script::{Played, RECOVERY, Script},
    site::{CANARY, Site},
    stage::Stage,
    watch::Replay,
};

const SOON: Duration = Duration::from_secs(20);
const CALLERS: u64 = 200;
/// So many databases have faults from the start: a server and the cluster. The others have them later.
const FIRST: usize = 2;

/// All tests count the sockets of the process.
static ALONE: AsyncMutex<()> = AsyncMutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_violate_no_invariant() {
    if left_out_on_embedded() {
        return;
    }
    let _alone = ALONE.lock().await;
    let seed = number("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let length = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(60));
    println!("CHAOS_SEED={seed} CHAOS_SECONDS={}", length.as_secs());

    let sites = [
        Site::proxied("alpha"),
        Site::cluster("delta"),
        Site::proxied_over_tls("beta"),
        Site::direct("gamma"),
    ];
    let run = Run::start(seed, sites).await;
    let callers = run.callers(CALLERS, false);
    let watches: Vec<_> = run.sites.iter().map(|site| run.watch(site)).collect();
    let listening = run.listen().await;

    // For a third of the time only the first databases have faults, and the others must not notice.
    let mut scripts: Vec<_> = (0..FIRST).map(|index| run.script(index)).collect();
    run.go_on(length / 3).await;
    run.stage.spread_faults();
    scripts.extend((FIRST..run.sites.len()).map(|index| run.script(index)));
    run.go_on(length - length / 3).await;
    run.stage.end_faults();
    let mut played = Vec::new();
    for script in scripts {
        played.push(script.await.expect("a script that came to its end"));
    }
    run.recover().await;
    let histories = callers.end(&run.stage).await;
    let heard = listening.end().await;
    let mut most = Vec::new();
    for watch in watches {
        most.push(watch.await.expect("a watch"));
    }
    run.settle(&histories).await;
    for site in &run.sites {
        block_in_place(|| compare(site, &histories, &run.stage));
    }
    println!("{heard:?}");
    run.report(&histories, &played, &most);
    run.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_that_run_twice_are_noticed() {
    let _alone = ALONE.lock().await;
    run_twice(Site::proxied("alpha")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_that_run_twice_in_a_cluster_are_noticed() {
    if left_out_on_embedded() {
        return;
    }
    let _alone = ALONE.lock().await;
    run_twice(Site::proxied_cluster("delta")).await;
}

/// Has increments run twice on purpose, until a check fails.
async fn run_twice(site: Site) {
    let seed = number("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("CHAOS_SEED={seed}");
    let run = Run::start(seed, [site]).await;
    run.stage.spread_faults();
    let callers = run.callers(20, true);
    let site = run.sites[0].clone();
    let start = Instant::now();
    while !run.stage.is_violated() {
        assert!(start.elapsed() < SOON, "the violation was not noticed");
        block_in_place(|| site.lose_replies_of("INCR"));
        let ready = run.supervisor.ready(RECOVERY).await;
        ready.expect("it recovers");
        // Commands that are sent again get a reply by their deadline.
        let replied = || run.stage.is_violated();
        let _ = timeout(site::TIMEOUT, until(replied)).await;
    }
    let histories = callers.end(&run.stage).await;
    let before = run.stage.violations();
    block_in_place(|| compare(&site, &histories, &run.stage));
    let after = run.stage.violations();
    // Both during the run and at its end only this invariant is violated.
    for violations in [&before[..], &after[before.len()..]] {
        let counts = by_invariant(violations);
        assert_eq!(counts.keys().collect::<Vec<_>>(), [&Invariant::Counter]);
    }
    run.supervisor.shutdown(SOON).await;
}

async fn until(condition: impl FnMut() -> bool) {
    eventually_async(SOON, "it is noticed", condition).await;
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

/// A run: a supervisor of all sites, and its observations.
struct Run {
    seed: u64,
    sites: Vec<Arc<Site>>,
    stage: Arc<Stage>,
    _ending: Ending,
    supervisor: Supervisor,
    replay: Arc<Mutex<Replay>>,
    following: JoinHandle<()>,
    started: Instant,
    /// Open sockets of this process before the supervisor started.
    sockets: usize,
}

impl Run {
    async fn start<const N: usize>(seed: u64, sites: [Site; N]) -> Self {
        let sockets = proc::open_sockets();
        let mut config = Config::new();
        for site in &sites {
            config = config.database(site.name, site.config());
        }
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        let (stage, replay) = (Arc::<Stage>::default(), Arc::<Mutex<Replay>>::default());
        thread::spawn({
            let stage = Arc::downgrade(&stage);
            move || pulse::keep_beating(&stage)
        });
        let follow = watch::follow(supervisor.subscribe(), replay.clone(), stage.clone());
        supervisor.ready(SOON).await.expect("ready");
        Self {
            seed,
            sites: sites.into_iter().map(Arc::new).collect(),
            _ending: Ending(stage.clone()),
            stage,
            following: tokio::spawn(follow),
            replay,
            supervisor,
            started: Instant::now(),
            sockets,
        }
    }

    fn callers(&self, count: u64, counts_twice: bool) -> Callers {
        Callers::start((0..count).map(|caller| {
            let index = caller as usize % self.sites.len();
            let name = self.sites[index].name;
            let database = self.supervisor.database(name).expect("a database");
            Caller {
                is_disturbed: index < FIRST,
                counting: if counts_twice {
                    database.idempotent()
                } else {
                    database.clone()
                },
                replica: database.replica(),
                database,
                history: History::new(caller, name),
                random: Rng::with_seed(self.seed.wrapping_add(1 + caller)),
                stage: self.stage.clone(),
                started: self.started,
            }
        }))
    }

    fn script(&self, index: usize) -> JoinHandle<Played> {
        let mut random = Rng::with_seed(self.seed);
        let script = Script {
            site: self.sites[index].clone(),
            supervisor: self.supervisor.clone(),
            stage: self.stage.clone(),
            random: (0..=index).map(|_| random.fork()).last().expect("one"),
            started: self.started,
        };
        spawn_blocking(move || script.play())
    }

    fn watch(&self, site: &Arc<Site>) -> JoinHandle<(usize, usize)> {
        let (site, supervisor, stage) = (site.clone(), self.supervisor.clone(), self.stage.clone());
        spawn_blocking(move || watch::connections(&site, &supervisor, &stage))
    }

    /// Starts a publisher and two subscribers of each database. In a cluster no message is lost unnoticed if its
    /// channel is sharded, which needs Redis 7.0.
    async fn listen(&self) -> Listening {
        let mut random = Rng::with_seed(self.seed.wrapping_add(CALLERS + 1));
        let (mut publishers, mut readers) = (Vec::new(), Vec::new());
        let has_channels = |site: &&Arc<Site>| !site.is_cluster() || version() >= (7, 0);
        for site in self.sites.iter().filter(has_channels) {
            let published = Arc::<Published>::default();
            let database = self.supervisor.database(site.name).expect("a database");
            let (is_cluster, random) = (site.is_cluster(), random.fork());
            let subscribed =
                messages::subscribe(&database, is_cluster, &published, &self.stage, random).await;
            readers.extend(subscribed);
            let (site, stage) = (site.clone(), self.stage.clone());
            publishers.push(spawn_blocking(move || {
                messages::publish(&site, &published, &stage);
            }));
        }
        Listening {
            publishers,
            readers,
        }
    }

    /// Waits for this time, or until a violation.
    async fn go_on(&self, length: Duration) {
        let goes_wrong = async {
            let stage = &self.stage;
            let day = Duration::from_secs(24 * 60 * 60);
            eventually_async(day, "an end", || stage.is_violated()).await;
        };
        let _ = timeout(length, goes_wrong).await;
    }

    /// Waits for the recovery from the last fault, also at each node of a cluster, and makes a call to each server.
    async fn recover(&self) {
        let ready = self.supervisor.ready(RECOVERY).await;
        let is_ready = check(Invariant::Recovery, ready.is_ok(), || format!("{ready:?}"));
        self.stage.record(is_ready, String::new);
        let ill = || {
            let databases = self.supervisor.statistics().databases.into_iter();
            let mut ill = databases.filter(|(_, stats)| {
                stats.health != HealthState::Healthy || stats.circuit != CircuitState::Closed
            });
            ill.next()
        };
        let recovered = block_in_place(|| {
            let every = Duration::from_millis(5);
            common::wait::poll(RECOVERY, every, || ill().is_none().then_some(()))
        });
        let are_well = check(Invariant::Recovery, recovered.is_some(), || {
            format!("{:?}", ill())
        });
        self.stage.record(are_well, String::new);
        for site in &self.sites {
            let database = self.supervisor.database(site.name).expect("a database");
            let reply = database.query::<u64>(cmd("DBSIZE")).await;
            let answers = check(Invariant::Recovery, reply.is_ok(), || format!("{reply:?}"));
            self.stage.record(answers, String::new);
        }
    }

    /// Waits until nothing is in flight, and checks that every call is counted.
    async fn settle(&self, histories: &[History]) {
        let seen = || self.supervisor.statistics();
        eventually_async(SOON, "nothing is in flight", || {
            let databases = seen().databases;
            let mut idle = databases.values();
            idle.all(|stats| {
                (stats.in_flight, stats.in_flight_bytes, stats.pool.parked) == (0, 0, 0)
            })
        })
        .await;
        // The calls of a cluster are counted in parts, at its nodes.
        for site in self.sites.iter().filter(|site| !site.is_cluster()) {
            let own = histories.iter().filter(|own| own.database == site.name);
            let tally = total(own);
            // The call of the recovery is one of them.
            let most = 1 + tally.submitted;
            let expected = most - tally.left_waiting..=most;
            let is_counted = || expected.contains(&seen().databases[site.name].commands());
            let counted = block_in_place(|| {
                let every = Duration::from_millis(5);
                common::wait::poll(SOON, every, || is_counted().then_some(()))
            });
            let is_counted = check(Invariant::Deadline, counted.is_some(), || {
                let stats = &seen().databases[site.name];
                format!("{}: {tally:?}, and counted are {stats:#?}", site.name)
            });
            self.stage.record(is_counted, String::new);
        }
        let replay = self.replay.clone();
        eventually_async(SOON, "the events agree with the state", || {
            replay.lock().unwrap().agrees(&seen())
        })
        .await;
        let is_complete = self.replay.lock().unwrap().is_complete();
        self.stage.record(is_complete, String::new);
    }

    fn report(&self, histories: &[History], played: &[Played], most: &[(usize, usize)]) {
        let mut strikes = BTreeMap::new();
        for (fault, times) in played.iter().flat_map(|script| &script.strikes) {
            *strikes.entry(*fault).or_insert(0) += times;
        }
        println!("{:?}", total(histories.iter()));
        println!("{} faults: {strikes:?}", strikes.values().sum::<u32>());
        let slowest = played.iter().map(|script| script.slowest).max();
        println!("well again within {slowest:?}; most sockets and clients listed: {most:?}");
        let (events, stall) = (
            self.replay.lock().unwrap().events(),
            self.stage.pulse.stall(),
        );
        println!("{events} events; the machine stood still for {stall:?} at most");
        for (name, stats) in self.supervisor.statistics().databases {
            println!("{name}: {stats:?}");
        }
    }

    /// Shuts down, and checks that nothing is left.
    async fn end(self) {
        let report = self.supervisor.shutdown(SOON).await;
        assert_eq!((report.completed, report.unfinished), (0, 0));
        self.following.await.expect("the events end");
        let stats = self.supervisor.statistics();
        assert!(self.replay.lock().unwrap().agrees(&stats));
        let mut states = stats.databases.values();
        assert!(states.all(|stats| stats.health == HealthState::Stopped));
        for site in &self.sites {
            for (port, server) in site.servers() {
                assert_eq!(proc::sockets_to(port), 0, "{}", site.name);
                eventually_async(SOON, "the server has no client", || {
                    server.clients_named(&site.client_name()).is_empty()
                })
                .await;
            }
        }
        assert_eq!(proc::threads_named("redis-steward"), [""; 0]);
        eventually_async(SOON, "the proxies have closed, too", || {
            proc::open_sockets() <= self.sockets
        })
        .await;
        let text = format!("{stats:?} {report:?} {:?}", self.supervisor);
        assert!(!text.contains(CANARY));
        let violations = self.stage.violations();
        let counts = by_invariant(&violations);
        assert!(
            violations.is_empty(),
            "CHAOS_SEED={}: {counts:?}, first {}",
            self.seed,
            violations[0]
        );
    }
}

/// The publishers and subscribers of a run.
struct Listening {
    publishers: Vec<JoinHandle<()>>,
    readers: Vec<JoinHandle<messages::Tally>>,
}

impl Listening {
    /// Waits until the subscribers know of all that was published.
    async fn end(self) -> Vec<messages::Tally> {
        for publisher in self.publishers {
            publisher.await.expect("a publisher");
        }
        let mut heard = Vec::new();
        for reader in self.readers {
            heard.push(reader.await.expect("a subscriber"));
        }
        heard
    }
}

/// Ends faults, calls and watches also when a test panics: the runtime waits for the threads of its
/// blocking tasks.
struct Ending(Arc<Stage>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end_faults();
        self.0.end_calls();
    }
}

fn total<'a>(histories: impl Iterator<Item = &'a History>) -> Tally {
    histories.fold(Tally::default(), |sum, history| Tally {
        submitted: sum.submitted + history.tally.submitted,
        succeeded: sum.succeeded + history.tally.succeeded,
        failed: sum.failed + history.tally.failed,
        cancelled: sum.cancelled + history.tally.cancelled,
        left_waiting: sum.left_waiting + history.tally.left_waiting,
    })
}
