//! The cost of more databases: threads, start, shutdown, and the commands on one of them.

use std::time::{Duration, Instant};

use redis::{Value, cmd};
use redis_steward::{Config, Database, DatabaseConfig, Supervisor};
use rustix::time::{ClockId, clock_gettime};

use crate::common::{RedisServer, proc};

const DATABASES: [usize; 3] = [1, 100, 1_000];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(500);
const OUTSTANDING: usize = 64;
const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn print() {
    let server = RedisServer::start();
    let mut rounds = DATABASES.map(|_| Vec::new());
    for round in 0..ROUNDS {
        // Each count begins in turn, so that none is always first on a cold process.
        for place in 0..DATABASES.len() {
            let index = (round + place) % DATABASES.len();
            rounds[index].push(costs_of(&server, DATABASES[index]).await);
        }
    }
    println!(
        "databases, all connected, 64 commands outstanding on one; medians of {ROUNDS} rounds"
    );
    println!(
        "databases  threads  spawn ms  ready ms  shutdown ms    op/s  ratio  CPU us/op  ratio"
    );
    let one = median(&rounds[0]);
    for (databases, costs) in DATABASES.into_iter().zip(&rounds) {
        let [threads, spawn, ready, shutdown, rate, cpu] = median(costs);
        let (rates, cpus) = (rate / one[4], cpu / one[5]);
        println!(
            "{databases:>9} {threads:>8.0} {spawn:>9.1} {ready:>9.1} {shutdown:>12.1} {rate:>7.0} \
             {rates:>6.2} {cpu:>10.2} {cpus:>6.2}"
        );
    }
}

/// In the order of the columns: threads of the process; milliseconds to spawn, until ready from
/// then on, and to shut down; commands per second, and microseconds of CPU for each.
type Costs = [f64; 6];

async fn costs_of(server: &RedisServer, databases: usize) -> Costs {
    let config = (0..databases).fold(Config::new(), |config, number| {
        let database = DatabaseConfig::from_url(server.url());
        config.database(format!("database-{number:04}"), database)
    });
    let start = Instant::now();
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let spawn = milliseconds(start);

    let start = Instant::now();
    supervisor.ready(SOON).await.expect("ready");
    let ready = milliseconds(start);

    let threads = proc::threads_named("").len() as f64;
    let database = supervisor.database("database-0000").expect("it is named");
    let set = cmd("SET").arg("key").arg("0123456789abcdef").take();
    assert_eq!(database.execute(&set).await.expect("set"), Value::Okay);
    commands(&database).await;
    let [rate, cpu] = commands(&database).await;

    let start = Instant::now();
    let report = supervisor.shutdown(SOON).await;
    let shutdown = milliseconds(start);
    assert_eq!(report.unfinished, 0);
    [threads, spawn, ready, shutdown, rate, cpu]
}

/// Commands per second, and microseconds of CPU of the process for each.
async fn commands(database: &Database) -> [f64; 2] {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let callers: Vec<_> = (0..OUTSTANDING)
        .map(|_| tokio::spawn(call_until(database.clone(), start + ROUND)))
        .collect();
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.expect("a caller");
    }
    let calls = calls as f64;
    let rate = calls / start.elapsed().as_secs_f64();
    [rate, 1e6 * (cpu_seconds() - cpu) / calls]
}

async fn call_until(database: Database, end: Instant) -> usize {
    let get = cmd("GET").arg("key").take();
    let expected = Value::BulkString(b"0123456789abcdef".into());
    let mut calls = 0;
    // The clock is read once per 16 commands, so that reading it does not weigh in the measurement.
    while Instant::now() < end {
        for _ in 0..16 {
            assert_eq!(database.execute(&get).await.expect("a reply"), expected);
        }
        calls += 16;
    }
    calls
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn milliseconds(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}

/// The median of each column.
fn median(rounds: &[Costs]) -> Costs {
    std::array::from_fn(|column| {
        let mut values: Vec<_> = rounds.iter().map(|costs| costs[column]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}
