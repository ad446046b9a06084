//! Single commands: each runs at the node of its keys, or at all that it concerns.

use redis::{AsyncCommands, cmd};
use redis_steward::{Database, Error, Execution, HealthState, Refusal};

use super::Rig;
use crate::common::left_out_on_embedded;

#[tokio::test]
async fn commands_run_at_the_nodes_of_their_keys() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    commands_of_one_key(&rig.main).await;
    let statistics = rig.supervisor.statistics();
    let nodes = statistics.databases.values();
    let nodes: Vec<_> = nodes
        .filter(|stats| stats.node_of.as_deref() == Some("main"))
        .collect();
    assert_eq!(nodes.len(), 3);
    assert_eq!(statistics.healthy(), 1, "nodes are a part of it");
    for node in nodes {
        assert!(node.succeeded > 300, "{}", node.succeeded);
        assert_eq!(node.health, HealthState::Healthy);
        assert_eq!(node.error_replies, 0, "no redirect was needed");
    }
}

/// At a cluster without keys.
pub(super) async fn commands_of_one_key(main: &Database) {
    let mut main = main.clone();
    for n in 0..300 {
        let (key, other) = (format!("key:{n}"), format!("list:{n}"));
        main.set::<_, _, ()>(&key, n).await.expect("SET");
        assert_eq!(main.get::<_, i64>(&key).await.expect("GET"), n);
        assert_eq!(main.incr::<_, _, i64>(&key, 1).await.expect("INCR"), n + 1);
        main.rpush::<_, _, i64>(&other, n).await.expect("RPUSH");
        let popped: (String, i64) = main.blpop(&other, 1.0).await.expect("BLPOP");
        assert_eq!(popped, (other, n));
    }
}

#[tokio::test]
async fn keys_of_several_nodes_are_read_and_written_at_once_and_come_in_the_order_of_the_caller() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    split_commands(&rig.main).await;
}

/// At a cluster without keys.
pub(super) async fn split_commands(main: &Database) {
    let keys: Vec<_> = (0..100).map(|n| format!("key:{n}")).collect();
    let mut mset = cmd("MSET");
    for (n, key) in keys.iter().enumerate() {
        mset.arg(key).arg(n);
    }
    let set: String = main.query(&mset).await.expect("MSET");
    assert_eq!(set, "OK");
    let read = |keys: &[String]| main.query::<Vec<Option<i64>>>(cmd("MGET").arg(keys).take());
    let values = read(&keys).await.expect("MGET");
    assert_eq!(values, (0..100).map(Some).collect::<Vec<_>>());
    let twice = [&keys[3..5], &["missing".to_owned()], &keys[3..4]].concat();
    assert_eq!(
        read(&twice).await.expect("MGET"),
        [Some(3), Some(4), None, Some(3)]
    );
    let count = |name: &str| main.query::<i64>(cmd(name).arg(&keys).arg("missing").take());
    assert_eq!(count("EXISTS").await.expect("EXISTS"), 100);
    assert_eq!(count("TOUCH").await.expect("TOUCH"), 100);
    assert_eq!(main.query::<i64>(cmd("DBSIZE")).await.expect("DBSIZE"), 100);
    let mut all: Vec<String> = main.query(cmd("KEYS").arg("*")).await.expect("KEYS");
    all.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(all, sorted);
    assert_eq!(count("UNLINK").await.expect("UNLINK"), 100);
    assert_eq!(main.query::<i64>(cmd("DBSIZE")).await.expect("DBSIZE"), 0);
}

#[tokio::test]
async fn what_cannot_be_split_is_refused_before_it_is_sent_and_a_hash_tag_helps() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    refusals(&rig.main).await;
}

/// At any cluster.
pub(super) async fn refusals(main: &Database) {
    let rename = |from: &str, to: &str| {
        let rename = cmd("RENAME").arg(from).arg(to).take();
        async move { main.query::<String>(rename).await }
    };
    let refused = rename("a", "b").await.expect_err("several slots");
    let Error::CommandRefused {
        refusal: Refusal::Slots { first, other },
        command,
        ..
    } = &refused
    else {
        panic!("{refused}");
    };
    assert_eq!(&**command, "RENAME");
    assert_eq!((first.word, first.slot), (1, 15_495));
    assert_eq!((other.word, other.slot), (2, 3_300));
    assert_eq!(refused.execution(), Execution::NotSent);
    let text = refused.to_string();
    assert!(
        text.contains("word 1 in slot 15495, word 2 in slot 3300"),
        "{text}"
    );
    for (command, expected) in [
        (cmd("SCAN").arg(0).take(), Refusal::Cursor),
        (cmd("MEMORY").arg("STATS").take(), Refusal::Node),
    ] {
        let refused = main.query::<redis::Value>(command).await;
        let error = refused.expect_err("it concerns a node");
        let is_expected =
            matches!(&error, Error::CommandRefused { refusal, .. } if *refusal == expected);
        assert!(is_expected, "{error}");
    }
    let set = cmd("SET").arg("{user:1}:a").arg(1).take();
    main.query::<()>(set).await.expect("SET");
    rename("{user:1}:a", "{user:1}:b").await.expect("one slot");
}

#[tokio::test]
async fn commands_without_keys_run_at_one_node_or_at_all() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    commands_without_keys(&rig.main).await;
}

/// At a cluster without keys.
pub(super) async fn commands_without_keys(main: &Database) {
    for _ in 0..20 {
        assert_eq!(
            main.query::<String>(cmd("PING")).await.expect("PING"),
            "PONG"
        );
    }
    let load = cmd("SCRIPT")
        .arg("LOAD")
        .arg("return redis.call('INCR', KEYS[1])")
        .take();
    let hash: String = main.query(load).await.expect("SCRIPT LOAD");
    for n in 0..30 {
        let eval = cmd("EVALSHA")
            .arg(&hash)
            .arg(1)
            .arg(format!("n:{n}"))
            .take();
        assert_eq!(main.query::<i64>(eval).await.expect("on each node"), 1);
    }
    let exists = cmd("SCRIPT").arg("EXISTS").arg(&hash).arg("0").take();
    let exists: Vec<bool> = main.query(exists).await.expect("SCRIPT EXISTS");
    assert_eq!(exists, [true, false]);
    let mut owned = main.clone();
    let script = redis::Script::new("return redis.call('SET', KEYS[1], ARGV[1])");
    for n in 0..30 {
        let set: String = script
            .key(format!("s:{n}"))
            .arg(n)
            .invoke_async(&mut owned)
            .await
            .expect("loaded where it is missing");
        assert_eq!(set, "OK");
    }
}
