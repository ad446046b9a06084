//! Goal: of each key the journal keeps what leads to its last state, makes nothing twice that would be noticed, and stays
//! within its bounds. Method: changes by hand.

use super::{
    change::Millis,
    journal_rig::{Rig, bounded, journal, lot_of, run, run_at},
    *,
};

fn take(journal: &mut Rig, most: usize) -> Vec<String> {
    take_at(journal, most, 2_000)
}

fn take_at(journal: &mut Rig, most: usize, now: Millis) -> Vec<String> {
    let lot = journal.take(lot_of(most), now).into_iter();
    lot.map(|words| String::from_utf8_lossy(&words.join(&b' ')).into_owned())
        .collect()
}

#[test]
fn of_each_key_only_what_is_needed_is_kept() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &[
            "SET a 1",
            "INCR n",
            "RPUSH l x",
            "SET a 2",
            "INCRBY n 4",
            "RPUSH l y z",
            "EXPIRE a 60",
            "DEL b",
            "SET c 1",
            "DEL c",
            "HSET h f 1",
            "HDEL h f",
            "EXPIRE n 60",
            "EXPIRE n 90",
        ],
    );
    assert_eq!(
        take(&mut journal, 100),
        [
            "INCRBY n 5",
            "RPUSH l x y z",
            "SET a 2 PX 59000",
            "DEL b",
            "DEL c",
            "HSET h f 1",
            "HDEL h f",
            "PEXPIRE n 89000",
        ]
    );
}

#[test]
fn where_a_time_is_over_the_key_goes() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &[
            "SET a 1 PX 500",
            "SADD s m",
            "PEXPIRE s 1000",
            "SET b 1 PX 1001",
        ],
    );
    assert_eq!(
        take(&mut journal, 100),
        ["DEL a", "SADD s m", "DEL s", "SET b 1 PX 1"]
    );
}

/// What is added to a key that expires goes with it, and is not there for ever.
#[test]
fn what_was_added_before_a_time_was_over_goes_with_the_key() {
    let mut journal = journal(Keeps::All);
    let lines = [
        "SET n 5 PX 500",
        "INCR n",
        "SADD s m",
        "PEXPIRE s 500",
        "SADD s o",
        "INCR n",
    ];
    run(&mut journal, &lines);
    assert_eq!(
        take_at(&mut journal, 100, 1_100),
        [
            "SET n 5 PX 400",
            "INCRBY n 2",
            "SADD s m o",
            "PEXPIRE s 400",
            "PEXPIRE n 400",
        ]
    );
    journal.settle(&[Replayed::NotSent; 5], 1_100);
    let late = take_at(&mut journal, 100, 2_000);
    for key in ["n", "s"] {
        let of_key = |line: &&String| line.split(' ').nth(1) == Some(key);
        let last = late.iter().rfind(of_key).expect("a command of each key");
        assert_eq!(*last, format!("DEL {key}"));
    }
}

#[test]
fn what_is_added_after_a_time_was_over_is_new() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &["SADD s m", "PEXPIRE s 500", "SET n 5 PX 500"],
    );
    run_at(&mut journal, &["SADD s o", "INCR n"], 1_500);
    assert_eq!(
        take(&mut journal, 100),
        ["DEL s", "SADD s o", "DEL n", "INCRBY n 1"]
    );
}

#[test]
fn a_time_that_is_under_way_holds_for_what_comes_meanwhile() {
    let mut journal = journal(Keeps::All);
    run(&mut journal, &["SET n 5 PX 500"]);
    take_at(&mut journal, 1, 1_100);
    run_at(&mut journal, &["INCR n"], 1_200);
    journal.settle(&[Replayed::Done], 1_200);
    assert_eq!(
        take_at(&mut journal, 9, 1_300),
        ["INCRBY n 1", "PEXPIRE n 200"]
    );
}

#[test]
fn of_each_part_of_a_value_the_last_change_counts() {
    let mut journal = journal(Keeps::All);
    for number in 0..1_000 {
        run(
            &mut journal,
            &[
                &format!("HSET h seen {number}"),
                "SADD s m",
                &format!("ZADD z {number} m"),
                "HINCRBY sums calls 1",
                "HINCRBY sums tokens 10",
            ],
        );
    }
    run(&mut journal, &["HSET h other 1 seen 7"]);
    assert_eq!(journal.len(), 5);
    assert!(journal.bytes() < 2_000, "{}", journal.bytes());
    assert_eq!(
        take(&mut journal, 9),
        [
            "HSET h seen 7 other 1",
            "SADD s m",
            "ZADD z 999 m",
            "HINCRBY sums calls 1000",
            "HINCRBY sums tokens 10000",
        ]
    );
    journal.settle(&[Replayed::Done; 5], 2_000);
    assert_eq!((journal.len(), journal.bytes()), (0, 0));
}

#[test]
fn sums_do_not_pass_what_they_depend_on() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &[
            "HINCRBY h f 1",
            "HSET h f 5",
            "HINCRBY h f 1",
            "HINCRBY h f 2",
        ],
    );
    assert_eq!(
        take(&mut journal, 9),
        ["HINCRBY h f 1", "HSET h f 5", "HINCRBY h f 3"]
    );
}

#[test]
fn a_list_that_is_cut_again_and_again_takes_no_more_than_it_has() {
    let mut journal = journal(Keeps::All);
    for number in 0..1_000 {
        run(
            &mut journal,
            &[
                &format!("LPUSH l {number}"),
                "LTRIM l 0 2",
                &format!("RPUSH r {number}"),
                "LTRIM r -2 -1",
            ],
        );
    }
    assert!(journal.bytes() < 2_000, "{}", journal.bytes());
    assert_eq!(
        take(&mut journal, 9),
        [
            "LPUSH l 997 998 999",
            "RPUSH r 998 999",
            "LTRIM l 0 2",
            "LTRIM r -2 -1",
        ]
    );
}

#[test]
fn a_list_that_is_cut_at_the_other_end_or_elsewhere_is_carried_out_step_by_step() {
    let mut journal = journal(Keeps::All);
    let lines = [
        "RPUSH l a b c",
        "LTRIM l 0 1",
        "RPUSH l d",
        "LTRIM l 0 1",
        "LPUSH l e",
        "LTRIM l 0 0",
    ];
    run(&mut journal, &lines);
    assert_eq!(take(&mut journal, 9), lines);
}

/// A server that is full takes removals, and puts off what they remove.
#[test]
fn the_order_of_a_key_holds_where_the_server_puts_only_some_changes_off() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &[
            "SADD s m",
            "SREM s m",
            "RPUSH l x",
            "PEXPIRE l 5000",
            "DEL d",
        ],
    );
    for now in [2_000, 12_000] {
        let lot = take_at(&mut journal, 9, 2_000);
        assert_eq!(lot.len(), if now == 2_000 { 5 } else { 4 });
        let full: Vec<_> = lot
            .iter()
            .map(|line| match &line[..4] {
                "SADD" | "RPUS" => Replayed::NotYet,
                _ => Replayed::Done,
            })
            .collect();
        let settled = journal.settle(&full, now);
        // Its patience is over at last, although the server carries something out each time.
        let expected = if now == 2_000 { (1, 0) } else { (2, 2) };
        assert_eq!((settled.done, settled.refused), expected);
    }
    assert_eq!(journal.len(), 0);
}

#[test]
fn a_key_may_have_many_changes() {
    let bounds = Bounds {
        entries: 200_000,
        bytes: 1 << 30,
    };
    let mut journal = bounded(Keeps::All, bounds);
    for number in 0..20_000 {
        run(
            &mut journal,
            &["HINCRBYFLOAT h f 1", &format!("SADD s {number}")],
        );
    }
    assert_eq!(journal.len(), 20_001);
    while !journal.take(lot_of(128), 2_000).is_empty() {
        journal.settle(&[Replayed::Done; 128], 2_000);
    }
    assert_eq!((journal.len(), journal.bytes()), (0, 0));
}

#[test]
fn a_journal_of_removals_keeps_them_whatever_is_written_after() {
    let mut journal = journal(Keeps::Removals);
    run(
        &mut journal,
        &[
            "SET a 1",
            "DEL b",
            "SET b 2",
            "SREM s m",
            "SADD s m",
            "EXPIRE c 0",
            "INCR d",
        ],
    );
    assert_eq!(take(&mut journal, 100), ["DEL b", "SREM s m", "DEL c"]);
}

#[test]
fn a_lot_that_was_not_made_comes_back_before_later_changes() {
    let mut journal = journal(Keeps::All);
    run(&mut journal, &["SET a 1", "RPUSH l x", "SET b 1"]);
    assert_eq!(take(&mut journal, 2), ["SET a 1", "RPUSH l x"]);
    run(&mut journal, &["SET a 2", "RPUSH l y"]);
    let settled = journal.settle(&[Replayed::NotSent, Replayed::NotYet], 2_000);
    assert_eq!((settled.done, settled.in_doubt), (0, 0));
    assert_eq!(
        take(&mut journal, 9),
        ["RPUSH l x", "SET b 1", "SET a 2", "RPUSH l y"]
    );
}

#[test]
fn what_may_have_been_made_is_repeated_only_where_nobody_would_notice() {
    let mut journal = journal(Keeps::All);
    run(
        &mut journal,
        &["INCR n", "SET a 1", "INCR a", "SADD s m", "RPUSH l x"],
    );
    take(&mut journal, 9);
    let settled = journal.settle(&[Replayed::Unknown; 5], 2_000);
    assert_eq!(settled.in_doubt, 2);
    assert_eq!(take(&mut journal, 9), ["SET a 1", "INCRBY a 1", "SADD s m"]);
    let settled = journal.settle(&[Replayed::Done, Replayed::Refused, Replayed::Done], 2_000);
    assert_eq!((settled.done, settled.refused), (2, 1));
    assert_eq!((journal.len(), journal.bytes()), (0, 0));
}

#[test]
fn a_full_journal_drops_the_keys_that_were_not_changed_for_longest() {
    let bounds = Bounds {
        entries: 3,
        bytes: 10_000,
    };
    let mut journal = bounded(Keeps::All, bounds);
    run(
        &mut journal,
        &[
            "SET a 1", "INCR a", "SET b 1", "SET c 1", "SET b 2", "SET d 1",
        ],
    );
    // Both changes of `a` went together.
    assert_eq!(journal.take_dropped(), 2);
    assert_eq!(take(&mut journal, 9), ["SET c 1", "SET b 2", "SET d 1"]);
    journal.settle(&[Replayed::Done; 3], 2_000);
    // A counter is as old as its last change.
    run(
        &mut journal,
        &[
            "INCR n", "SET a 1", "INCR n", "SET b 1", "INCR n", "SET c 1",
        ],
    );
    assert_eq!(journal.take_dropped(), 1);
    assert_eq!(take(&mut journal, 9), ["INCRBY n 3", "SET b 1", "SET c 1"]);
    journal.settle(&[Replayed::Done; 3], 2_000);
    let long = format!("SET e {}", "x".repeat(20_000));
    run(&mut journal, &["SET f 1", &long]);
    assert_eq!((journal.len(), journal.take_dropped()), (0, 2));
    assert_eq!(journal.bytes(), 0);
}

#[test]
fn a_server_that_puts_changes_off_is_waited_for_but_not_for_ever() {
    let mut journal = journal(Keeps::All);
    run(&mut journal, &["SET a 1", "SET b 1"]);
    for now in [2_000, 6_000, 11_999] {
        take(&mut journal, 9);
        let settled = journal.settle(&[Replayed::NotYet; 2], now);
        assert_eq!((settled.refused, journal.len()), (0, 2));
    }
    take(&mut journal, 9);
    let settled = journal.settle(&[Replayed::NotYet; 2], 12_000);
    assert_eq!((settled.refused, journal.len()), (2, 0));
}
