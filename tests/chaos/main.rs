//! Goal: under random faults and cancellations, every result is truthful, the crate recovers without
//! help, and nothing leaks. Method: 200 callers of three databases, and a seeded script that injects
//! every fault of the fixtures; each caller records its results, which are compared with the data on
//! the servers (`invariants`).
//!
//! `CHAOS_SECONDS` sets the duration of the faults (60) and `CHAOS_SEED` the seed, which is printed at
//! the start. The seed determines the script and the choices of the callers, not their timing.

#[path = "../common/mod.rs"]
mod common;

mod callers;
mod faults;
mod history;
mod invariants;
mod messages;
mod pulse;
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
    common::{eventually_async, left_out_on_embedded, proc},
    faults::{Played, RECOVERY, Script},
    history::{History, Tally},
    invariants::{Invariant, by_invariant, check},
    messages::Published,
    site::{CANARY, Site},
    stage::Stage,
    watch::Replay,
};

const SOON: Duration = Duration::from_secs(20);
const CALLERS: u64 = 200;

/// Both tests count the sockets of the process.
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
        Site::proxied_over_tls("beta"),
        Site::direct("gamma"),
    ];
    let run = Run::start(seed, sites).await;
    let callers = run.callers(CALLERS, false);
    let watches: Vec<_> = run.sites.iter().map(|site| run.watch(site)).collect();
    let listening = run.listen().await;

    // For a third of the time only one database has faults, and the others must not notice.
    let mut scripts = vec![run.script(0)];
    run.go_on(length / 3).await;
    run.stage.spread_faults();
    scripts.extend([run.script(1), run.script(2)]);
    run.go_on(length - length / 3).await;
    run.stage.end_faults();
    let mut played = Vec::new();
    for script in scripts {
        played.push(script.await.expect("a script that came to its end"));
    }
    let probes = run.recover().await;
    let histories = callers.end(&run.stage).await;
    let heard = listening.end().await;
    let mut most = Vec::new();
    for watch in watches {
        most.push(watch.await.expect("a watch"));
    }
    run.settle(&histories, probes).await;
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
    let seed = number("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("CHAOS_SEED={seed}");
    let run = Run::start(seed, [Site::proxied("alpha")]).await;
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
                is_disturbed: index == 0,
                counting: if counts_twice {
                    database.idempotent()
                } else {
                    database.clone()
                },
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

    /// Starts a publisher and two subscribers of each database.
    async fn listen(&self) -> Listening {
        let mut random = Rng::with_seed(self.seed.wrapping_add(CALLERS + 1));
        let (mut publishers, mut readers) = (Vec::new(), Vec::new());
        for site in &self.sites {
            let published = Arc::<Published>::default();
            let database = self.supervisor.database(site.name).expect("a database");
            let subscribed =
                messages::subscribe(&database, &published, &self.stage, random.fork()).await;
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

    /// Waits for the recovery from the last fault. Returns the number of calls made.
    async fn recover(&self) -> u64 {
        let ready = self.supervisor.ready(RECOVERY).await;
        let is_ready = check(Invariant::Recovery, ready.is_ok(), || format!("{ready:?}"));
        self.stage.record(is_ready, String::new);
        for site in &self.sites {
            let database = self.supervisor.database(site.name).expect("a database");
            let reply = database.query::<String>(cmd("PING")).await;
            let answers = check(Invariant::Recovery, reply.is_ok(), || format!("{reply:?}"));
            self.stage.record(answers, String::new);
            let circuit = self.supervisor.statistics().databases[site.name].circuit;
            let is_closed = check(Invariant::Recovery, circuit == CircuitState::Closed, || {
                format!("{}: the circuit is {circuit}", site.name)
            });
            self.stage.record(is_closed, String::new);
        }
        self.sites.len() as u64
    }

    /// Waits until nothing is in flight, and checks that every call is counted.
    async fn settle(&self, histories: &[History], probes: u64) {
        let submitted = probes + total(histories).submitted;
        let seen = || self.supervisor.statistics();
        eventually_async(SOON, "nothing is in flight", || {
            let databases = seen().databases;
            let mut idle = databases.values();
            idle.all(|stats| {
                (stats.in_flight, stats.in_flight_bytes, stats.pool.parked) == (0, 0, 0)
            })
        })
        .await;
        let every = Duration::from_millis(5);
        let counted = spawn_blocking({
            let supervisor = self.supervisor.clone();
            move || {
                common::wait::poll(SOON, every, || {
                    (supervisor.statistics().commands() == submitted).then_some(())
                })
            }
        });
        let counted = counted.await.expect("a poll").is_some();
        let is_counted = check(Invariant::Deadline, counted, || {
            format!("{submitted} calls, of which are counted: {:#?}", seen())
        });
        self.stage.record(is_counted, String::new);
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
        println!("{:?}", total(histories));
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
            assert_eq!(proc::sockets_to(site.port()), 0, "{}", site.name);
            eventually_async(SOON, "the server has no client", || {
                site.server.clients_named(&site.client_name()).is_empty()
            })
            .await;
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

fn total(histories: &[History]) -> Tally {
    histories
        .iter()
        .fold(Tally::default(), |sum, history| Tally {
            submitted: sum.submitted + history.tally.submitted,
            succeeded: sum.succeeded + history.tally.succeeded,
            failed: sum.failed + history.tally.failed,
            cancelled: sum.cancelled + history.tally.cancelled,
        })
}
