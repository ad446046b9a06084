//! Goal: a lease never shows the changes of an earlier caller, and a connection that is returned in a
//! changed state is closed. Method: leases of a real server, and its own `CLIENT INFO`.

use std::time::Duration;

use redis::{AsyncCommands, pipe};
use redis_steward::{DatabaseConfig, Error, Execution, Refusal};

use crate::common::{RedisServer, Rig, eventually_async, spawn, words};

const SOON: Duration = Duration::from_secs(10);

async fn client_id(lease: &mut redis_steward::Lease) -> i64 {
    lease.query(words("CLIENT ID")).await.expect("an id")
}

#[tokio::test]
async fn a_clean_connection_is_lent_again_and_a_changed_one_is_closed() {
    let rig = Rig::start().await;
    let mut lease = rig.main.lease().await.expect("a lease");
    let first = client_id(&mut lease).await;
    let _: () = lease.set("k", 1).await.expect("set");
    drop(lease);
    let mut lease = rig.main.lease().await.expect("a lease");
    assert_eq!(client_id(&mut lease).await, first);
    drop(lease);
    let mut last = first;
    for line in [
        "SELECT 3",
        "WATCH k",
        "MULTI",
        "SUBSCRIBE news",
        "SUBSCRIBE one two three",
        "PSUBSCRIBE *",
        "CLIENT SETNAME other",
        "CLIENT TRACKING ON",
        "CLIENT NO-EVICT ON",
        "AUTH default any",
        "RESET",
        "HELLO 2",
        "READONLY",
        "ASKING",
    ] {
        let mut lease = rig.main.lease().await.expect("a lease");
        let same = client_id(&mut lease).await;
        // Some are refused by a standalone server. Only the state left behind matters.
        let _ = lease.execute(&words(line)).await;
        drop(lease);
        let mut lease = rig.main.lease().await.expect("a lease");
        let next = client_id(&mut lease).await;
        assert_ne!(next, same, "{line}");
        assert_ne!(next, last, "{line}");
        last = next;
        let about: String = lease.query(words("CLIENT INFO")).await.expect("info");
        let has = |field: &str| about.contains(field);
        assert!(
            has("db=0") && has("name=redis-steward:main") && has("sub=0"),
            "{line}: {about}"
        );
        // N: in no transaction, watching nothing, tracking nothing. `multi` says it of some servers
        // only: since Valkey 9 it stays at 0 after the first transaction.
        assert!(has("flags=N ") && has("redir=-1"), "{line}: {about}");
        let _: () = lease.set("k", line).await.expect("not in a transaction");
    }
    let pool = rig.settled().await;
    assert_eq!((pool.discarded, pool.idle, pool.shared), (14, 1, 1));
    rig.end().await;
}

#[tokio::test]
async fn exec_and_discard_leave_a_clean_connection() {
    let rig = Rig::start().await;
    let mut lease = rig.main.lease().await.expect("a lease");
    let id = client_id(&mut lease).await;
    let () = lease.query(words("WATCH k")).await.expect("watched");
    let mut both = pipe();
    both.atomic().set("k", 1).ignore().get("k");
    let (value,): (i64,) = lease.pipeline(&both).await.expect("executed");
    assert_eq!(value, 1);
    let () = lease.query(words("MULTI")).await.expect("opened");
    let _ = lease.execute(&words("GET k")).await.expect("queued");
    let () = lease.query(words("DISCARD")).await.expect("discarded");
    let () = lease.query(words("MULTI")).await.expect("opened");
    lease
        .execute(&words("GET"))
        .await
        .expect_err("GET without a key");
    lease.execute(&words("EXEC")).await.expect_err("aborted");
    drop(lease);
    let mut lease = rig.main.lease().await.expect("a lease");
    assert_eq!(client_id(&mut lease).await, id);
    // An EXEC without MULTI does not end the watch.
    let () = lease.query(words("WATCH k")).await.expect("watched");
    lease
        .execute(&words("EXEC"))
        .await
        .expect_err("no transaction");
    drop(lease);
    assert_eq!(rig.settled().await.discarded, 1);
    rig.end().await;
}

#[tokio::test]
async fn a_lease_dropped_during_a_command_closes_its_connection() {
    let rig = Rig::start().await;
    let mut lease = rig.main.lease().await.expect("a lease");
    let blocked = || rig.server.info("clients")["blocked_clients"].clone();
    let pop = words("BLPOP nothing 0");
    tokio::select! {
        _ = lease.execute(&pop) => panic!("nothing was pushed"),
        _ = eventually_async(SOON, "it waits", || blocked() == "1") => {}
    }
    drop(lease);
    eventually_async(SOON, "the server sees it gone", || blocked() == "0").await;
    assert_eq!(rig.settled().await.idle, 0);
    let mut lease = rig.main.lease().await.expect("a lease");
    let echo: String = lease
        .query(words("ECHO mine"))
        .await
        .expect("its own reply");
    assert_eq!(echo, "mine");
    drop(lease);
    rig.end().await;
}

#[tokio::test]
async fn changes_by_cancelled_commands_count() {
    let rig = Rig::start().await;
    for line in ["SELECT 3", "WATCH k", "MULTI"] {
        let mut lease = rig.main.lease().await.expect("a lease");
        // The server answers the next command only after the BLPOP.
        for line in ["BLPOP nothing 1", line] {
            let command = words(line);
            let mut given_up = Box::pin(lease.execute(&command));
            for _ in 0..10 {
                assert!(futures_util::poll!(&mut given_up).is_pending(), "{line}");
                // The connection sends it meanwhile.
                tokio::task::yield_now().await;
            }
        }
        let _ = lease.execute(&words("PING")).await.expect("a reply");
        drop(lease);
        let mut lease = rig.main.lease().await.expect("a lease");
        let about: String = lease.query(words("CLIENT INFO")).await.expect("info");
        assert!(
            about.contains(" db=0 ") && about.contains(" flags=N "),
            "{line}: {about}"
        );
    }
    assert_eq!(rig.settled().await.discarded, 3);
    rig.end().await;
}

#[tokio::test]
async fn a_pipeline_counts_by_its_effects() {
    let rig = Rig::start().await;
    let mut lease = rig.main.lease().await.expect("a lease");
    let mut pipeline = pipe();
    pipeline.add_command(words("WATCH k"));
    // Without MULTI, so the key is still watched.
    pipeline.add_command(words("EXEC"));
    pipeline.add_command(words("PING"));
    let replies = lease.pipeline::<()>(&pipeline).await;
    replies.expect_err("no transaction");
    drop(lease);
    assert_eq!(rig.settled().await.discarded, 1);
    let mut lease = rig.main.lease().await.expect("a lease");
    let mut pipeline = pipe();
    for line in ["WATCH k", "MULTI", "SET k 1", "EXEC", "GET k"] {
        pipeline.add_command(words(line));
    }
    let replies = lease.pipeline::<Vec<redis::Value>>(&pipeline).await;
    assert_eq!(replies.expect("executed").len(), 5);
    drop(lease);
    let pool = rig.settled().await;
    assert_eq!((pool.discarded, pool.idle), (1, 1), "EXEC ended the watch");
    let mut lease = rig.main.lease().await.expect("a lease");
    let mut pipeline = pipe();
    pipeline.add_command(words("SELECT 3")).get("k");
    lease.pipeline::<()>(&pipeline).await.expect("two replies");
    drop(lease);
    assert_eq!(rig.settled().await.discarded, 2, "another database");
    rig.end().await;
}

#[tokio::test]
async fn commands_that_break_the_order_of_replies_are_refused() {
    let rig = Rig::start().await;
    let mut lease = rig.main.lease().await.expect("a lease");
    let id = client_id(&mut lease).await;
    for (line, expected) in [
        ("MONITOR", Refusal::Replies),
        ("client reply OFF", Refusal::Replies),
        ("SYNC", Refusal::Replies),
        ("FLUSHALL", Refusal::Administrative),
    ] {
        let alone = lease.execute(&words(line)).await.expect_err("refused");
        let mut pipeline = pipe();
        pipeline.get("k").add_command(words(line));
        let inside = lease.pipeline::<(Option<i64>, i64)>(&pipeline).await;
        for error in [alone, inside.expect_err("refused")] {
            assert_eq!(error.execution(), Execution::NotSent);
            match error {
                Error::CommandRefused { refusal, .. } => assert_eq!(refusal, expected, "{line}"),
                other => panic!("{line}: {other}"),
            }
        }
    }
    let mut pipeline = pipe();
    pipeline.add_command(words("SUBSCRIBE a"));
    lease.pipeline::<()>(&pipeline).await.expect_err("refused");
    drop(lease);
    let mut lease = rig.main.lease().await.expect("a lease");
    assert_eq!(client_id(&mut lease).await, id, "nothing was sent");
    drop(lease);
    rig.end().await;
}

#[tokio::test]
async fn a_pipeline_on_a_lease_has_typed_replies_and_separate_errors() {
    let rig = Rig::start().await;
    let mut lease = rig.main.lease().await.expect("a lease");
    let mut three = pipe();
    three.set("text", "x").ignore().incr("n", 2).get("text");
    let (number, text): (i64, String) = lease.pipeline(&three).await.expect("both");
    assert_eq!((number, text.as_str()), (2, "x"));
    three.incr("text", 1).hget("text", "field");
    let error = lease
        .pipeline::<redis::Value>(&three)
        .await
        .expect_err("two of them fail");
    let Error::Server {
        error, execution, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(execution, Execution::Executed);
    let errors = error.into_server_errors().expect("of the server");
    let of: Vec<_> = errors
        .iter()
        .map(|(index, error)| (*index, error.code()))
        .collect();
    assert_eq!(of, [(3, "ERR"), (4, "WRONGTYPE")]);
    drop(lease);
    assert_eq!(rig.settled().await.discarded, 0);
    rig.end().await;
}

#[tokio::test]
async fn a_refused_subscription_is_an_error_and_replies_stay_in_order() {
    let server = RedisServer::start();
    server.cli(&[
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">secret",
        "~*",
        "+@all",
        "resetchannels",
    ]);
    let config = DatabaseConfig::from_url(server.url())
        .username("app")
        .password("secret");
    let (supervisor, mut main) = spawn(config).await;
    let _: () = main.set("k", "mine").await.expect("set");
    let mut lease = main.lease().await.expect("a lease");
    for line in ["SUBSCRIBE one", "SUBSCRIBE one two three"] {
        let error = lease
            .execute(&words(line))
            .await
            .expect_err("not permitted");
        assert_eq!(error.code(), Some("NOPERM"), "{line}: {error}");
        let value: String = lease.query(words("GET k")).await.expect("its own reply");
        assert_eq!(value, "mine");
    }
    drop(lease);
    supervisor.shutdown(SOON).await;
    // A queued SUBSCRIBE has one reply as well.
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let mut lease = main.lease().await.expect("a lease");
    let () = lease.query(words("MULTI")).await.expect("opened");
    let () = lease
        .query(words("SUBSCRIBE one two"))
        .await
        .expect("queued");
    let () = lease.query(words("DISCARD")).await.expect("discarded");
    let value: String = lease.query(words("GET k")).await.expect("its own reply");
    assert_eq!(value, "mine");
    supervisor.shutdown(SOON).await;
}
