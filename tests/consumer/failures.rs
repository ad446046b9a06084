//! Handlers that fail: their entries are tried again, and go to the dead letters in the end, once.

use std::{convert::Infallible, time::Duration};

use redis::Value;
use redis_steward::StreamEntry;

use crate::{
    common::{Rig, eventually_async, words},
    record::{
        DEAD, Record, SOON, add, assert_done, lacks_claims, many, number, pending, quick, times,
    },
};

/// The dead letters, as lists of fields and values.
async fn dead_letters(rig: &Rig) -> Vec<Vec<String>> {
    let range = redis::cmd("XRANGE").arg(DEAD).arg("-").arg("+").take();
    let letters: Vec<(String, Vec<String>)> = rig.main.query(range).await.expect("letters");
    letters.into_iter().map(|(_, fields)| fields).collect()
}

fn value<'a>(letter: &'a [String], field: &str) -> &'a str {
    let mut pairs = letter.chunks(2);
    let found = pairs.find(|pair| pair[0] == field);
    found.map_or("", |pair| &pair[1])
}

#[tokio::test]
async fn row_181_an_entry_that_always_fails_goes_to_the_dead_letters_once() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..20).await;
    let record = Record::default();
    // Several consumers compete for the entries that are idle.
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            let noted = record.clone();
            quick(&rig.main)
                .claim_idle(Duration::from_secs(1))
                .max_deliveries(times(3))
                .run(move |entry: StreamEntry| {
                    noted.note(&entry);
                    async move {
                        match number(&entry) % 10 {
                            3 => Err(format!("no {}", number(&entry))),
                            _ => Ok(()),
                        }
                    }
                })
        })
        .collect();
    let total = |count: fn(&redis_steward::ConsumerStats) -> u64| {
        consumers
            .iter()
            .map(|one| count(&one.statistics()))
            .sum::<u64>()
    };
    let is_done = || {
        total(|statistics| statistics.acknowledged) == 18
            && total(|statistics| statistics.dead_lettered) == 2
    };
    eventually_async(SOON, "all are handled or dead", is_done).await;
    assert_eq!(total(|statistics| statistics.failed), 6);
    assert_eq!(pending(&rig.main).await, 0);
    let letters = dead_letters(&rig).await;
    assert_eq!(letters.len(), 2, "{letters:?}");
    for letter in &letters {
        let number = value(letter, "number");
        assert!(["3", "13"].contains(&number), "{letter:?}");
        assert_eq!(value(letter, "dead:stream"), "orders");
        assert_eq!(value(letter, "dead:group"), "billing");
        assert_eq!(value(letter, "dead:deliveries"), "3");
        assert_eq!(value(letter, "dead:failure"), format!("no {number}"));
        assert!(value(letter, "dead:id").contains('-'), "{letter:?}");
    }
    let handled = record.times();
    assert_eq!((handled[&3], handled[&13], handled[&4]), (3, 3, 1));
    for consumer in consumers {
        consumer.stop(SOON).await.expect("a consumer that runs");
    }
    assert_done(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn an_entry_that_fails_once_is_handled_the_next_time() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..5).await;
    let consumer = quick(&rig.main).run(|entry: StreamEntry| async move {
        match (number(&entry), entry.deliveries()) {
            (2, 1) => Err("not now"),
            _ => Ok(()),
        }
    });
    let is_done = || consumer.statistics().acknowledged == 5;
    eventually_async(SOON, "all are acknowledged", is_done).await;
    let statistics = consumer.stop(SOON).await.expect("a consumer that runs");
    assert_eq!((statistics.failed, statistics.claimed), (1, 1));
    assert_eq!((statistics.handled, statistics.dead_lettered), (5, 0));
    assert_done(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn row_181_a_handler_that_panics_has_failed() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..5).await;
    let consumer = quick(&rig.main)
        .max_deliveries(times(2))
        .run(|entry: StreamEntry| {
            // Before there is a future, and in it.
            assert!(number(&entry) != 1, "no ones");
            async move {
                assert!(number(&entry) != 3, "no threes");
                Ok::<_, Infallible>(())
            }
        });
    let is_done = || {
        let statistics = consumer.statistics();
        (statistics.acknowledged, statistics.dead_lettered) == (3, 2)
    };
    eventually_async(SOON, "all are handled or dead", is_done).await;
    let mut failures: Vec<_> = dead_letters(&rig)
        .await
        .iter()
        .map(|letter| value(letter, "dead:failure").to_owned())
        .collect();
    failures.sort();
    assert_eq!(
        failures,
        [
            "the handler panicked: no ones",
            "the handler panicked: no threes"
        ]
    );
    consumer.stop(SOON).await.expect("a consumer that runs");
    assert_done(&rig).await;
    rig.end().await;
}

/// The dead letters cannot be written: nothing is acknowledged, and other entries go on.
#[tokio::test]
async fn row_181_dead_letters_that_cannot_be_written_wait() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    rig.main
        .query::<()>(words("SET orders:dead 1"))
        .await
        .expect("set");
    add(&rig.main, 0..5).await;
    let consumer = quick(&rig.main)
        .max_deliveries(times(1))
        .run(|entry: StreamEntry| async move {
            if number(&entry) == 2 {
                Err("no")
            } else {
                Ok(())
            }
        });
    let is_refused = || {
        let statistics = consumer.statistics();
        let error = statistics.last_error.unwrap_or_default();
        statistics.acknowledged == 4 && error.contains("WRONGTYPE")
    };
    eventually_async(SOON, "the others are acknowledged", is_refused).await;
    assert_eq!(pending(&rig.main).await, 1);
    rig.main
        .query::<()>(words("DEL orders:dead"))
        .await
        .expect("deleted");
    let is_dead = || consumer.statistics().dead_lettered == 1;
    eventually_async(SOON, "it is dead", is_dead).await;
    assert_eq!(dead_letters(&rig).await.len(), 1);
    consumer.stop(SOON).await.expect("a consumer that runs");
    assert_done(&rig).await;
    rig.end().await;
}

/// It cannot be read, whoever takes it over, so no handler ever sees it.
#[tokio::test]
async fn row_185_an_entry_that_is_too_large_goes_to_the_dead_letters() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::with(|main| main.max_reply_bytes(100_000)).await;
    add(&rig.main, 0..10).await;
    let large = redis::cmd("XADD")
        .arg("orders")
        .arg("*")
        .arg("number")
        .arg("x".repeat(300_000))
        .take();
    let id: String = rig.main.query(large).await.expect("an id");
    add(&rig.main, 10..30).await;
    let record = Record::default();
    let noted = record.clone();
    let consumer = quick(&rig.main)
        .batch(many(8))
        .max_deliveries(times(4))
        .run(move |entry: StreamEntry| {
            noted.note(&entry);
            async { Ok::<_, Infallible>(()) }
        });
    let is_done = || {
        let statistics = consumer.statistics();
        (statistics.acknowledged, statistics.dead_lettered) == (30, 1)
    };
    eventually_async(SOON, "all are handled or dead", is_done).await;
    assert_eq!(record.times().len(), 30);
    assert_eq!(record.len(), 30, "each once");
    let letters = dead_letters(&rig).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(value(&letters[0], "dead:id"), id);
    assert_eq!(value(&letters[0], "dead:deliveries"), "4");
    let failure = value(&letters[0], "dead:failure");
    assert!(failure.contains("max_reply_bytes"), "{failure}");
    assert_eq!(value(&letters[0], "number"), "");
    consumer.stop(SOON).await.expect("a consumer that runs");
    assert_done(&rig).await;
    rig.end().await;
}

/// Entries that are deleted while they are pending cannot be handled.
#[tokio::test]
async fn trimmed_entries_are_counted() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    let create = words("XGROUP CREATE orders billing 0 MKSTREAM");
    rig.main.query::<()>(create).await.expect("a group");
    add(&rig.main, 0..6).await;
    for reader in ["dead", "own"] {
        let read = format!("XREADGROUP GROUP billing {reader} COUNT 3 STREAMS orders >");
        rig.main
            .query::<Value>(words(&read))
            .await
            .expect("entries");
    }
    rig.main
        .query::<()>(words("XTRIM orders MAXLEN 0"))
        .await
        .expect("trimmed");
    add(&rig.main, [6]).await;
    let record = Record::default();
    let noted = record.clone();
    let consumer = quick(&rig.main).name("own").run(move |entry: StreamEntry| {
        noted.note(&entry);
        async { Ok::<_, Infallible>(()) }
    });
    let is_done = || {
        let statistics = consumer.statistics();
        (statistics.acknowledged, statistics.trimmed) == (1, 6)
    };
    eventually_async(SOON, "all are counted", is_done).await;
    assert_eq!(record.numbers(), [6]);
    if !crate::common::older_than(7, 0, "the deletion of trimmed entries by XAUTOCLAIM") {
        assert_eq!(pending(&rig.main).await, 0);
    }
    consumer.stop(SOON).await.expect("a consumer that runs");
    rig.end().await;
}
