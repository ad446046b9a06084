//! Several processes with a consumer each, which are killed.

use std::{
    env,
    process::{Child, Command, Stdio},
    time::Duration,
};

use redis_steward::{Config, Database, DatabaseConfig, Error, StreamEntry, Supervisor};
use tokio::time::sleep;

use crate::{
    common::{Rig, eventually_asked, words},
    record::{DEAD, SOON, add, lacks_claims, many, number, pending, quick, times},
};

const PROCESSES: usize = 3;
const ENTRIES: u64 = 600;
const POISON: u64 = 13;
const CONCURRENCY: usize = 4;
const BATCH: usize = 8;

/// In a process of its own, the address of the server.
const URL: &str = "REDIS_STEWARD_TEST_CONSUMER";

/// A process that ends with its value.
struct Process(Child);

impl Process {
    fn start(url: &str) -> Self {
        let program = env::current_exe().expect("the program of this test");
        let child = Command::new(program)
            .args(["--exact", "processes::a_process_counts_what_it_handles"])
            .env(URL, url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("a process"))
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.0.kill().expect("a process that runs");
        self.0.wait().expect("a process that can be reaped");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Counts in the server how often each entry is handled.
async fn count(database: Database, entry: StreamEntry) -> Result<(), Error> {
    let mut count = redis::cmd("HINCRBY");
    let number = number(&entry);
    count.arg("handled").arg(number).arg(1);
    database.query::<()>(count).await?;
    sleep(Duration::from_millis(5)).await;
    if number == POISON {
        // An error as any other.
        database.query::<()>(words("LPUSH handled 1")).await?;
    }
    Ok(())
}

fn consumer(main: Database) -> redis_steward::Consumer {
    quick(&main)
        .claim_idle(Duration::from_secs(1))
        .concurrency(many(CONCURRENCY))
        .batch(many(BATCH))
        .max_deliveries(times(10))
        .run(move |entry| count(main.clone(), entry))
}

/// As a test it handles a few entries. As a process that the next test starts it goes on until it is killed.
#[tokio::test]
async fn a_process_counts_what_it_handles() {
    if lacks_claims() {
        return;
    }
    if let Ok(url) = env::var(URL) {
        let config = Config::new().database("main", DatabaseConfig::from_url(url));
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        let consumer = consumer(supervisor.database("main").expect("main"));
        panic!("it has ended by itself: {}", consumer.ended().await);
    }
    let rig = Rig::start().await;
    let consumer = consumer(rig.main.clone());
    add(&rig.main, 0..5).await;
    eventually_asked(SOON, "all are acknowledged", async || {
        consumer.statistics().acknowledged == 5
    })
    .await;
    for number in ["0", "4"] {
        assert_eq!(rig.server.cli(&["HGET", "handled", number]), "1");
    }
    consumer.stop(SOON).await.expect("a consumer that runs");
    rig.end().await;
}

#[tokio::test]
async fn row_182_processes_that_are_killed_cost_no_entry() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    let url = rig.server.url();
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| Process::start(&url)).collect();
    let handled = async || {
        let count = rig.main.query::<u64>(words("HLEN handled")).await;
        count.expect("a number")
    };
    let mut kills = 0;
    for part in 0..3 {
        let first = ENTRIES / 3 * part;
        add(&rig.main, first..first + ENTRIES / 3).await;
        for process in &mut processes {
            let before = handled().await;
            let more = before + 20;
            eventually_asked(SOON, "some are handled", async || handled().await >= more).await;
            process.kill();
            kills += 1;
            *process = Process::start(&url);
        }
    }
    eventually_asked(SOON, "all are handled", async || {
        let letters: u64 = rig
            .main
            .query(redis::cmd("XLEN").arg(DEAD))
            .await
            .expect("a number");
        handled().await == ENTRIES && letters == 1 && pending(&rig.main).await == 0
    })
    .await;
    let times: Vec<(u64, u64)> = rig
        .main
        .query(words("HGETALL handled"))
        .await
        .expect("counts");
    let again: u64 = times
        .iter()
        .filter(|(number, _)| *number != POISON)
        .map(|(_, count)| count - 1)
        .sum();
    let most = kills * (CONCURRENCY + 2 * BATCH) as u64;
    assert!(
        again <= most,
        "{again} of at most {most} were handled again"
    );
    drop(processes);
    eventually_asked(SOON, "their connections are gone", async || {
        rig.server.clients_named("redis-steward").len() == rig.pool().open
    })
    .await;
    rig.end().await;
}
