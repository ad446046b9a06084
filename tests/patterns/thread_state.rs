//! The state of a chat's threads: JSON under `thread_state:<id>` for a day, a default where there is none, deleted on a
//! reset. A chat survives an outage, and what was said in it is not lost.

use std::time::Duration;

use redis_steward::{Database, Error, Source};
use serde_json::{Value, json};

use crate::site::{Setup, on_every_site, replaying};

on_every_site!(a_thread_goes_on);

const DAY: i64 = 86_400;

struct Threads {
    redis: Database,
}

impl Threads {
    async fn load(&self, thread: &str) -> Result<(Value, Source), Error> {
        let get = redis::cmd("GET").arg(key(thread)).take();
        let (state, source): (Option<String>, _) = self.redis.query_with_source(get).await?;
        let default = || json!({"step": "greeting", "turns": 0});
        let state = state.map_or_else(default, |state| {
            serde_json::from_str(&state).expect("JSON, as it was stored")
        });
        Ok((state, source))
    }

    async fn save(&self, thread: &str, state: &Value) -> Result<Source, Error> {
        let set = redis::cmd("SET")
            .arg(key(thread))
            .arg(state.to_string())
            .arg("EX")
            .arg(DAY)
            .take();
        let ((), source) = self.redis.query_with_source(set).await?;
        Ok(source)
    }

    async fn reset(&self, thread: &str) -> Result<(), Error> {
        self.redis.query(redis::cmd("DEL").arg(key(thread))).await
    }

    /// One more turn of a thread. Returns their number.
    async fn turn(&self, thread: &str) -> Result<(i64, Source), Error> {
        let (mut state, _) = self.load(thread).await?;
        let turns = state["turns"].as_i64().expect("a number") + 1;
        state["turns"] = turns.into();
        Ok((turns, self.save(thread, &state).await?))
    }
}

fn key(thread: &str) -> String {
    format!("thread_state:{thread}")
}

async fn a_thread_goes_on(setup: Setup) {
    // A thread begins anew where its state is missing, so what was last seen of it is to be there in an outage.
    let fallback = replaying().stale_reads(Duration::from_secs(DAY as u64), 10_000);
    let mut site = setup.start(|program| program.fallback(fallback)).await;
    let threads = Threads {
        redis: site.redis.clone(),
    };
    for expected in 1..=3 {
        let (turns, source) = threads.turn("ann").await.expect("a turn");
        assert_eq!((turns, source), (expected, Source::Redis));
        threads.turn("ben").await.expect("a turn");
        threads.turn("eve").await.expect("a turn");
    }

    site.outage().await;
    let here = if site.is_disturbed() {
        Source::Memory
    } else {
        Source::Redis
    };
    for expected in 4..=5 {
        assert_eq!(
            threads.turn("ann").await.expect("a turn"),
            (expected, here),
            "the thread goes on where it was"
        );
    }
    threads.reset("ben").await.expect("a reset");
    let (state, _) = threads.load("ben").await.expect("a state");
    assert_eq!(state["turns"], 0, "a reset holds at once");
    assert_eq!(threads.turn("new").await.expect("a turn").0, 1);

    let event = site.recovery().await;
    if let Some(event) = event {
        let recovery = event.recovery.expect("a report");
        assert!(
            recovery.is_complete() && recovery.discarded == 0,
            "{recovery}"
        );
        assert_eq!(recovery.replayed, 3, "one change of each thread");
    }
    for (thread, turns) in [("ann", 5), ("eve", 3), ("new", 1)] {
        let state: String = site.there(&format!("GET {}", key(thread))).await;
        let state: Value = serde_json::from_str(&state).expect("JSON");
        assert_eq!(state["turns"], turns, "{thread}");
        let left: i64 = site.there(&format!("TTL {}", key(thread))).await;
        assert!((DAY - 100..=DAY).contains(&left), "{thread}: {left}");
    }
    let ben: Option<String> = site.there(&format!("GET {}", key("ben"))).await;
    assert_eq!(ben, None, "what was deleted stays deleted");
    assert_eq!(
        threads.turn("ann").await.expect("a turn"),
        (6, Source::Redis)
    );
}
