//! Keys that change while their replies are kept.

use std::time::{Duration, Instant};

use redis::cmd;
use redis_steward::{Config, DatabaseConfig};

use crate::{
    Rig, SOON,
    common::{FaultProxy, Mode, RedisServer, eventually_async},
    until_read,
};

#[tokio::test]
async fn changes_by_others_are_seen() {
    let rig = Rig::start().await;
    rig.server.cli(&["SET", "a", "1"]);
    assert_eq!(rig.get_from_cache("a").await.as_deref(), Some("1"));
    rig.server.cli(&["SET", "a", "2"]);
    until_read(&rig, "a", Some("2")).await;
    assert_eq!(rig.get_from_cache("a").await.as_deref(), Some("2"));
    rig.server.cli(&["RENAME", "a", "b"]);
    until_read(&rig, "a", None).await;
    until_read(&rig, "b", Some("2")).await;
    assert_eq!(rig.get_from_cache("b").await.as_deref(), Some("2"));
    rig.server.cli(&["FLUSHALL"]);
    until_read(&rig, "b", None).await;
    assert!(rig.figures().invalidations >= 3);
    rig.stop().await;
}

#[tokio::test]
async fn own_writes_are_seen_at_once() {
    let rig = Rig::start().await;
    for round in 0..200 {
        let set = cmd("SET").arg("a").arg(round).take();
        match round % 4 {
            0 => rig.cached.query::<()>(&set).await.expect("a reply"),
            1 => {
                let mut pipeline = redis::pipe();
                pipeline.add_command(set).set("b", round);
                rig.cached.pipeline::<()>(&pipeline).await.expect("a reply");
            }
            2 => {
                let mut pipeline = redis::pipe();
                pipeline.atomic().add_command(set);
                rig.cached.pipeline::<()>(&pipeline).await.expect("a reply");
            }
            // A script may write any key.
            _ => {
                let script = "return redis.call('SET', 'a', ARGV[1])";
                let eval = cmd("EVAL").arg(script).arg(0).arg(round).take();
                rig.cached.query::<()>(&eval).await.expect("a reply");
            }
        }
        assert_eq!(rig.get("a").await, Some(round.to_string()));
        assert_eq!(rig.get("a").await, Some(round.to_string()));
    }
    assert!(rig.figures().hits > 0);
    rig.stop().await;
}

#[tokio::test]
async fn replies_live_no_longer_than_their_keys() {
    let rig = Rig::start().await;
    rig.server.cli(&["SET", "a", "1", "PX", "400"]);
    let set = Instant::now();
    let mut has_hit = false;
    loop {
        let (hits, asked) = (rig.figures().hits, Instant::now());
        let value = rig.get("a").await;
        if rig.figures().hits > hits && value.is_some() {
            has_hit = true;
            assert!(asked < set + Duration::from_millis(400));
        }
        if value.is_none() {
            break;
        }
    }
    assert!(has_hit);
    // A time to live that is given later is seen as well.
    rig.server.cli(&["SET", "b", "1"]);
    rig.get_from_cache("b").await;
    rig.server.cli(&["PEXPIRE", "b", "50"]);
    until_read(&rig, "b", None).await;
    rig.stop().await;
}

#[tokio::test]
async fn replies_get_no_older_than_the_maximum() {
    let max_age = Duration::from_millis(300);
    let rig = Rig::with(|main| main.near_cache_max_age(max_age)).await;
    rig.server.cli(&["SET", "a", "1"]);
    rig.get_from_cache("a").await;
    let calls = rig.calls("get");
    let asks_again = || rig.calls("get") > calls;
    let reading = async {
        while !asks_again() {
            rig.get("a").await;
        }
    };
    tokio::time::timeout(SOON, reading)
        .await
        .expect("the server is asked again");
    rig.stop().await;
}

#[tokio::test]
async fn transactions_and_leases_of_a_cached_handle_are_seen_at_once() {
    let rig = Rig::start().await;
    for round in 0..50 {
        let set = async |_, mut pipe: redis_steward::Loan<redis::Pipeline>| {
            pipe.set("a", round);
            Ok::<_, redis_steward::Error>(())
        };
        let ended: Result<(), redis_steward::Error> = rig.cached.transaction(&["a"], set).await;
        ended.expect("a transaction");
        assert_eq!(rig.get("a").await, Some(round.to_string()));
        let mut lease = rig.cached.lease().await.expect("a lease");
        let incr = cmd("INCR").arg("a").take();
        lease.query::<()>(&incr).await.expect("a reply");
        assert_eq!(rig.get("a").await, Some((round + 1).to_string()));
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_slow_move_leaves_nobody_at_the_old_place() {
    let rig = Rig::start().await;
    rig.server.cli(&["SET", "a", "here"]);
    let other = RedisServer::start();
    other.cli(&["SET", "a", "there"]);
    rig.get_from_cache("a").await;
    // Two connections to the old place that wait for the next lease.
    let leases = (rig.main.lease().await, rig.main.lease().await);
    drop(leases);
    let proxy = FaultProxy::start(other.port());
    let slow = Duration::from_millis(100);
    proxy.set(Mode::Delay {
        requests: slow,
        replies: slow,
    });
    let there = DatabaseConfig::from_url(proxy.url());
    let config = Config::new().database("main", there);
    rig.supervisor.apply(config).await.expect("applied");
    until_read(&rig, "a", Some("there")).await;
    proxy.heal();
    rig.until_tracking().await;
    rig.get_from_cache("a").await;
    other.cli(&["SET", "a", "again"]);
    until_read(&rig, "a", Some("again")).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_change_of_the_place_empties_it() {
    let rig = Rig::start().await;
    rig.server.cli(&["SET", "a", "here"]);
    let other = RedisServer::start();
    other.cli(&["SET", "a", "there"]);
    assert_eq!(rig.get_from_cache("a").await.as_deref(), Some("here"));
    let there = DatabaseConfig::from_url(other.url());
    let config = Config::new().database("main", there);
    rig.supervisor.apply(config).await.expect("applied");
    until_read(&rig, "a", Some("there")).await;
    // It is back at the new place.
    rig.until_tracking().await;
    assert_eq!(rig.get_from_cache("a").await.as_deref(), Some("there"));
    for _ in 0..100 {
        assert_eq!(rig.get("a").await.as_deref(), Some("there"));
    }
    other.cli(&["SET", "a", "again"]);
    until_read(&rig, "a", Some("again")).await;
    let keeps_one = || rig.figures().entries >= 1;
    eventually_async(SOON, "it is kept", keeps_one).await;
    rig.stop().await;
}
