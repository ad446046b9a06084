//! Goal: under random moves of slots, failovers, deaths and freezes of nodes, every result is truthful, the database is
//! well again afterwards, and another database of the same supervisor does not notice. Method: callers with a counter each,
//! others that read and write across all nodes and read from replicas, and a seeded script. `CHAOS_SECONDS` sets its duration (20) and `CHAOS_SEED` the seed, which is printed.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use redis::{cmd, pipe};
use redis_steward::{Config, Database, DatabaseConfig, HealthState, Supervisor};
use tokio::task::{JoinHandle, block_in_place};

use super::{Rig, load::Load};
use crate::common::{
    RedisServer, cluster::Cluster, eventually, eventually_async, left_out_on_embedded,
};

const SOON: Duration = Duration::from_secs(60);
const COUNTERS: usize = 48;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_230_random_faults_make_no_result_a_lie() {
    if left_out_on_embedded() {
        return;
    }
    let number = |variable: &str| env::var(variable).ok()?.parse().ok();
    let seed = number("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let length = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(20));
    println!("CHAOS_SEED={seed} CHAOS_SECONDS={}", length.as_secs());
    let mut rng = Rng::with_seed(seed);

    let cluster = Cluster::builder(3, 1);
    let cluster = cluster.arg("cluster-require-full-coverage", "no").start();
    let beside = RedisServer::start();
    let main = DatabaseConfig::from_url(cluster.url()).command_timeout(Duration::from_secs(2));
    let config = Config::new()
        .database("main", main)
        .database("beside", DatabaseConfig::from_url(beside.url()));
    let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
    let rig = Rig {
        cluster,
        main: supervisor.database("main").expect("configured"),
        supervisor,
    };
    let beside = rig.supervisor.database("beside").expect("configured");
    let undisturbed = Load::on(&beside, (0..8).map(|n| format!("counter:{n}")));
    let load = Load::on(&rig.main, (0..COUNTERS).map(|n| format!("counter:{n}")));
    let wide = Wide::start(&rig.main);
    let began = Instant::now();
    let mut played = Vec::new();
    while began.elapsed() < length {
        played.push(block_in_place(|| play(&rig, &mut rng)));
    }
    println!("{played:?}");
    load.more(500).await;
    let is_well = || rig.main.state() == HealthState::Healthy;
    eventually_async(SOON, "healthy again", is_well).await;
    wide.end().await;
    for tally in undisturbed.end(&beside).await {
        assert!(tally.failed.is_empty(), "{tally:?}");
    }
    for tally in load.end(&rig.main).await {
        assert!(tally.acknowledged > 0, "{tally:?}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A slot goes to another node.
    Move,
    /// A replica is promoted by hand.
    Promote,
    /// A primary dies, and comes back as a replica. Its replica has all that it had acknowledged: what is lost is lost here.
    Kill,
    /// A primary is silent for less time than a failover takes.
    Stall,
    /// A primary is silent until its replica has taken over.
    Freeze,
    /// A node ends all connections of clients.
    Disconnect,
}

/// Injects a fault, and waits for the end of what it does to the nodes.
fn play(rig: &Rig, rng: &mut Rng) -> Fault {
    let cluster = &rig.cluster;
    let slot = cluster.slot_of(&format!("counter:{}", rng.usize(..COUNTERS)));
    let primary = cluster.primary_of(slot);
    let fault = [
        Fault::Move,
        Fault::Move,
        Fault::Promote,
        Fault::Kill,
        Fault::Stall,
        Fault::Freeze,
        Fault::Disconnect,
    ][rng.usize(..7)];
    match fault {
        Fault::Move => {
            let others = (0..rng.u16(..16_384)).rev().chain(0..16_384);
            let mut owners = others.step_by(1_000).map(|slot| cluster.primary_of(slot));
            if let Some(to) = owners.find(|to| *to != primary) {
                cluster.migrate_slot(slot, primary, to);
            }
        }
        Fault::Promote => {
            if let Some(replica) = cluster.replica_now(primary) {
                cluster.failover_by_hand(replica);
            }
        }
        Fault::Kill => {
            cluster.kill_in_step(primary);
            cluster.await_promotion(primary);
            cluster.restart(primary);
        }
        Fault::Stall => {
            cluster.freeze(primary);
            std::thread::sleep(Duration::from_millis(rng.u64(50..400)));
            cluster.thaw(primary);
        }
        Fault::Freeze => {
            cluster.freeze_in_step(primary);
            cluster.await_promotion(primary);
            // Before it has heard of its successor it would take writes, and lose them.
            let name = format!("main (127.0.0.1:{})", cluster.node(primary).port());
            let is_left = || !rig.supervisor.statistics().databases.contains_key(&name);
            eventually(SOON, "the successor is found", is_left);
            cluster.thaw(primary);
            cluster.node(primary).cli(&["CLIENT", "UNPAUSE"]);
        }
        Fault::Disconnect => {
            cluster
                .node(primary)
                .cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    }
    cluster.until_settled();
    fault
}

/// Callers whose calls go to all nodes. Each writes a number to many keys, and reads only such numbers, each at its place.
struct Wide {
    is_over: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Wide {
    fn start(main: &Database) -> Self {
        let (is_over, rounds) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let tasks = (0..4).map(|n| {
            let (main, is_over, rounds) = (main.clone(), is_over.clone(), rounds.clone());
            tokio::spawn(async move {
                while !is_over.load(Relaxed) {
                    round(&main, n).await;
                    rounds.fetch_add(1, Relaxed);
                }
            })
        });
        Self {
            tasks: tasks.collect(),
            is_over,
            rounds,
        }
    }

    async fn end(self) {
        let before = self.rounds.load(Relaxed);
        eventually_async(SOON, "a round", || self.rounds.load(Relaxed) > before).await;
        self.is_over.store(true, Relaxed);
        for task in self.tasks {
            task.await.expect("each reply was at its place");
        }
    }
}

/// The value of a key is the key, so that a reply at a wrong place is noticed.
async fn round(main: &Database, caller: usize) {
    let keys: Vec<_> = (0..20).map(|n| format!("wide:{caller}:{n}")).collect();
    let is_right = |values: &[Option<String>]| {
        let pairs = keys.iter().zip(values);
        values.len() == keys.len()
            && pairs
                .into_iter()
                .all(|(key, value)| value.as_ref().is_none_or(|value| value == key))
    };
    let mut mset = cmd("MSET");
    let mut pipeline = pipe();
    for key in &keys {
        mset.arg(key).arg(key);
        pipeline.get(key);
    }
    // Errors are what a fault makes of a call; wrong replies are not.
    let _ = main.query::<()>(&mset).await;
    if let Ok(values) = main
        .query::<Vec<Option<String>>>(cmd("MGET").arg(&keys))
        .await
    {
        assert!(is_right(&values), "{values:?}");
    }
    if let Ok(values) = main.pipeline::<Vec<Option<String>>>(&pipeline).await {
        assert!(is_right(&values), "{values:?}");
    }
    let replicas = main.replica();
    if let Ok(values) = replicas.pipeline::<Vec<Option<String>>>(&pipeline).await {
        assert!(is_right(&values), "{values:?}");
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}
