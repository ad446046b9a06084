//! Goal: with `stale_reads`, an outage shows what was last read or written, within its age, and never what this process
//! knows to be gone.

use std::time::Duration;

use redis_steward::{Fallback, OnRecovery, Source};

use crate::{common::words, rig::Rig};

const LONG: Duration = Duration::from_secs(3600);

fn remembering() -> Fallback {
    Fallback::memory().stale_reads(LONG, 1_000)
}

async fn read(rig: &Rig, line: &str) -> Option<String> {
    rig.ask(line).await.0
}

#[tokio::test]
async fn what_was_read_is_seen_during_an_outage() {
    let mut rig = Rig::start(remembering()).await;
    let others = [
        "MSET", "a", "1", "b", "2", "c", "3", "unread", "4", "empty", "0",
    ];
    rig.server.cli(&others);
    for line in ["GET a", "GET empty"] {
        assert!(read(&rig, line).await.is_some());
    }
    let (_, _): (Vec<String>, _) = rig.ask("MGET b c").await;
    rig.outage().await;
    let a: Option<String> = rig.local("GET a").await;
    assert_eq!(a.as_deref(), Some("1"));
    let all: Vec<Option<String>> = rig.local("MGET c unread b empty").await;
    let all: Vec<_> = all.iter().map(Option::as_deref).collect();
    assert_eq!(all, [Some("3"), None, Some("2"), Some("0")]);
    assert_eq!(rig.stats().fallback.stale, 2);
}

#[tokio::test]
async fn what_this_process_has_changed_since_is_not_seen_as_it_was() {
    let mut rig = Rig::start(remembering()).await;
    for key in ["a", "b", "c", "d", "e"] {
        let ((), _) = rig.ask(&format!("SET {key} old")).await;
        assert!(read(&rig, &format!("GET {key}")).await.is_some());
    }
    // Before the outage,
    let ((), _) = rig.ask("SET a new").await;
    let _ = rig.ask::<i64>("DEL b").await;
    // and during it.
    rig.outage().await;
    let _: i64 = rig.local("DEL c").await;
    let () = rig.local("SET d new PX 1").await;
    rig.until_gone("d").await;
    for (key, expected) in [
        ("a", Some("new")),
        ("b", None),
        ("c", None),
        ("d", None),
        ("e", Some("old")),
    ] {
        let value: Option<String> = rig.local(&format!("GET {key}")).await;
        assert_eq!(value.as_deref(), expected, "{key}");
    }
}

#[tokio::test]
async fn what_was_written_is_seen_during_an_outage_until_its_time_is_over() {
    let mut rig = Rig::start(remembering()).await;
    for line in [
        "SET a 1",
        "SETEX b 3600 2",
        "MSET c 3 d 4",
        "SET short 5 PX 1",
    ] {
        let ((), _) = rig.ask(line).await;
    }
    // Changed otherwise, or in a transaction.
    let _: (i64, Source) = rig.ask("INCR c").await;
    let mut both = redis::pipe();
    both.atomic().set("d", 5).set("e", 6);
    let () = rig.main.pipeline(&both).await.expect("a reply");
    rig.outage().await;
    let all: Vec<Option<String>> = rig.local("MGET a b c d e short").await;
    let all: Vec<_> = all.iter().map(Option::as_deref).collect();
    assert_eq!(all, [Some("1"), Some("2"), None, None, None, None]);
}

#[tokio::test]
async fn what_a_script_or_a_lease_may_have_written_is_not_seen() {
    let mut rig = Rig::start(remembering()).await;
    let ((), _) = rig.ask("MSET a old b old").await;
    assert!(read(&rig, "GET a").await.is_some());
    let script = redis::cmd("EVAL")
        .arg("return redis.call('set', 'a', 'new')")
        .arg(0)
        .take();
    let () = rig.main.query(script).await.expect("a script");
    assert!(read(&rig, "GET b").await.is_some());
    let mut lease = rig.main.lease().await.expect("a lease");
    let () = lease.query(words("SET b new")).await.expect("a reply");
    drop(lease);
    rig.outage().await;
    for key in ["a", "b"] {
        let value: Option<String> = rig.local(&format!("GET {key}")).await;
        assert_eq!(value, None, "{key}");
    }
}

#[tokio::test]
async fn a_value_that_is_too_old_and_one_too_many_are_missing() {
    let mut rig = Rig::start(Fallback::memory().stale_reads(Duration::from_millis(1), 10)).await;
    let ((), _) = rig.ask("SET a 1").await;
    assert!(read(&rig, "GET a").await.is_some());
    rig.outage().await;
    let value: Option<String> = rig.local("GET a").await;
    assert_eq!(value, None);

    let mut rig = Rig::start(Fallback::memory().stale_reads(LONG, 2)).await;
    for key in ["a", "b", "c"] {
        let ((), _) = rig.ask(&format!("SET {key} 1")).await;
        assert!(read(&rig, &format!("GET {key}")).await.is_some());
    }
    rig.outage().await;
    let values: Vec<Option<String>> = rig.local("MGET a b c").await;
    assert_eq!(values.iter().flatten().count(), 2);
    assert_eq!(values[0], None);
}

#[tokio::test]
async fn stale_values_are_never_written_to_the_server() {
    let fallback = remembering().on_recovery(OnRecovery::Replay);
    let mut rig = Rig::start(fallback).await;
    let ((), _) = rig.ask("SET a old").await;
    assert!(read(&rig, "GET a").await.is_some());
    rig.outage().await;
    let value: Option<String> = rig.local("GET a").await;
    assert_eq!(value.as_deref(), Some("old"));
    rig.server.restart();
    rig.server.cli(&["SET", "a", "elsewhere"]);
    rig.event(|event| event.recovery.is_some()).await;
    let (value, source): (String, _) = rig.ask("GET a").await;
    assert_eq!((&*value, source), ("elsewhere", Source::Redis));
}
