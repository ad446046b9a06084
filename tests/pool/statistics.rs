//! Goal: the connection statistics agree with the server and the kernel at any time. Method: callers of
//! every kind keep a pool busy whose connections come and go; server and kernel are sampled between two
//! snapshots of the statistics, and may learn of the end of a connection a moment later.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use redis::cmd;
use redis_steward::{Database, DatabaseConfig, PoolStats, Supervisor};
use tokio::task::JoinSet;

use crate::common::{RedisServer, eventually, proc, spawn};

const SOON: Duration = Duration::from_secs(20);
/// On a busy machine a sample takes its time, and there are fewer.
const SAMPLES: usize = 300;
const MAX: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_agree_with_server_and_kernel_under_load() {
    let server = RedisServer::start();
    let config = DatabaseConfig::from_url(server.url())
        .max_connections(MAX)
        .min_idle(3)
        .shared_connections(1, 2)
        .idle_timeout(Duration::from_millis(100))
        .max_lifetime(Duration::from_secs(1))
        .sweep_interval(Duration::from_millis(50))
        .acquire_timeout(SOON)
        .command_timeout(SOON);
    let (supervisor, main) = spawn(config).await;
    let load = Load::start(&main);
    tokio::task::block_in_place(|| {
        let start = Instant::now();
        let mut seen = SeenStates::default();
        while seen.samples < SAMPLES && start.elapsed() < SOON || !seen.is_complete() {
            assert!(start.elapsed() < 6 * SOON, "{seen:?}");
            seen.add(&agreed_sample(&supervisor, &server));
        }
    });
    let leases = load.stop().await;

    let pool = pool(&supervisor);
    assert_eq!(pool.acquire_wait.count(), leases);
    assert_eq!((pool.lost, pool.dial_failures), (0, 0), "{pool:?}");
    eventually(
        SOON,
        "every opened connection is open or counted as closed",
        || {
            let pool = agreed_sample(&supervisor, &server);
            let closed = pool.evicted.total() + pool.discarded;
            (pool.opening, pool.closing) == (0, 0) && pool.opened - closed == pool.open as u64
        },
    );
    supervisor.shutdown(SOON).await;
    assert_eq!(self::pool(&supervisor).open, 0);
    assert_eq!(proc::sockets_to(server.port()), 0);
}

/// The statistics, whose parts must add up at any time.
fn pool(supervisor: &Supervisor) -> PoolStats {
    let pool = supervisor.statistics().databases["main"].pool.clone();
    let parts = pool.shared + pool.in_use + pool.idle + pool.closing;
    assert_eq!(pool.open, parts, "{pool:?}");
    assert!(pool.open + pool.opening <= pool.max, "{pool:?}");
    pool
}

/// The statistics at a moment at which server and kernel agree.
fn agreed_sample(supervisor: &Supervisor, server: &RedisServer) -> PoolStats {
    let mut sample = None;
    eventually(SOON, "pool, server and kernel agree", || {
        // Running totals are read at another moment than the rest.
        let opened_before = pool(supervisor).opened;
        let before = pool(supervisor);
        let clients = server.clients_named("redis-steward").len();
        let sockets = proc::sockets_to(server.port());
        let after = pool(supervisor);
        let opened = pool(supervisor).opened - opened_before;
        let between = open_between(&before, &after, opened);
        if [clients, sockets]
            .iter()
            .all(|count| between.contains(count))
        {
            sample = Some(after);
        }
        sample.is_some()
    });
    sample.expect("it was waited for")
}

/// The possible numbers of open connections between two snapshots with `opened` dials in between. It is
/// a single number if none was opened or closed.
fn open_between(before: &PoolStats, after: &PoolStats, opened: u64) -> RangeInclusive<usize> {
    let most = before.open + usize::try_from(opened).expect("a few");
    let closed = most.saturating_sub(after.open);
    before.open.saturating_sub(closed)..=most + after.opening
}

/// The states that the samples have shown.
#[derive(Debug, Default)]
struct SeenStates {
    samples: usize,
    in_use: bool,
    idle: bool,
    is_full: bool,
    was_idle_evicted: bool,
    was_lifetime_evicted: bool,
    was_discarded: bool,
}

impl SeenStates {
    fn add(&mut self, pool: &PoolStats) {
        self.samples += 1;
        self.in_use |= pool.in_use > 0;
        self.idle |= pool.idle > 0;
        self.is_full |= pool.open == pool.max;
        self.was_idle_evicted |= pool.evicted.idle > 0;
        self.was_lifetime_evicted |= pool.evicted.lifetime > 0;
        self.was_discarded |= pool.discarded > 0;
    }

    /// Whether the load has produced every state.
    fn is_complete(&self) -> bool {
        let states = self.in_use && self.idle && self.is_full;
        states && self.was_idle_evicted && self.was_lifetime_evicted && self.was_discarded
    }
}

struct Load {
    callers: JoinSet<u64>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    fn start(main: &Database) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let mut callers = JoinSet::new();
        for number in 0..30 {
            let (main, is_over) = (main.clone(), is_over.clone());
            let mut random = Rng::with_seed(number);
            callers.spawn(async move {
                let mut leases = 0;
                while !is_over.load(Relaxed) {
                    leases += match number % 3 {
                        0 => share(&main).await,
                        1 => block(&main, &mut random).await,
                        _ => lease(&main, &mut random).await,
                    };
                    // Varies the number of active callers.
                    let pause = Duration::from_millis(random.u64(0..200));
                    tokio::time::sleep(pause).await;
                }
                leases
            });
        }
        Self { callers, is_over }
    }

    /// Ends the load. Returns the number of leases.
    async fn stop(self) -> u64 {
        self.is_over.store(true, Relaxed);
        self.callers.join_all().await.into_iter().sum()
    }
}

async fn share(main: &Database) -> u64 {
    let incr = cmd("INCR").arg("n").take();
    let _: i64 = main.query(incr).await.expect("a number");
    0
}

async fn block(main: &Database, random: &mut Rng) -> u64 {
    let seconds = 0.001 + 0.05 * random.f64();
    let pop = cmd("BLPOP").arg("nothing").arg(seconds).take();
    let popped: Option<(String, String)> = main.query(pop).await.expect("nothing");
    assert_eq!(popped, None);
    1
}

/// One lease in thirty is returned in a changed state.
async fn lease(main: &Database, random: &mut Rng) -> u64 {
    let mut lease = main.lease().await.expect("a lease");
    let command = match random.u8(0..30) {
        0 => cmd("SELECT").arg(1).take(),
        _ => cmd("PING"),
    };
    lease.query::<()>(command).await.expect("a reply");
    1
}
