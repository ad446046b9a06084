//! Goal: what a store keeps for the server is told truly, and nothing of one outage lasts until the next. Method: the end of
//! an outage by hand.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::config::{Config, DatabaseConfig, resolve};

fn settings() -> Arc<DatabaseSettings> {
    let fallback = Fallback::memory().on_recovery(OnRecovery::Replay);
    let main = DatabaseConfig::from_url("redis://localhost").fallback(fallback);
    let settings = resolve(Config::new().database("main", main)).expect("settings");
    settings.databases[0].clone()
}

/// A store that has set so many keys, and is to carry them out.
fn recovering(store: &LocalStore, keys: usize) {
    let seen = SeenValues::of(&settings());
    store.begin();
    for number in 0..keys {
        let key = format!("k{number}");
        let words = [&b"SET"[..], key.as_bytes(), b"1"];
        let work = LocalWork {
            bytes: redis::Cmd::new().arg(&words).get_packed_command(),
            commands: vec![words.to_vec()],
            is_transaction: false,
        };
        store.run(&work, &seen).expect("it serves");
    }
    store.begin_recovery();
}

fn send(store: &LocalStore, end: Replayed) {
    let Step::Send(lot) = store.next_step() else {
        panic!("nothing is left");
    };
    store.settle(&vec![end; lot.len()]);
}

#[tokio::test]
async fn what_is_under_way_at_an_early_end_is_in_doubt() {
    let store = LocalStore::of(&settings());
    recovering(&store, LOT.commands + 2);
    assert!(matches!(store.next_step(), Step::Send(_)));
    let recovery = store.abandon().expect("an outage");
    assert_eq!((recovery.in_doubt, recovery.dropped), (128, 2));
    assert_eq!(store.figures().journal_entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_put_changes_off_is_waited_for_anew_after_the_next_outage() {
    let store = LocalStore::of(&settings());
    recovering(&store, 1);
    send(&store, Replayed::NotYet);
    send(&store, Replayed::Refused);
    assert_eq!(store.end().map(|ended| ended.recovery.refused), Some(1));
    recovering(&store, 1);
    // The clock of a new store begins with that of the machine, which the test cannot move.
    tokio::time::advance(Duration::from_secs(60)).await;
    send(&store, Replayed::NotYet);
    assert_eq!(store.figures().journal_entries, 1);
    assert_eq!(store.figures().recovery.refused, 1);
}
