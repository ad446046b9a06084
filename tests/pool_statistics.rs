//! Goal: what the statistics say of the connections is what the server and the kernel say, at any time.
//! Method: callers of every kind keep a pool busy whose connections come and go; a sample counts when
//! the statistics are the same before and after the others were asked, which need a moment to learn of
//! a connection's end.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use common::{RedisServer, eventually, proc, spawn};
use fastrand::Rng;
use redis::cmd;
use redis_steward::{Database, DatabaseConfig, PoolStats, Supervisor};
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(20);
const SAMPLES: usize = 100;
const MAX: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_sample_of_a_load_run_pool_server_and_kernel_agree() {
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
    let seen = tokio::task::block_in_place(|| {
        let mut seen = Seen::default();
        for _ in 0..SAMPLES {
            seen.add(&agreed_sample(&supervisor, &server));
        }
        seen
    });
    let leases = load.stop().await;

    // Otherwise it was no load, or nothing came and went.
    assert!(seen.in_use && seen.idle && seen.is_full, "{seen:?}");
    let pool = pool(&supervisor);
    assert!(
        pool.evicted.idle > 0 && pool.evicted.lifetime > 0,
        "{pool:?}"
    );
    assert!(pool.discarded > 0 && pool.opened > MAX as u64, "{pool:?}");
    assert_eq!(pool.acquire_wait.count(), leases);
    assert_eq!((pool.lost, pool.dial_failures), (0, 0), "{pool:?}");
    eventually(SOON, "all that was opened is closed, or open", || {
        let pool = agreed_sample(&supervisor, &server);
        let closed = pool.evicted.total() + pool.discarded;
        pool.opened - closed == pool.open as u64
    });
    supervisor.shutdown(SOON).await;
    assert_eq!(self::pool(&supervisor).open, 0);
    assert_eq!(proc::sockets_to(server.port()), 0);
}

/// The statistics, which have to add up at any time.
fn pool(supervisor: &Supervisor) -> PoolStats {
    let pool = supervisor.statistics().databases["main"].pool.clone();
    let parts = pool.shared + pool.in_use + pool.idle + pool.closing;
    assert_eq!(pool.open, parts, "{pool:?}");
    assert!(pool.open + pool.opening <= pool.max, "{pool:?}");
    pool
}

/// A moment at which no connection was being opened or closed, and all said the same.
fn agreed_sample(supervisor: &Supervisor, server: &RedisServer) -> PoolStats {
    let mut sample = None;
    eventually(SOON, "pool, server and kernel agree", || {
        let before = pool(supervisor);
        let clients = server.clients_named("redis-steward").len();
        let sockets = proc::sockets_to(server.port());
        let after = pool(supervisor);
        let is_still = [&before, &after].map(|it| (it.open, it.opening, it.opened))
            == [(clients, 0, before.opened); 2];
        if is_still && sockets == clients {
            sample = Some(after);
        }
        sample.is_some()
    });
    sample.expect("it was waited for")
}

/// What the samples have shown.
#[derive(Debug, Default)]
struct Seen {
    in_use: bool,
    idle: bool,
    is_full: bool,
}

impl Seen {
    fn add(&mut self, pool: &PoolStats) {
        self.in_use |= pool.in_use > 0;
        self.idle |= pool.idle > 0;
        self.is_full |= pool.open == pool.max;
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
                    // So that sometimes few are at it, and then many.
                    let pause = Duration::from_millis(random.u64(0..300));
                    tokio::time::sleep(pause).await;
                }
                leases
            });
        }
        Self { callers, is_over }
    }

    /// How many connections were lent.
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

/// One in thirty is not given back as it was.
async fn lease(main: &Database, random: &mut Rng) -> u64 {
    let mut lease = main.lease().await.expect("a lease");
    let command = match random.u8(0..30) {
        0 => cmd("SELECT").arg(1).take(),
        _ => cmd("PING"),
    };
    lease.query::<()>(command).await.expect("a reply");
    1
}
