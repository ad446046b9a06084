//! Caches of a chat: summaries that expire, six of a thread dropped at once, many read in one pipeline; and its events as a
//! list, of which none is lost or doubled whose push was acknowledged.

use redis_steward::{Database, Error, Source};

use crate::{
    fate::Fate,
    site::{Setup, on_every_site, replaying},
};

on_every_site!(
    caches_are_kept_and_dropped,
    every_acknowledged_event_is_there_once,
);

const KINDS: [(&str, u64); 6] = [
    ("routine_summary:ann:daily", 3_600),
    ("routine_summary:ann:weekly", 3_600),
    ("recent_events:ann:sleep", 1_800),
    ("recent_events:ann:meals", 1_800),
    ("active_routine:ann:sleep", 7_200),
    ("active_routine:ann:meals", 7_200),
];

struct Summaries {
    redis: Database,
}

impl Summaries {
    async fn store(&self, value: &str) -> Result<(), Error> {
        let mut all = redis::pipe();
        for (key, lives_for) in KINDS {
            all.set_ex(key, value, lives_for).ignore();
        }
        self.redis.pipeline(all).await
    }

    async fn load(&self) -> Result<(Vec<Option<String>>, Source), Error> {
        let mut all = redis::pipe();
        for (key, _) in KINDS {
            all.get(key);
        }
        self.redis.pipeline_with_source(all).await
    }

    /// Something has changed, of which they are summaries.
    async fn invalidate(&self) -> Result<(), Error> {
        let keys: Vec<_> = KINDS.iter().map(|(key, _)| *key).collect();
        self.redis.query(redis::cmd("DEL").arg(keys)).await
    }
}

async fn caches_are_kept_and_dropped(setup: Setup) {
    let mut site = setup
        .start(|program| program.fallback(redis_steward::Fallback::memory()))
        .await;
    let summaries = Summaries {
        redis: site.redis.clone(),
    };
    let new = || vec![Some("new".to_owned()); KINDS.len()];
    summaries.store("old").await.expect("stored");

    site.outage().await;
    summaries.invalidate().await.expect("dropped");
    let (found, _) = summaries.load().await.expect("a reply");
    assert_eq!(found, vec![None; KINDS.len()], "none is out of date");
    summaries.store("new").await.expect("stored");
    assert_eq!(summaries.load().await.expect("a reply").0, new());

    let event = site.recovery().await;
    let (found, source) = summaries.load().await.expect("a reply");
    assert_eq!(source, Source::Redis);
    match event {
        // A cache may lose what it has, but has nothing that was dropped.
        Some(event) => {
            let recovery = event.recovery.expect("a report");
            assert_eq!((recovery.replayed, recovery.discarded), (6, 6));
            assert_eq!(found, vec![None; KINDS.len()]);
        }
        None => assert_eq!(found, new()),
    }
    summaries.store("new").await.expect("stored");
    for (key, lives_for) in KINDS {
        let left: u64 = site.there(&format!("TTL {key}")).await;
        assert!((lives_for - 60..=lives_for).contains(&left), "{key}");
    }
}

async fn every_acknowledged_event_is_there_once(setup: Setup) {
    let mut site = setup.start(|program| program.fallback(replaying())).await;
    let redis = site.redis.clone();
    let fates = site
        .through(move |number| {
            let redis = redis.clone();
            async move {
                let push = redis::cmd("RPUSH")
                    .arg("thread_events:ann")
                    .arg(number)
                    .take();
                Fate::of(&redis.query_with_source::<usize>(push).await)
            }
        })
        .await;

    let events: Vec<usize> = site.there("LRANGE thread_events:ann 0 -1").await;
    assert!(
        events.is_sorted(),
        "they are in the order in which they came"
    );
    for (number, fate) in fates.iter().enumerate() {
        let times = events.iter().filter(|event| **event == number).count();
        assert!(fate.times().contains(&times), "{number}: {fate:?}, {times}");
    }
    let in_doubt = fates.iter().filter(|fate| **fate == Fate::Unknown).count();
    assert!(
        in_doubt <= 1,
        "at most the one that was under way: {in_doubt}"
    );
    assert!(fates.contains(&Fate::InMemory) || !site.is_disturbed());
}
