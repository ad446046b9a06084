//! Background tasks of several workers: their state as JSON for a day, with the time of the last sign of life; and a scan for
//! those whose worker has gone. In an outage no task is taken for an orphan because it cannot be seen.

use redis_steward::{Database, Error};
use serde_json::{Value, json};

use crate::{
    fate::Fate,
    site::{Setup, on_every_site, replaying},
};

on_every_site!(only_real_orphans_are_found);

const DAY: i64 = 86_400;
const PATIENCE: u64 = 60;

struct Tasks {
    redis: Database,
}

impl Tasks {
    async fn report(&self, task: &str, status: &str, now: u64) -> Result<(), Error> {
        let state = json!({"task": task, "status": status, "seen": now});
        let set = redis::cmd("SET")
            .arg(format!("task:{task}"))
            .arg(state.to_string())
            .arg("EX")
            .arg(DAY)
            .take();
        self.redis.query(set).await
    }

    async fn status(&self, task: &str) -> Result<Option<String>, Error> {
        let get = redis::cmd("GET").arg(format!("task:{task}")).take();
        let state: Option<String> = self.redis.query(get).await?;
        let status = |state: String| {
            let state: Value = serde_json::from_str(&state).expect("JSON");
            state["status"].as_str().expect("a text").to_owned()
        };
        Ok(state.map(status))
    }

    /// The running tasks whose worker has given no sign of life for too long.
    async fn orphans(&self, now: u64) -> Result<Vec<String>, Error> {
        let (mut cursor, mut orphans) = (0, Vec::new());
        loop {
            let scan = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg("task:*")
                .take();
            let (next, keys): (u64, Vec<String>) = self.redis.query(scan).await?;
            if !keys.is_empty() {
                let states: Vec<Option<String>> =
                    self.redis.query(redis::cmd("MGET").arg(keys)).await?;
                let states = states.iter().flatten();
                let states = states.map(|state| serde_json::from_str(state).expect("JSON"));
                let is_orphan = |state: &Value| {
                    let seen = state["seen"].as_u64().expect("a time");
                    state["status"] == "running" && seen + PATIENCE < now
                };
                let names = states.filter(is_orphan);
                orphans
                    .extend(names.map(|state| state["task"].as_str().expect("a text").to_owned()));
            }
            cursor = next;
            if cursor == 0 {
                orphans.sort();
                return Ok(orphans);
            }
        }
    }
}

async fn only_real_orphans_are_found(setup: Setup) {
    let mut site = setup.start(|program| program.fallback(replaying())).await;
    let tasks = Tasks {
        redis: site.redis.clone(),
    };
    for task in ["alive", "lost", "ends"] {
        tasks.report(task, "running", 100).await.expect("stored");
    }
    assert!(tasks.orphans(150).await.expect("a scan").is_empty());

    site.outage().await;
    tasks.report("alive", "running", 200).await.expect("stored");
    tasks.report("ends", "done", 200).await.expect("stored");
    assert_eq!(
        tasks.status("ends").await.expect("a reply").as_deref(),
        Some("done")
    );
    let found = tasks.orphans(201).await;
    match &found {
        Ok(found) => assert_eq!(*found, ["lost"]),
        Err(error) => assert_eq!(Fate::of_error(error), Fate::Nowhere),
    }
    assert_eq!(site.is_disturbed(), found.is_err());

    site.recovery().await;
    assert_eq!(tasks.orphans(201).await.expect("a scan"), ["lost"]);
    for (task, status) in [("alive", "running"), ("ends", "done"), ("lost", "running")] {
        let found = tasks.status(task).await.expect("a reply");
        assert_eq!(found.as_deref(), Some(status), "{task}");
        let left: i64 = site.there(&format!("TTL task:{task}")).await;
        assert!((DAY - 100..=DAY).contains(&left), "{task}: {left}");
    }
}
