//! Goal: with `replay`, the server has after an outage what callers were told.

use std::{collections::BTreeMap, time::Duration};

use redis_steward::{Execution, Fallback, HealthState, OnRecovery, Source};

use crate::{
    common::{FaultProxy, Mode, RedisServer, eventually_async, left_out_on_embedded, words},
    rig::{Rig, SOON},
};

fn replaying() -> Fallback {
    Fallback::memory().on_recovery(OnRecovery::Replay)
}

#[tokio::test]
async fn an_outage_in_the_middle_of_load_loses_no_acknowledged_write() {
    const KEYS: usize = 300;
    let mut rig = Rig::start(replaying()).await;
    let writers = (0..8).map(|writer| {
        let main = rig.main.clone();
        tokio::spawn(write(main, writer, KEYS))
    });
    let writers: Vec<_> = writers.collect();
    let has_begun = || rig.stats().succeeded > 1_000;
    eventually_async(SOON, "writes succeed", has_begun).await;
    rig.outage().await;
    let served = rig.stats().fallback.served;
    let serves = || rig.stats().fallback.served > served + 3_000;
    eventually_async(SOON, "the store serves", serves).await;
    let event = rig.recovery().await;
    let recovery = event.recovery.expect("a report");
    assert!(
        recovery.replayed > 0 && recovery.is_complete(),
        "{recovery}"
    );
    let succeeded = rig.stats().succeeded;
    let goes_on = || rig.stats().succeeded > succeeded + 500;
    eventually_async(SOON, "writes go on at the server", goes_on).await;
    rig.supervisor.isolate("main").await.expect("main");
    for writer in writers {
        for (key, told) in writer.await.expect("no panic") {
            let there = rig.server.cli(&["GET", &key]);
            assert!(
                told.contains(&there),
                "{key}: {there} and not one of {told:?}"
            );
        }
    }
}

/// Writes until the database is isolated. Returns the values that each key may have: the last one that was
/// acknowledged, and those after it whose fate is unknown.
async fn write(
    main: redis_steward::Database,
    writer: usize,
    keys: usize,
) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0.. {
        let key = format!("w{writer}:{}", number % keys);
        let value = number.to_string();
        let set = words(&format!("SET {key} {value} EX 1000"));
        match main.query_with_source::<()>(set).await {
            Ok(_) => drop(told.insert(key, vec![value])),
            Err(redis_steward::Error::Isolated { .. }) => break,
            Err(error) if error.execution() == Execution::Unknown => {
                told.entry(key).or_default().push(value);
            }
            Err(_) => {}
        }
        tokio::task::yield_now().await;
    }
    told
}

#[tokio::test]
async fn the_server_gets_what_callers_were_told() {
    if left_out_on_embedded() {
        return;
    }
    let mut rig = Rig::start(replaying()).await;
    for line in [
        "MSET a 1 b 1 c 1 n 40 text x",
        "RPUSH l old",
        "SADD s old gone",
        "HSET h f 1 gone 1",
    ] {
        let ((), _) = rig.ask(line).await;
    }
    rig.outage().await;
    for line in [
        "SET a 2",
        "SET a 3 EX 1000",
        "DEL b",
        "SETEX c 1000 2",
        "PERSIST c",
        "INCR n",
        "INCRBY n 1",
        "RPUSH l new",
        "RPUSH l newer",
        "SREM s gone",
        "SADD s new",
        "HDEL h gone",
        "HSET h g 2",
        "ZADD z 1 m",
        "SET short 1 PX 1",
        "LPUSH text conflict",
    ] {
        let _: redis::Value = rig.local(line).await;
    }
    let event = rig.recovery().await;
    let recovery = event.recovery.expect("a report");
    assert_eq!(
        (recovery.refused, recovery.dropped, recovery.in_doubt),
        (1, 0, 0)
    );
    assert!(
        event.to_string().contains("1 refused by the server"),
        "{event}"
    );
    let cli = |line: &str| rig.server.cli(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(cli("GET a"), "3");
    let left: i64 = cli("TTL a").parse().expect("a number");
    assert!((900..=1000).contains(&left), "{left}");
    assert_eq!(cli("EXISTS b short"), "0");
    assert_eq!((cli("GET c"), cli("TTL c")), ("2".into(), "-1".into()));
    assert_eq!(cli("GET n"), "42");
    assert_eq!(cli("GET text"), "x");
    assert_eq!(cli("LRANGE l 0 -1"), "old\nnew\nnewer");
    assert_eq!(
        (cli("SISMEMBER s gone"), cli("SCARD s")),
        ("0".into(), "2".into())
    );
    assert_eq!(cli("HGETALL h"), "f\n1\ng\n2");
    assert_eq!(cli("ZSCORE z m"), "1");
}

#[tokio::test]
async fn beyond_its_bound_the_journal_tells_how_much_was_dropped() {
    let mut rig = Rig::start(replaying().max_journal_entries(100)).await;
    rig.outage().await;
    for round in 0..3 {
        for number in 0..250 {
            let () = rig.local(&format!("SET k{number} {round}")).await;
        }
    }
    let event = rig.recovery().await;
    let recovery = event.recovery.expect("a report");
    assert_eq!((recovery.replayed, recovery.dropped), (100, 650));
    for number in 0..250 {
        let there = rig.server.cli(&["GET", &format!("k{number}")]);
        let expected = if number < 150 { "(nil)" } else { "2" };
        assert_eq!(there, expected, "k{number}");
    }
    assert_eq!(rig.stats().fallback.recovery, recovery);
}

#[tokio::test]
async fn callers_wait_until_all_is_replayed() {
    let mut rig = Rig::start(replaying()).await;
    rig.outage().await;
    for number in 0..2_000 {
        let () = rig.local(&format!("SET k{number} {number}")).await;
    }
    // The last of them is replayed last. Whoever reads sees it, from memory or from the server.
    let main = rig.main.clone();
    let reader = tokio::spawn(async move {
        loop {
            let read = main
                .query_with_source::<Option<String>>(words("GET k1999"))
                .await;
            let (value, source) = read.expect("served");
            assert_eq!(value.as_deref(), Some("1999"), "{source}");
            if source == Source::Redis {
                break;
            }
            tokio::task::yield_now().await;
        }
    });
    let event = rig.recovery().await;
    assert_eq!(event.recovery.expect("a report").replayed, 2_000);
    reader.await.expect("no miss");
}

#[tokio::test]
async fn a_replay_that_is_cut_off_goes_on_at_the_next_recovery() {
    if left_out_on_embedded() {
        return;
    }
    let mut rig = Rig::start(replaying()).await;
    for round in 0..5 {
        rig.outage().await;
        for number in 0..3_000 {
            let () = rig.local(&format!("SET k{number} {round}")).await;
        }
        rig.server.restart_without_waiting();
        let before = rig.stats().fallback.recovery.replayed;
        let has_begun = || rig.stats().fallback.recovery.replayed > before;
        eventually_async(SOON, "the replay has begun", has_begun).await;
        rig.server.kill();
        let is_stood_in = || matches!(rig.stats().health, HealthState::Degraded { .. });
        eventually_async(SOON, "the store stands in", is_stood_in).await;
        rig.recovery().await;
        for number in (0..3_000).step_by(97) {
            let (there, source): (String, _) = rig.ask(&format!("GET k{number}")).await;
            assert_eq!((there, source), (round.to_string(), Source::Redis));
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_waited_for() {
    let full = RedisServer::builder().arg("maxmemory", "1").start();
    let mut rig = Rig::on(full, replaying(), |main| main).await;
    rig.outage().await;
    let () = rig.local("SET a 1").await;
    rig.server.restart();
    let is_put_off = || rig.server.errorstat("OOM") > 2;
    eventually_async(SOON, "the server refuses the write", is_put_off).await;
    // The store serves between the attempts, and calls during them wait.
    let (kept, source): (String, _) = rig.ask("GET a").await;
    assert_eq!((&*kept, source), ("1", Source::Memory));
    rig.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    rig.event(|event| event.recovery.is_some()).await;
    assert_eq!(rig.server.cli(&["GET", "a"]), "1");
}

/// The connection breaks after the server has carried out a part, and before it could say so.
#[tokio::test]
async fn nothing_is_carried_out_twice_and_what_is_in_doubt_is_told() {
    const KEYS: u64 = 300;
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let mut rig = Rig::at(&proxy.url(), server, |main| main.fallback(replaying())).await;
    proxy.refuse();
    proxy.reset_all();
    rig.stands_in().await;
    for number in 0..KEYS {
        let _: i64 = rig.local(&format!("RPUSH l{number} x")).await;
        let _: i64 = rig.local(&format!("SADD s{number} x")).await;
    }
    proxy.heal();
    proxy.set(Mode::Delay {
        requests: Duration::ZERO,
        replies: Duration::from_millis(300),
    });
    let is_under_way = || rig.server.cli(&["EXISTS", "l0"]) == "1";
    eventually_async(SOON, "the first lot is carried out", is_under_way).await;
    proxy.reset_all();
    proxy.heal();
    let event = rig.event(|event| event.recovery.is_some()).await;
    let recovery = event.recovery.expect("a report");
    assert!((1..=128).contains(&recovery.in_doubt), "{recovery}");
    assert_eq!(recovery.replayed + recovery.in_doubt, 2 * KEYS);
    for number in 0..KEYS {
        let length = rig.server.cli(&["LLEN", &format!("l{number}")]);
        assert_eq!(length, "1", "l{number}");
        let members = rig.server.cli(&["SCARD", &format!("s{number}")]);
        assert_eq!(members, "1", "s{number}");
    }
}

/// The lie: what is added to a key that expires outlives it at the server.
#[tokio::test]
async fn what_has_expired_before_the_recovery_is_not_there_for_ever() {
    let mut rig = Rig::start(replaying()).await;
    rig.outage().await;
    for line in [
        "SET n 5 PX 200",
        "INCR n",
        "SADD s m",
        "PEXPIRE s 200",
        "SADD s o",
    ] {
        let _: redis::Value = rig.local(line).await;
    }
    rig.until_gone("n s").await;
    rig.recovery().await;
    assert_eq!(rig.server.cli(&["EXISTS", "n", "s"]), "0");
}
