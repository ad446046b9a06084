//! Updates of an experiment: its state in a hash, their history in a stream of bounded length, both for a day, and each
//! update on a live channel, in one transaction. A page follows the experiment: it subscribes, reads the state, and reads
//! it again wherever updates may be missing. It shows updates of one kind only, never goes back, and is up to date in the
//! end.

use redis_steward::{Database, Error, PubSubEvent};
use serde_json::{Value, json};

use crate::{
    fate::Fate,
    site::{SOON, Setup, on_every_site},
};

on_every_site!(pages_are_up_to_date_after_every_course);

const STATE: &str = "experiment:7";
const HISTORY: &str = "experiment:7:history";
const UPDATES: &str = "experiment:7:updates";
const DAY: i64 = 86_400;
const LENGTH: usize = 10_000;

async fn update(redis: &Database, kind: &str, step: usize) -> Result<(), Error> {
    let message = json!({"kind": kind, "step": step}).to_string();
    let mut update = redis::pipe();
    update
        .atomic()
        .hset(STATE, kind, step)
        .expire(STATE, DAY)
        .cmd("XADD")
        .arg(HISTORY)
        .arg(&["MAXLEN", "~"])
        .arg(LENGTH)
        .arg(&["*", "kind", kind, "step"])
        .arg(step)
        .expire(HISTORY, DAY)
        .publish(UPDATES, message);
    redis.pipeline::<()>(update).await
}

/// What a page has shown.
#[derive(Default)]
struct Page {
    shown: Vec<usize>,
    /// How often it had to read the state again.
    reloads: usize,
}

impl Page {
    fn show(&mut self, step: usize) {
        // What was on its way while the state was read is no news.
        if self.shown.last().is_none_or(|last| *last < step) {
            self.shown.push(step);
        }
    }
}

async fn state(redis: &Database) -> Option<usize> {
    let get = redis::cmd("HGET").arg(STATE).arg("step").take();
    redis.query(get).await.expect("a state")
}

/// Follows the steps until the experiment has ended.
async fn follow(redis: Database) -> Page {
    let mut updates = redis.subscribe([UPDATES]).await.expect("subscribed");
    let mut page = Page::default();
    if let Some(step) = state(&redis).await {
        page.show(step);
    }
    while let Some(event) = updates.next().await {
        if event.misses_messages() {
            page.reloads += 1;
            if let Some(step) = state(&redis).await {
                page.show(step);
            }
        }
        let PubSubEvent::Message { payload, .. } = event else {
            continue;
        };
        let update: Value = serde_json::from_slice(&payload).expect("JSON");
        match update["kind"].as_str() {
            Some("step") => page.show(update["step"].as_u64().expect("a step") as usize),
            Some("end") => break,
            // A page of another kind shows these.
            _ => {}
        }
    }
    page
}

async fn pages_are_up_to_date_after_every_course(setup: Setup) {
    let mut site = setup.start(|program| program).await;
    let patient = site.redis.patient().with_timeout(SOON);
    let pages: Vec<_> = (0..3)
        .map(|_| tokio::spawn(follow(patient.clone())))
        .collect();
    let all_follow = || {
        site.supervisor.statistics().databases["program"]
            .subscriptions
            .subscribers
            == 3
    };
    crate::common::eventually_async(SOON, "all follow", all_follow).await;

    let redis = site.redis.clone();
    let ended = site
        .through(move |step| {
            let redis = redis.clone();
            async move {
                let ended = update(&redis, "step", step).await;
                // Nobody shows it.
                let _ = update(&redis, "note", step).await;
                ended
            }
        })
        .await;
    let last = ended.len();
    update(&patient, "step", last).await.expect("the last step");
    update(&patient, "end", last).await.expect("the end");

    let mut history: Vec<(String, Vec<String>)> =
        site.there(&format!("XRANGE {HISTORY} - +")).await;
    history.retain(|(_, fields)| fields[1] == "step");
    let steps: Vec<usize> = history
        .iter()
        .map(|(_, fields)| fields[3].parse().expect("a step"))
        .collect();
    assert!(steps.is_sorted());
    for (step, ended) in ended.iter().enumerate() {
        let fate = ended
            .as_ref()
            .map_or_else(Fate::of_error, |()| Fate::AtServer);
        let times = steps.iter().filter(|other| **other == step).count();
        assert!(
            fate.times().contains(&times),
            "{step} is {fate:?} and there {times} times"
        );
    }
    for page in pages {
        let page = page.await.expect("no panic");
        assert!(page.shown.is_sorted());
        assert_eq!(page.shown.last(), Some(&last), "up to date");
        if site.is_disturbed() {
            assert!(page.reloads > 0, "the outage is told");
            assert!(page.shown.iter().all(|step| steps.contains(step)));
        } else {
            assert_eq!((page.reloads, &page.shown), (0, &steps), "none is missed");
        }
    }
    let lives: i64 = site.there(&format!("TTL {STATE}")).await;
    assert!((DAY - 120..=DAY).contains(&lives), "{lives}");
}
