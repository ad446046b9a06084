//! What a cache may take, and servers that do not track.

use redis::cmd;
use redis_steward::DatabaseConfig;

use crate::{
    Rig, SOON,
    common::{RedisServer, eventually_async, spawn},
};

#[tokio::test]
async fn bytes_and_entries_are_bounded() {
    let bytes = 256 * 1024;
    let rig = Rig::with(|main| main.near_cache_max_bytes(bytes).near_cache_max_entries(500)).await;
    for key in 0..1_000 {
        rig.cached
            .query::<()>(cmd("SET").arg(key).arg("small"))
            .await
            .expect("a reply");
        rig.get(&key.to_string()).await;
    }
    let figures = rig.figures();
    assert!(figures.entries <= 500, "{figures:?}");
    assert!(figures.entries > 100, "{figures:?}");
    let large = "x".repeat(10 * 1024);
    for key in 0..200 {
        rig.cached
            .query::<()>(cmd("SET").arg(key).arg(&large))
            .await
            .expect("a reply");
        assert_eq!(rig.get(&key.to_string()).await.as_deref(), Some(&*large));
    }
    let figures = rig.figures();
    assert!(figures.bytes <= bytes as u64, "{figures:?}");
    assert!(figures.evictions > 0, "{figures:?}");
    // Lower bounds hold at once.
    let main = DatabaseConfig::from_url(rig.server.url()).near_cache_max_bytes(4 * 1024);
    let config = redis_steward::Config::new().database("main", main);
    rig.supervisor.apply(config).await.expect("applied");
    let figures = rig.figures();
    assert!(figures.bytes <= 4 * 1024, "{figures:?}");
    rig.stop().await;
}

#[tokio::test]
async fn without_tracking_reads_go_to_the_server() {
    let server = RedisServer::start();
    let acl = [
        "ACL", "SETUSER", "app", "on", ">app", "~*", "+@all", "-client",
    ];
    assert_eq!(server.cli(&acl), "OK");
    let main = DatabaseConfig::from_url(server.url())
        .username("app")
        .password("app");
    let (supervisor, main) = spawn(main).await;
    let cached = main.cached();
    let trouble = || {
        let statistics = supervisor.statistics();
        statistics.databases["main"]
            .near_cache
            .clone()
            .and_then(|cache| cache.trouble)
    };
    eventually_async(SOON, "the trouble is told", || trouble().is_some()).await;
    let trouble = trouble().expect("trouble");
    assert!(trouble.contains("'client"), "{trouble}");
    for round in 0..20 {
        server.cli(&["SET", "a", &round.to_string()]);
        let value: i64 = cached.query(cmd("GET").arg("a")).await.expect("a reply");
        assert_eq!(value, round);
    }
    let figures = supervisor.statistics().databases["main"].near_cache.clone();
    let figures = figures.expect("a cache");
    assert!(
        !figures.is_tracking && figures.hits == 0 && figures.entries == 0,
        "{figures:?}"
    );
    supervisor.shutdown(SOON).await;
}
