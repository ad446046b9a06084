//! The group of a consumer, and what it ends with.

use std::convert::Infallible;

use redis_steward::{
    Config, ConsumerError, DatabaseConfig, Error, StartFrom, StreamEntry, Supervisor,
};

use crate::{
    common::{LogCapture, RedisServer, Rig, eventually_async, words},
    record::{Record, SOON, STREAM, add, assert_done, lacks_claims, number, quick, times},
};

async fn nothing(_: StreamEntry) -> Result<(), Infallible> {
    Ok(())
}

#[tokio::test]
async fn a_group_is_created_at_the_beginning_or_the_end() {
    if lacks_claims() {
        return;
    }
    for (start, expected) in [
        (StartFrom::Beginning, vec![1, 2, 3]),
        (StartFrom::End, vec![3]),
    ] {
        let rig = Rig::start().await;
        add(&rig.main, [1, 2]).await;
        let record = Record::default();
        let noted = record.clone();
        let consumer = quick(&rig.main)
            .create_group(start)
            .run(move |entry: StreamEntry| {
                noted.note(&entry);
                nothing(entry)
            });
        let groups = || rig.server.cli(&["XINFO", "GROUPS", STREAM]);
        eventually_async(SOON, "the group is there", || groups().contains("billing")).await;
        add(&rig.main, [3]).await;
        let is_done = || consumer.statistics().acknowledged == expected.len() as u64;
        eventually_async(SOON, "all are acknowledged", is_done).await;
        assert_eq!(record.numbers(), expected);
        let statistics = consumer.stop(SOON).await.expect("a consumer that runs");
        assert_eq!(statistics.read, expected.len() as u64);
        assert_eq!((statistics.held, statistics.last_error), (0, None));
        assert_done(&rig).await;
        rig.end().await;
    }
}

#[tokio::test]
async fn a_missing_group_ends_a_consumer_that_may_not_create_it() {
    let rig = Rig::start().await;
    let consumer = rig.main.consumer(STREAM, "billing").run(nothing);
    let error = consumer.ended().await;
    assert!(matches!(error, ConsumerError::NoGroup { .. }), "{error}");
    let error = consumer.stop(SOON).await.expect_err("it has ended");
    assert!(matches!(error, ConsumerError::NoGroup { .. }), "{error}");
    assert_eq!(rig.server.cli(&["EXISTS", STREAM]), "0");
    rig.end().await;
}

#[tokio::test]
async fn a_key_that_is_no_stream_ends_a_consumer() {
    let rig = Rig::start().await;
    rig.main
        .query::<()>(words("SET orders 1"))
        .await
        .expect("set");
    let consumer = quick(&rig.main).run(nothing);
    match consumer.ended().await {
        ConsumerError::Database(error) => assert_eq!(error.code(), Some("WRONGTYPE")),
        other => panic!("another error: {other}"),
    }
    drop(consumer);
    rig.end().await;
}

/// The group is lost with the data of the server, or by an operator.
#[tokio::test]
async fn row_180_a_group_that_is_lost_is_created_again() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    let record = Record::default();
    let noted = record.clone();
    let consumer = quick(&rig.main)
        .create_group(StartFrom::End)
        .run(move |entry: StreamEntry| {
            noted.note(&entry);
            nothing(entry)
        });
    let groups = || rig.server.cli(&["XINFO", "GROUPS", STREAM]);
    eventually_async(SOON, "the group is there", || groups().contains("billing")).await;
    add(&rig.main, [1]).await;
    eventually_async(SOON, "the first one", || record.len() > 0).await;
    for number in 2..5 {
        rig.main
            .query::<()>(words("DEL orders"))
            .await
            .expect("deleted");
        add(&rig.main, [number]).await;
        let is_handled = || record.numbers().contains(&number);
        eventually_async(SOON, "it is handled", is_handled).await;
    }
    consumer.stop(SOON).await.expect("a consumer that runs");
    assert_done(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn a_consumer_ends_with_its_supervisor() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    let consumer = quick(&rig.main).run(nothing);
    add(&rig.main, [1]).await;
    let is_done = || consumer.statistics().acknowledged == 1;
    eventually_async(SOON, "it works", is_done).await;
    let supervisor = rig.supervisor.clone();
    let (error, _) = tokio::join!(consumer.ended(), supervisor.shutdown(SOON));
    match error {
        ConsumerError::Database(Error::ShuttingDown { .. }) => {}
        other => panic!("another error: {other}"),
    }
}

#[tokio::test]
async fn entries_have_their_fields_in_order() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let consumer = quick(&rig.main).run(move |entry: StreamEntry| {
        sender.send(entry.clone()).expect("a test that waits");
        nothing(entry)
    });
    let add = words("XADD orders 7-1 number 5 b 1 a 2 b 3");
    rig.main.query::<()>(add).await.expect("added");
    let entry = received.recv().await.expect("an entry");
    assert_eq!((entry.id(), entry.deliveries()), ("7-1".to_owned(), 1));
    let names: Vec<_> = entry.fields().map(|(name, _)| name).collect();
    assert_eq!(names, [&b"number"[..], b"b", b"a", b"b"]);
    assert_eq!((number(&entry), entry.text("b")), (5, Some("1")));
    assert_eq!(entry.bytes("c"), None);
    assert!(!format!("{entry:?}").contains("number"), "{entry:?}");
    consumer.stop(SOON).await.expect("a consumer that runs");
    rig.end().await;
}

#[tokio::test]
async fn dead_letters_and_the_end_of_a_consumer_are_logged() {
    if lacks_claims() {
        return;
    }
    const NAME: &str = "logged";
    LogCapture::start();
    let server = RedisServer::start();
    let config = Config::new().database(NAME, DatabaseConfig::from_url(server.url()));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let database = supervisor.database(NAME).expect("a name of these");
    let handler = |_: StreamEntry| async { Err::<(), _>("no") };
    let consumer = quick(&database).max_deliveries(times(1)).run(handler);
    server.cli(&["XADD", STREAM, "7-1", "number", "1"]);
    let lines = |text| LogCapture::events(NAME, text);
    let buried = || lines("an entry of a stream was moved to the dead letters");
    eventually_async(SOON, "a line", || !buried().is_empty()).await;
    assert_eq!(buried()[0].get("id"), "7-1");
    server.cli(&["SET", STREAM, "no stream"]);
    let ended = || lines("a consumer of a stream has ended");
    eventually_async(SOON, "the last line", || !ended().is_empty()).await;
    assert!(ended()[0].get("error").contains("WRONGTYPE"));
    drop(consumer);
    supervisor.shutdown(SOON).await;
    assert_eq!((buried().len(), ended().len()), (1, 1));
}
