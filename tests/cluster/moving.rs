//! Slots that move while calls are made: no call fails, and none runs twice.

use std::time::Duration;

use redis::{cmd, pipe};
use redis_steward::Error;
use tokio::task::{block_in_place, spawn_blocking};

use super::{Rig, load::Load};
use crate::common::{cluster::Cluster, eventually_async, left_out_on_embedded};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_220_counters_are_exact_while_slots_move_under_load() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    let keys = (0..32).map(|n| format!("{{moving:{}}}:{n}", n % 8));
    let load = Load::on(&rig.main, keys);
    load.more(1_000).await;
    for n in 0..8 {
        let slot = rig.cluster.slot_of(&format!("{{moving:{n}}}"));
        for _ in 0..3 {
            block_in_place(|| {
                let from = rig.cluster.primary_of(slot);
                rig.cluster.migrate_slot(slot, from, (from + 1) % 3);
                // Otherwise two nodes may take the same epoch, and one of them lose the slot again.
                rig.cluster.until_settled();
            });
        }
    }
    load.more(1_000).await;
    for tally in load.end(&rig.main).await {
        let failed: Vec<_> = tally
            .failed
            .iter()
            .map(|(_, error)| error.to_string())
            .collect();
        assert!(failed.is_empty(), "{}: {failed:?}", tally.key);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_221_all_kinds_of_calls_are_served_in_the_middle_of_a_move() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(2, 0).await;
    let main = &rig.main;
    let key = |n: usize| format!("{{foo}}:{n}");
    let slot = rig.cluster.slot_of("foo");
    for n in 0..20 {
        let set = cmd("SET").arg(key(n)).arg(n).take();
        main.query::<()>(set).await.expect("SET");
    }
    let from = block_in_place(|| rig.cluster.primary_of(slot));
    let to = 1 - from;
    block_in_place(|| {
        rig.cluster.begin_migration(slot, from, to);
        // Those after ten are at the new node already.
        for n in 10..20 {
            let (port, key) = (rig.cluster.node(to).port().to_string(), key(n));
            let moved = ["MIGRATE", "127.0.0.1", &port, &key, "0", "10000"];
            assert_eq!(rig.cluster.node(from).cli(&moved), "OK");
        }
    });
    for n in 0..25 {
        let found: Option<usize> = main.query(cmd("GET").arg(key(n))).await.expect("GET");
        assert_eq!(found, (n < 20).then_some(n));
        let added: i64 = main
            .query(cmd("APPEND").arg(key(n)).arg(""))
            .await
            .expect("APPEND");
        assert!(added <= 2);
    }
    // A part of them is here and a part there, so each goes where it is.
    let mut pipeline = pipe();
    for n in 0..20 {
        pipeline.get(key(n));
    }
    let found: Vec<usize> = main.pipeline(&pipeline).await.expect("a pipeline");
    assert_eq!(found, (0..20).collect::<Vec<_>>());
    let mut transaction = pipe();
    transaction.atomic().get(key(15)).incr(key(15), 1);
    let (before, after): (usize, usize) = main.pipeline(&transaction).await.expect("moved keys");
    assert_eq!((before, after), (15, 16));
    // Writes are told apart as well: those that ran are not sent again.
    let mut writes = pipe();
    writes
        .incr(key(2), 10)
        .incr(key(13), 10)
        .incr(key(3), 10)
        .incr(key(14), 10);
    let written: Vec<usize> = main.pipeline(&writes).await.expect("writes at both nodes");
    assert_eq!(written, [12, 23, 13, 24]);
    // So are scripts, whose errors mostly prove nothing.
    let script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
    for (n, expected) in [(4, 14), (17, 27), (30, 10)] {
        let eval = cmd("EVAL").arg(script).arg(1).arg(key(n)).arg(10).take();
        assert_eq!(main.query::<usize>(eval).await.expect("a script"), expected);
    }
    // Keys at two nodes cannot be read at once. The call waits for the end of the move.
    let mget = cmd("MGET").arg(key(1)).arg(key(12)).take();
    let waiting = tokio::spawn({
        let main = main.clone();
        async move { main.query::<Vec<usize>>(mget).await }
    });
    let is_waiting = || {
        let statistics = rig.supervisor.statistics();
        let nodes = statistics.databases.values();
        nodes.map(|stats| stats.error_replies).sum::<u64>() > 60
    };
    eventually_async(SOON, "TRYAGAIN", is_waiting).await;
    block_in_place(|| {
        rig.cluster.move_keys(slot, from, to);
        rig.cluster.end_migration(slot, from, to);
    });
    let read = waiting
        .await
        .expect("no panic")
        .expect("the move has ended");
    assert_eq!(read, [1, 12]);
    let (before, after): (usize, usize) = main
        .transaction(&[key(1)], |mut lease, mut pipe| {
            let key = key(1);
            async move {
                let now: usize = lease.query(cmd("GET").arg(&key)).await?;
                pipe.set(&key, now + 1).ignore().get(&key);
                pipe.get(&key);
                Ok::<_, Error>(())
            }
        })
        .await
        .expect("a transaction");
    assert_eq!((before, after), (2, 2));
    // Nothing has told of the end of the move but a script.
    let eval = cmd("EVAL").arg(script).arg(1).arg(key(4)).arg(10).take();
    assert_eq!(
        main.query::<usize>(eval).await.expect("at the new node"),
        24
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_222_a_blocking_command_follows_its_key() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(2, 0).await;
    let main = rig.main.clone();
    let slot = rig.cluster.slot_of("queue");
    let popping = tokio::spawn(async move {
        let blpop = cmd("BLPOP").arg("queue").arg(0).take();
        main.query::<(String, i64)>(blpop).await
    });
    let is_blocked = |cluster: &Cluster| {
        (0..2).any(|node| cluster.node(node).info("clients")["blocked_clients"] == "1")
    };
    eventually_async(SOON, "BLPOP", || is_blocked(&rig.cluster)).await;
    block_in_place(|| {
        let from = rig.cluster.primary_of(slot);
        rig.cluster.migrate_slot(slot, from, 1 - from);
    });
    eventually_async(SOON, "BLPOP at the other node", || is_blocked(&rig.cluster)).await;
    let push = cmd("RPUSH").arg("queue").arg(7).take();
    rig.main.query::<i64>(push).await.expect("RPUSH");
    let popped = popping.await.expect("no panic").expect("popped");
    assert_eq!(popped, ("queue".to_owned(), 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_223_a_new_node_gets_slots_and_an_old_one_leaves() {
    if left_out_on_embedded() {
        return;
    }
    let mut rig = Rig::start(2, 0).await;
    let keys = (0..8).map(|n| format!("{{moving:{n}}}"));
    let load = Load::on(&rig.main, keys.clone());
    load.more(200).await;
    let added = block_in_place(|| rig.cluster.add_primary());
    let slots: Vec<_> = keys.map(|key| rig.cluster.slot_of(&key)).collect();
    let cluster = rig.cluster;
    let moved = spawn_blocking(move || {
        for slot in slots {
            let from = cluster.primary_of(slot);
            cluster.migrate_slot(slot, from, added);
            cluster.until_settled();
        }
        cluster
    });
    rig.cluster = moved.await.expect("moved");
    load.more(1_000).await;
    for tally in load.end(&rig.main).await {
        assert!(tally.failed.is_empty(), "{tally:?}");
    }
    let name = format!("main (127.0.0.1:{})", rig.cluster.node(added).port());
    let statistics = rig.supervisor.statistics();
    assert!(statistics.databases[&name].succeeded > 0);
}
