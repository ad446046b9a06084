//! Goal: typed commands of every family work. Method: a real server, over TCP and over a Unix socket;
//! values are written, read back and compared.

use std::collections::{BTreeSet, HashMap, HashSet};

use redis::{
    AsyncCommands, RedisResult,
    streams::{StreamReadOptions, StreamReadReply},
};
use redis_steward::Database;

use crate::common::{RedisServer, Rig};

#[tokio::test]
async fn typed_commands_of_every_family_work_over_tcp() {
    let rig = Rig::start().await;
    every_family(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn typed_commands_of_every_family_work_over_a_unix_socket() {
    let rig = Rig::on(RedisServer::builder().unix().start(), |main| main).await;
    every_family(&rig).await;
    rig.end().await;
}

async fn every_family(rig: &Rig) {
    strings_and_keys(rig.main.clone())
        .await
        .expect("strings and keys");
    hashes_and_lists(rig.main.clone())
        .await
        .expect("hashes and lists");
    sets_and_sorted_sets(rig.main.clone())
        .await
        .expect("sets and sorted sets");
    streams(rig.main.clone()).await.expect("streams");
    bits_and_places(rig.main.clone())
        .await
        .expect("bit and geo commands");
    scans(rig.main.clone()).await.expect("scans");
}

async fn strings_and_keys(mut main: Database) -> RedisResult<()> {
    main.set::<_, _, ()>("s", "forty").await?;
    assert_eq!(main.append::<_, _, usize>("s", "-two").await?, 9);
    assert_eq!(main.getrange::<_, String>("s", 0, 4).await?, "forty");
    assert_eq!(main.get::<_, Option<String>>("nothing").await?, None);
    main.mset::<_, _, ()>(&[("a", 1), ("b", 2)]).await?;
    let found: Vec<Option<i64>> = main.mget(&["a", "nothing", "b"]).await?;
    assert_eq!(found, [Some(1), None, Some(2)]);
    assert_eq!(main.incr::<_, _, i64>("a", 41).await?, 42);
    assert!(main.expire::<_, bool>("a", 100).await?);
    assert!((1..=100).contains(&main.ttl::<_, i64>("a").await?));
    assert!(main.persist::<_, bool>("a").await?);
    assert!(!main.rename_nx::<_, _, bool>("a", "b").await?);
    assert_eq!(main.del::<_, usize>(&["a", "b", "nothing"]).await?, 2);
    assert!(!main.exists::<_, bool>("a").await?);
    Ok(())
}

async fn hashes_and_lists(mut main: Database) -> RedisResult<()> {
    main.hset_multiple::<_, _, _, ()>("h", &[("one", 1), ("two", 2)])
        .await?;
    assert_eq!(main.hincr::<_, _, _, i64>("h", "two", 20).await?, 22);
    let all: HashMap<String, i64> = main.hgetall("h").await?;
    assert_eq!(
        all,
        HashMap::from([("one".to_owned(), 1), ("two".to_owned(), 22)])
    );
    main.rpush::<_, _, ()>("l", &["b", "c"]).await?;
    assert_eq!(main.lpush::<_, _, usize>("l", "a").await?, 3);
    assert_eq!(
        main.lrange::<_, Vec<String>>("l", 0, -1).await?,
        ["a", "b", "c"]
    );
    assert_eq!(
        main.lpop::<_, Option<String>>("l", None).await?.as_deref(),
        Some("a")
    );
    Ok(())
}

async fn sets_and_sorted_sets(mut main: Database) -> RedisResult<()> {
    main.sadd::<_, _, ()>("set", &["x", "y", "x"]).await?;
    let members: HashSet<String> = main.smembers("set").await?;
    assert_eq!(members, HashSet::from(["x".to_owned(), "y".to_owned()]));
    assert!(main.sismember::<_, _, bool>("set", "x").await?);
    main.zadd_multiple::<_, _, _, ()>("z", &[(1.5, "low"), (f64::INFINITY, "high")])
        .await?;
    let ranked: Vec<(String, f64)> = main.zrange_withscores("z", 0, -1).await?;
    assert_eq!(
        ranked,
        [("low".to_owned(), 1.5), ("high".to_owned(), f64::INFINITY)]
    );
    assert_eq!(
        main.zscore::<_, _, Option<f64>>("z", "low").await?,
        Some(1.5)
    );
    assert_eq!(
        main.zscore::<_, _, Option<f64>>("z", "stranger").await?,
        None
    );
    Ok(())
}

async fn streams(mut main: Database) -> RedisResult<()> {
    main.xgroup_create_mkstream::<_, _, _, ()>("x", "group", "$")
        .await?;
    let id: String = main.xadd("x", "*", &[("field", "value")]).await?;
    assert_eq!(main.xlen::<_, usize>("x").await?, 1);
    let read = StreamReadOptions::default()
        .group("group", "consumer")
        .count(10);
    let reply: StreamReadReply = main.xread_options(&["x"], &[">"], &read).await?;
    let entry = &reply.keys[0].ids[0];
    assert_eq!(
        (&entry.id, entry.get("field")),
        (&id, Some("value".to_owned()))
    );
    assert_eq!(main.xack::<_, _, _, usize>("x", "group", &[id]).await?, 1);
    Ok(())
}

async fn bits_and_places(mut main: Database) -> RedisResult<()> {
    assert!(!main.setbit::<_, bool>("bits", 7, true).await?);
    assert_eq!(main.bitcount::<_, usize>("bits").await?, 1);
    assert_eq!(main.bit_not::<_, _, usize>("flipped", "bits").await?, 1);
    assert_eq!(main.get::<_, Vec<u8>>("flipped").await?, [0xfe]);
    let sicily = [
        (13.361389, 38.115556, "Palermo"),
        (15.087269, 37.502669, "Catania"),
    ];
    assert_eq!(main.geo_add::<_, _, usize>("geo", &sicily[..]).await?, 2);
    let km = redis::geo::Unit::Kilometers;
    let apart: f64 = main.geo_dist("geo", "Palermo", "Catania", km).await?;
    assert!((166.2..166.4).contains(&apart), "{apart}");
    Ok(())
}

async fn scans(mut main: Database) -> RedisResult<()> {
    let expected: BTreeSet<String> = (0..1000).map(|n| format!("scan:{n}")).collect();
    let mut pipeline = redis::pipe();
    for key in &expected {
        pipeline
            .set(key, 0)
            .ignore()
            .hset("scanned", key, 0)
            .ignore();
    }
    main.pipeline::<()>(&pipeline).await?;
    let mut found = BTreeSet::new();
    let mut keys = main.scan_match::<_, String>("scan:*").await?;
    while let Some(key) = keys.next_item().await {
        found.insert(key?);
    }
    drop(keys);
    assert_eq!(found, expected);
    let mut fields = main.hscan::<_, (String, i64)>("scanned").await?;
    let mut found = BTreeSet::new();
    while let Some(field) = fields.next_item().await {
        found.insert(field?.0);
    }
    assert_eq!(found, expected);
    Ok(())
}
