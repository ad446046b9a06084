//! What else a handle can do, at the node of its keys.

use std::{num::NonZeroU64, time::Duration};

use redis::{AsyncCommands, cmd};
use redis_steward::{
    Config, DatabaseConfig, Encryption, Error, HealthState, PubSubEvent, Refusal, Source,
    StartFrom, Supervisor,
};
use tokio::task::block_in_place;

use super::{Rig, key_of};
use crate::common::{
    cluster::Cluster, eventually_asked, eventually_async, left_out_on_embedded, steward::spawn,
    version::lacks_tls,
};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_and_transactions_run_at_the_node_of_their_keys() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    let main = &rig.main;
    for n in 0..30 {
        let (key, other) = (format!("{{t:{n}}}:a"), format!("{{t:{n}}}:b"));
        let mut lease = main.lease_for(&key).await.expect("a lease");
        lease
            .query::<()>(cmd("WATCH").arg(&key))
            .await
            .expect("WATCH");
        lease
            .query::<()>(cmd("SET").arg(&other).arg(n))
            .await
            .expect("SET");
        drop(lease);
        let (doubled,): (i64,) = main
            .transaction(&[&key, &other], |mut lease, mut pipe| {
                let (key, other) = (key.clone(), other.clone());
                async move {
                    let now: i64 = lease.query(cmd("GET").arg(&other)).await?;
                    pipe.set(&key, 2 * now).ignore().get(&key);
                    Ok::<_, Error>(())
                }
            })
            .await
            .expect("a transaction");
        assert_eq!(doubled, 2 * n);
    }
    let across = main
        .transaction(&["a", "b"], |_, _| async { Ok::<_, Error>(()) })
        .await
        .map(|(): ()| ());
    let error = across.expect_err("two slots");
    let refusal = matches!(
        error,
        Error::CommandRefused {
            refusal: Refusal::Slots { .. },
            ..
        }
    );
    assert!(refusal, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_goes_on_at_the_node_to_which_its_keys_move() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(2, 0).await;
    let slot = rig.cluster.slot_of("foo");
    let increment = || {
        let main = rig.main.clone();
        async move {
            let (count,): (i64,) = main
                .transaction(&["{foo}"], |mut lease, mut pipe| async move {
                    let now: Option<i64> = lease.query(cmd("GET").arg("{foo}")).await?;
                    pipe.set("{foo}", now.unwrap_or(0) + 1)
                        .ignore()
                        .get("{foo}");
                    Ok::<_, Error>(())
                })
                .await?;
            Ok::<_, Error>(count)
        }
    };
    assert_eq!(increment().await.expect("at the first node"), 1);
    for turn in 0..4 {
        let from = block_in_place(|| rig.cluster.primary_of(slot));
        block_in_place(|| {
            rig.cluster.migrate_slot(slot, from, 1 - from);
            rig.cluster.until_settled();
        });
        assert_eq!(increment().await.expect("at the other node"), turn + 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_has_a_near_cache_and_a_key_that_moves_is_not_read_from_the_old_one() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(2, 0).await;
    let (main, cached) = (&rig.main, rig.main.cached());
    let keys: Vec<_> = (0..2).map(|node| key_of(&rig.cluster, node)).collect();
    for key in &keys {
        main.query::<()>(cmd("SET").arg(key).arg(1))
            .await
            .expect("SET");
        let is_cached = || async {
            let read = cached.query_with_source::<i64>(cmd("GET").arg(key)).await;
            read.is_ok_and(|(value, source)| value == 1 && source == Source::Cache)
        };
        eventually_asked(SOON, "the near cache", is_cached).await;
    }
    let slot = rig.cluster.slot_of(&keys[0]);
    block_in_place(|| rig.cluster.migrate_slot(slot, 0, 1));
    main.query::<()>(cmd("SET").arg(&keys[0]).arg(2))
        .await
        .expect("SET");
    let read: i64 = cached.query(cmd("GET").arg(&keys[0])).await.expect("GET");
    assert_eq!(read, 2);
    cached
        .query::<()>(cmd("SET").arg(&keys[1]).arg(3))
        .await
        .expect("SET");
    let read: i64 = cached.query(cmd("GET").arg(&keys[1])).await.expect("GET");
    assert_eq!(read, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_heard_wherever_they_are_published() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    let mut news = rig.main.subscribe(["news"]).await.expect("subscribed");
    for node in 0..3 {
        block_in_place(|| rig.cluster.node(node).cli(&["PUBLISH", "news", "hello"]));
        match news.next().await {
            Some(PubSubEvent::Message { payload, .. }) => assert_eq!(&payload[..], b"hello"),
            other => panic!("{other:?}"),
        }
    }
    let mut main = rig.main.clone();
    main.publish::<_, _, i64>("news", "from here")
        .await
        .expect("PUBLISH");
    assert!(matches!(
        news.next().await,
        Some(PubSubEvent::Message { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_ask_for_the_password_of_the_cluster() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::builder(2, 0).requirepass("pw@:/").start();
    let rig = Rig::with(cluster, |main| main).await;
    for n in 0..10 {
        let set = cmd("SET").arg(format!("key:{n}")).arg(n).take();
        rig.main.query::<()>(set).await.expect("SET");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_reached_over_tls() {
    if left_out_on_embedded() {
        return;
    }
    if lacks_tls() {
        return;
    }
    let cluster = Cluster::builder(2, 0).tls().start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(cluster.tls_url())).await;
    for n in 0..20 {
        let set = cmd("SET").arg(format!("key:{n}")).arg(n).take();
        main.query::<()>(set).await.expect("SET");
    }
    let slot = cluster.slot_of("key:1");
    block_in_place(|| {
        let from = cluster.primary_of(slot);
        cluster.migrate_slot(slot, from, 1 - from);
    });
    let read: i64 = main
        .query(cmd("GET").arg("key:1"))
        .await
        .expect("at the other node");
    assert_eq!(read, 1);
    let nodes = supervisor.statistics().databases;
    assert_eq!(nodes.len(), 3);
    for (name, node) in nodes {
        assert_eq!(node.encryption, Encryption::Verified, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_becomes_a_cluster_and_one_server_again() {
    if left_out_on_embedded() {
        return;
    }
    let (cluster, server) = (Cluster::start(2, 0), crate::common::RedisServer::start());
    let of_server = DatabaseConfig::from_url(server.url());
    let (supervisor, main) = spawn(of_server.clone()).await;
    let set = |value: i64| cmd("SET").arg("a").arg(value).take();
    main.query::<()>(set(1)).await.expect("at the server");
    let apply = |main: DatabaseConfig| supervisor.apply(Config::new().database("main", main));
    apply(DatabaseConfig::from_url(cluster.url()))
        .await
        .expect("applied");
    main.query::<()>(set(2)).await.expect("at a node");
    let read = |slot: &str| cmd("GET").arg(slot).take();
    assert_eq!(main.query::<i64>(read("a")).await.expect("GET"), 2);
    apply(of_server).await.expect("applied");
    assert_eq!(main.query::<i64>(read("a")).await.expect("GET"), 1);
    let has_no_nodes = || supervisor.statistics().databases.len() == 1;
    eventually_async(SOON, "no nodes", has_no_nodes).await;
    eventually_async(SOON, "healthy", || main.state() == HealthState::Healthy).await;
}

#[tokio::test]
async fn an_isolated_cluster_refuses_all_commands() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(2, 0).await;
    let get = || rig.main.query::<Option<i64>>(cmd("GET").arg("a").take());
    get().await.expect("GET");
    let mut lease = rig.main.lease_for("a").await.expect("a lease");
    rig.supervisor.isolate("main").await.expect("isolated");
    let error = lease.query::<Option<i64>>(cmd("GET").arg("a")).await;
    let error = error.expect_err("a lease of a node");
    assert!(matches!(error, Error::Isolated { .. }), "{error}");
    let error = get().await.expect_err("isolated");
    assert!(matches!(error, Error::Isolated { .. }), "{error}");
    rig.supervisor.reset("main").await.expect("reset");
    get().await.expect("GET");
}

#[tokio::test]
async fn a_fallback_is_refused() {
    if left_out_on_embedded() {
        return;
    }
    let main = DatabaseConfig::cluster(["localhost"]);
    let main = main.fallback(redis_steward::Fallback::memory());
    let refused = Supervisor::spawn(Config::new().database("main", main)).await;
    let error = refused.expect_err("a fallback of a cluster").to_string();
    assert!(error.contains("cannot stand in for a cluster"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_works_at_the_node_of_its_stream_and_buries_there() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    let main = &rig.main;
    let consumer = main
        .consumer("orders", "billing")
        .create_group(StartFrom::Beginning)
        .claim_idle(Duration::from_millis(200))
        .max_deliveries(NonZeroU64::MIN.saturating_add(1))
        .run(|entry| async move {
            match entry.text("kind") {
                Some("poison") => Err("poison"),
                _ => Ok(()),
            }
        });
    for kind in ["good", "poison", "good"] {
        let add = cmd("XADD")
            .arg("orders")
            .arg("*")
            .arg("kind")
            .arg(kind)
            .take();
        main.query::<String>(add).await.expect("XADD");
    }
    let is_buried = || async {
        let dead = main.query::<usize>(cmd("XLEN").arg("{orders}:dead")).await;
        dead.is_ok_and(|dead| dead == 1)
    };
    eventually_asked(SOON, "a dead letter", is_buried).await;
    consumer.stop(SOON).await.expect("stopped");

    let elsewhere = main.consumer("orders", "billing").dead_letters("lost");
    let ended = elsewhere
        .run(|_| async { Ok::<_, Error>(()) })
        .ended()
        .await;
    let error = ended.to_string();
    assert!(error.contains("different slots"), "{error}");
}
