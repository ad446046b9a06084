//! Reads from the replicas of a service.

use std::time::{Duration, Instant};

use redis::{AsyncCommands as _, cmd};
use redis_steward::{Config, Database, DatabaseConfig, Error, Refusal, Replica, Supervisor};

use crate::{
    SOON, address,
    common::{
        RedisServer, Sentinels, eventually_async, left_out_on_embedded,
        sentinels::{admit_peers, cut_off},
        spawn,
    },
    fail_over, patient,
};

/// Both replicas of a service serve, and neither is behind.
async fn until_both_serve(reads: &Replica) {
    let both = || {
        let status = reads.status();
        let serves = |replica: &redis_steward::ReplicaStatus| {
            replica.unusable.is_none() && replica.staleness.is_some()
        };
        status.len() == 2 && status.iter().all(serves)
    };
    eventually_async(SOON, "both replicas serve", both).await;
}

async fn get(reads: &Replica) -> Result<Option<String>, Error> {
    reads.query(cmd("GET").arg("greeting")).await
}

/// The calls of GET that a server has run.
fn gets(server: &RedisServer) -> u64 {
    server.commandstat("get")
}

async fn greet(main: &Database, site: &Sentinels) {
    main.query::<()>(cmd("SET").arg("greeting").arg("hello"))
        .await
        .expect("a reply");
    site.until_replicated();
}

#[tokio::test]
async fn replicas_serve_reads_and_refuse_writes() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let (supervisor, main) = spawn(patient(site.url())).await;
    greet(&main, &site).await;
    // Reads are served from the first one on, at first by the primary.
    let mut reads = main.replica();
    assert_eq!(
        get(&reads).await.expect("a reply").as_deref(),
        Some("hello")
    );
    until_both_serve(&reads).await;

    let before = gets(&site.servers[0]);
    let calls = (0..200).map(|_| get(&reads));
    for reply in futures_util::future::join_all(calls).await {
        assert_eq!(reply.expect("a reply").as_deref(), Some("hello"));
    }
    let greeting: String = reads.get("greeting").await.expect("a reply");
    assert_eq!(greeting, "hello");
    let mut pipeline = redis::pipe();
    pipeline.get("greeting").strlen("greeting");
    let replies: (String, i64) = reads.pipeline(&pipeline).await.expect("replies");
    assert_eq!(replies, ("hello".to_owned(), 5));
    let replies: (String, i64) = pipeline.query_async(&mut reads).await.expect("replies");
    assert_eq!(replies, ("hello".to_owned(), 5));
    assert_eq!(gets(&site.servers[0]), before, "the primary serves none");
    let served: u64 = site.servers[1..].iter().map(gets).sum();
    assert_eq!(served, 203);

    let refused = |error: Error| {
        let is_write = matches!(
            &error,
            Error::CommandRefused {
                refusal: Refusal::Writes,
                ..
            }
        );
        assert!(is_write, "{error}");
    };
    refused(
        reads
            .query::<()>(cmd("INCR").arg("a"))
            .await
            .expect_err("a write"),
    );
    let mut mixed = redis::pipe();
    mixed.get("greeting").incr("a", 1);
    refused(reads.pipeline::<()>(&mixed).await.expect_err("a write"));
    // A read that blocks has its own connection there, and its own time.
    let began = Instant::now();
    let block = cmd("XREAD")
        .arg("BLOCK")
        .arg(50)
        .arg("STREAMS")
        .arg("none")
        .arg("$")
        .take();
    let entries: Option<String> = reads.query(&block).await.expect("nothing");
    assert_eq!(entries, None);
    assert!(began.elapsed() >= Duration::from_millis(50));

    // Each is a database of its own, and none that the configuration names.
    assert_eq!(supervisor.databases().len(), 1);
    assert_eq!(supervisor.states().len(), 1);
    let statistics = supervisor.statistics();
    let names: Vec<_> = site.servers[1..]
        .iter()
        .map(|server| format!("main ({})", address(server.port())))
        .collect();
    for name in &names {
        assert_eq!(
            statistics.databases[name].replica_of.as_deref(),
            Some("main")
        );
    }
    // One that is taken out of use serves none.
    supervisor.isolate(&names[0]).await.expect("isolated");
    let before = gets(&site.servers[1]);
    for _ in 0..20 {
        get(&reads).await.expect("the other one");
    }
    assert_eq!(gets(&site.servers[1]), before);
    supervisor.isolate("main").await.expect("isolated");
    let error = get(&reads).await.expect_err("isolated");
    assert!(matches!(error, Error::Isolated { .. }), "{error}");
    supervisor.shutdown(SOON).await;
    let error = get(&reads).await.expect_err("no supervisor");
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
}

#[tokio::test]
async fn row_150_a_replica_that_dies_or_freezes_fails_no_read() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let main = patient(site.url())
        .command_timeout(Duration::from_secs(20))
        .attempt_timeout(Duration::from_secs(1));
    let (supervisor, main) = spawn(main).await;
    greet(&main, &site).await;
    let reads = main.replica().without_primary();
    until_both_serve(&reads).await;
    let read_on = async |count: usize| {
        for _ in 0..count {
            let calls = (0..4).map(|_| get(&reads));
            for reply in futures_util::future::join_all(calls).await {
                assert_eq!(reply.expect("a reply").as_deref(), Some("hello"));
            }
        }
    };
    read_on(50).await;
    site.servers[2].freeze();
    read_on(50).await;
    site.servers[2].thaw();
    until_both_serve(&reads).await;
    site.servers[1].kill();
    read_on(50).await;
    let gone = address(site.servers[1].port());
    let is_known = || {
        let status = reads.status();
        status
            .iter()
            .any(|replica| *replica.address == *gone && replica.unusable.is_some())
    };
    eventually_async(SOON, "it is known to be gone", is_known).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_151_data_that_may_be_too_old_is_not_served() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let main = DatabaseConfig::from_url(site.url()).command_timeout(SOON);
    let (supervisor, main) = spawn(main).await;
    greet(&main, &site).await;
    let any = main.replica();
    let bound = Duration::from_secs(4);
    let recent = any.clone().max_staleness(bound);
    let only_recent = recent.clone().without_primary();
    until_both_serve(&any).await;
    assert_eq!(
        get(&only_recent).await.expect("a reply").as_deref(),
        Some("hello")
    );

    // From now on the replicas get nothing.
    cut_off(&site.servers[0]);
    let cut = Instant::now();
    main.query::<()>(cmd("SET").arg("greeting").arg("bye"))
        .await
        .expect("a reply");
    // Nobody leads the replicas to another primary.
    for sentinel in &site.sentinels {
        sentinel.kill();
    }
    let refusal = loop {
        let began = Instant::now();
        match get(&only_recent).await {
            Ok(value) => {
                assert_eq!(value.as_deref(), Some("hello"));
                assert!(began < cut + bound, "it was older than the bound");
            }
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let text = refusal.to_string();
    assert!(matches!(refusal, Error::NoReplica { .. }), "{text}");
    assert!(text.contains("its data may be 4"), "{text}");
    assert_eq!(
        get(&recent).await.expect("the primary").as_deref(),
        Some("bye")
    );
    let old = get(&any.clone().without_primary())
        .await
        .expect("a replica");
    assert_eq!(old.as_deref(), Some("hello"));
    // A patient read waits for a replica that is new enough.
    let patient = only_recent
        .clone()
        .patient()
        .with_timeout(Duration::from_millis(300));
    let began = Instant::now();
    let error = get(&patient).await.expect_err("none comes");
    assert!(matches!(error, Error::NoReplica { .. }), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    let patient = only_recent.patient();
    let waiting = tokio::spawn(async move { get(&patient).await });
    admit_peers(&site.servers[0]);
    let value = waiting.await.expect("no panic").expect("a replica");
    assert_eq!(value.as_deref(), Some("bye"));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_152_replicas_serve_while_the_primary_is_away() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let main = DatabaseConfig::from_url(site.url()).command_timeout(Duration::from_secs(5));
    let (supervisor, main) = spawn(main).await;
    greet(&main, &site).await;
    let reads = main.replica();
    until_both_serve(&reads).await;
    // Without them there is no failover.
    for sentinel in &site.sentinels {
        sentinel.kill();
    }
    site.servers[0].kill();
    let are_cut_off = || {
        let status = reads.status();
        status.iter().all(|replica| !replica.is_linked)
    };
    eventually_async(SOON, "they have noticed", are_cut_off).await;
    for _ in 0..20 {
        assert_eq!(
            get(&reads).await.expect("a replica").as_deref(),
            Some("hello")
        );
    }
    let failed = main.query::<()>(cmd("GET").arg("greeting")).await;
    failed.expect_err("the primary is away");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_153_after_a_failover_the_old_primary_is_a_replica_and_the_new_one_none() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let (supervisor, main) = spawn(patient(site.url())).await;
    let mut events = supervisor.subscribe();
    greet(&main, &site).await;
    let reads = main.replica();
    until_both_serve(&reads).await;
    fail_over(&site, &mut events, &main).await;
    let new = site.primary_after(site.servers[0].port());
    let expected: Vec<_> = {
        let others = site
            .servers
            .iter()
            .filter(|server| server.port() != new.port());
        let mut others: Vec<_> = others.map(|server| address(server.port())).collect();
        others.sort();
        others
    };
    let are_others = || {
        let status = reads.status();
        let usable = status.iter().filter(|replica| replica.unusable.is_none());
        let mut usable: Vec<_> = usable.map(|replica| replica.address.to_string()).collect();
        usable.sort();
        usable == expected
    };
    eventually_async(SOON, "the others serve", are_others).await;
    let fresh = reads.max_staleness(Duration::from_secs(10));
    main.query::<()>(cmd("SET").arg("greeting").arg("again"))
        .await
        .expect("a reply");
    site.until_replicated();
    let value = get(&fresh.without_primary()).await.expect("a replica");
    assert_eq!(value.as_deref(), Some("again"));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn without_sentinels_the_primary_serves() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    main.query::<()>(cmd("SET").arg("greeting").arg("hello"))
        .await
        .expect("a reply");
    let reads = main.replica();
    let value = get(&reads).await.expect("a reply");
    assert_eq!(value.as_deref(), Some("hello"));
    let only = reads.without_primary();
    let error = get(&only).await.expect_err("no replica").to_string();
    assert!(error.contains("names no sentinels"), "{error}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn replicas_end_with_their_database() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let config = Config::new()
        .database("main", patient(site.url()))
        .database("other", DatabaseConfig::from_url("memory://"));
    let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
    let main = supervisor.database("main").expect("configured");
    let reads = main.replica();
    until_both_serve(&reads).await;
    // Its settings are those of its database.
    let changed = patient(site.url()).max_in_flight(7);
    let other = DatabaseConfig::from_url("memory://");
    let config = Config::new()
        .database("main", changed)
        .database("other", other.clone());
    let mut events = supervisor.subscribe();
    supervisor.apply(config).await.expect("applied");
    let name = format!("main ({})", address(site.servers[1].port()));
    let changed = async {
        loop {
            let event = events.next().await.expect("an event");
            if *event.database == *name && event.changed.contains(&"max_in_flight") {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, changed)
        .await
        .expect("its replica has changed");

    // Those of another place serve no more, also if they were being asked at that moment. A frozen one makes that long.
    site.servers[2].freeze();
    let asked = || site.servers[1].commandstat("info");
    let before = asked();
    let mut own = 0;
    let is_asked = || {
        own += 1;
        asked() > before + own
    };
    eventually_async(SOON, "they are asked", is_asked).await;
    let elsewhere = DatabaseConfig::from_url(site.servers[0].url()).password("app");
    let config = Config::new()
        .database("main", elsewhere)
        .database("other", other.clone());
    supervisor.apply(config).await.expect("applied");
    let are_gone = || supervisor.statistics().databases.len() == 2;
    eventually_async(SOON, "they are removed", are_gone).await;
    let serve = |replica: &redis_steward::ReplicaStatus| replica.unusable.is_none();
    let answered = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < answered {
        let status = reads.status();
        assert!(!status.iter().any(serve), "{status:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    site.servers[2].thaw();
    get(&reads).await.expect("the primary");

    supervisor
        .apply(Config::new().database("other", other))
        .await
        .expect("applied");
    assert_eq!(supervisor.statistics().databases.len(), 1);
    let error = get(&reads).await.expect_err("removed");
    assert!(matches!(error, Error::UnknownDatabase { .. }), "{error}");
    supervisor.shutdown(SOON).await;
}
