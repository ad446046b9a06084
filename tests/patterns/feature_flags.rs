//! Feature flags: the mode, overrides for single endpoints, a history of the last hundred changes, and a list by SCAN. In an
//! outage flags stay as they were last seen, a change holds at once, and is not lost.

use std::time::Duration;

use redis_steward::{Database, Error};

use crate::{
    fate::Fate,
    site::{Setup, on_every_site, replaying},
};

on_every_site!(flags_stay_as_they_were_set);

struct Flags {
    redis: Database,
}

impl Flags {
    async fn set(&self, key: &str, mode: &str) -> Result<(), Error> {
        let mut change = redis::pipe();
        change.set(key, mode).ignore();
        change
            .lpush("flags:history", format!("{key}={mode}"))
            .ignore();
        change.ltrim("flags:history", 0, 99).ignore();
        self.redis.pipeline(change).await
    }

    /// The override of an endpoint, or the mode of all.
    async fn of(&self, endpoint: &str) -> Result<String, Error> {
        let both = redis::cmd("MGET")
            .arg(format!("flags:endpoint:{endpoint}"))
            .arg("flags:mode")
            .take();
        let (own, mode): (Option<String>, Option<String>) = self.redis.query(both).await?;
        Ok(own.or(mode).unwrap_or_else(|| "off".into()))
    }

    async fn overrides(&self) -> Result<Vec<String>, Error> {
        let (mut cursor, mut found) = (0, Vec::new());
        loop {
            let scan = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg("flags:endpoint:*")
                .take();
            let (next, keys): (u64, Vec<String>) = self.redis.query(scan).await?;
            found.extend(keys);
            cursor = next;
            if cursor == 0 {
                found.sort();
                return Ok(found);
            }
        }
    }
}

async fn flags_stay_as_they_were_set(setup: Setup) {
    let fallback = replaying().stale_reads(Duration::from_secs(3_600), 1_000);
    let mut site = setup.start(|program| program.fallback(fallback)).await;
    let flags = Flags {
        redis: site.redis.clone(),
    };
    flags.set("flags:mode", "log_only").await.expect("set");
    flags.set("flags:endpoint:/pay", "on").await.expect("set");
    assert_eq!(flags.of("/chat").await.expect("a mode"), "log_only");

    site.outage().await;
    assert_eq!(flags.of("/chat").await.expect("a mode"), "log_only");
    assert_eq!(flags.of("/pay").await.expect("a mode"), "on");
    for number in 0..150 {
        let mode = if number % 2 == 0 { "on" } else { "off" };
        flags.set("flags:endpoint:/chat", mode).await.expect("set");
        assert_eq!(flags.of("/chat").await.expect("a mode"), mode);
    }
    let listed = flags.overrides().await;
    let both = ["flags:endpoint:/chat", "flags:endpoint:/pay"];
    match &listed {
        Ok(listed) => assert_eq!(*listed, both),
        Err(error) => assert_eq!(Fate::of_error(error), Fate::Nowhere),
    }
    assert_eq!(site.is_disturbed(), listed.is_err());

    site.recovery().await;
    assert_eq!(flags.overrides().await.expect("a list"), both);
    assert_eq!(flags.of("/chat").await.expect("a mode"), "off");
    assert_eq!(site.there::<String>("GET flags:mode").await, "log_only");
    let history: Vec<String> = site.there("LRANGE flags:history 0 -1").await;
    assert_eq!(history.len(), 100);
    for (back, change) in history.iter().enumerate() {
        let mode = if back % 2 == 0 { "off" } else { "on" };
        assert_eq!(*change, format!("flags:endpoint:/chat={mode}"), "{back}");
    }
}
