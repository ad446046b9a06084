//! What calls of a model cost: one atomic pipeline for each, of counters by day and by model and a list of the last hundred;
//! the days are read in one pipeline. Counters are not idempotent: none counts twice what was acknowledged once.

use std::collections::HashMap;

use redis_steward::{Database, Error, Source};

use crate::{
    fate::Fate,
    site::{Setup, on_every_site, replaying},
};

on_every_site!(all_that_was_acknowledged_is_counted_once);

const DAYS: usize = 3;

#[derive(Clone)]
struct Costs {
    redis: Database,
}

impl Costs {
    async fn record(&self, number: usize) -> Result<((), Source), Error> {
        let day = day(number);
        let mut record = redis::pipe();
        record.atomic();
        record.hincr(&day, "calls", 1).ignore();
        record.hincr(&day, "tokens", 10).ignore();
        record.hincr(&day, "usd", 0.25).ignore();
        record.expire(&day, 86_400).ignore();
        record.incr("cost:calls", 1).ignore();
        record.lpush("cost:usage", number).ignore();
        record.ltrim("cost:usage", 0, 99).ignore();
        self.redis.pipeline_with_source(record).await
    }

    async fn days(&self) -> Result<Vec<HashMap<String, f64>>, Error> {
        let mut all = redis::pipe();
        for number in 0..DAYS {
            all.hgetall(day(number));
        }
        self.redis.pipeline(all).await
    }
}

fn day(number: usize) -> String {
    format!("cost:day:{}", number % DAYS)
}

async fn all_that_was_acknowledged_is_counted_once(setup: Setup) {
    let mut site = setup.start(|program| program.fallback(replaying())).await;
    let costs = Costs {
        redis: site.redis.clone(),
    };
    let recording = costs.clone();
    let fates = site
        .through(move |number| {
            let costs = recording.clone();
            async move { Fate::of(&costs.record(number).await) }
        })
        .await;
    assert!(fates.contains(&Fate::InMemory) || !site.is_disturbed());

    let usage: Vec<usize> = site.there("LRANGE cost:usage 0 -1").await;
    let days = costs.days().await.expect("three days");
    let mut calls = 0;
    for (number, day) in days.iter().enumerate() {
        let of_day = || fates.iter().skip(number).step_by(DAYS);
        let least: usize = of_day().map(|fate| *fate.times().start()).sum();
        let most: usize = of_day().map(|fate| *fate.times().end()).sum();
        let counted = day["calls"] as usize;
        assert!(
            (least..=most).contains(&counted),
            "{least} {counted} {most}"
        );
        // What is one transaction is there as a whole.
        assert_eq!(day["tokens"], 10.0 * day["calls"]);
        assert_eq!(day["usd"], 0.25 * day["calls"]);
        calls += counted;
    }
    assert_eq!(site.there::<usize>("GET cost:calls").await, calls);
    assert_eq!(usage.len(), calls.min(100));
    assert!(usage.is_sorted_by(|later, earlier| later > earlier));
    let last = fates.iter().rposition(|fate| *fate.times().start() == 1);
    assert!(
        usage.first().copied() >= last,
        "the last one is in the list"
    );
}
