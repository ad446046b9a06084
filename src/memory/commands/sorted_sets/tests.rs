//! Cases that a comparison with a real server leaves out: options that are newer than it, waits, choices at
//! random, and sources that are sets.

use std::collections::BTreeSet;

use crate::memory::{
    keyspace::{Kind, Set, SortedSet},
    tests::client::Client,
};

fn client() -> Client {
    let client = Client::new();
    client.ask("ZADD z 1 a 2 b 3 c");
    client
}

#[test]
fn few_members_are_drawn_at_once() {
    let client = Client::new();
    client.ask("ZADD z 1 a");
    for count in ["-9223372036854775807", "-1048577"] {
        let reply = client.ask(&format!("ZRANDMEMBER z {count}"));
        assert_eq!(reply, "-ERR value is out of range", "{count}");
    }
    assert_eq!(client.ask("ZRANDMEMBER z -3"), "*3 $1 a $1 a $1 a");
    client.ask("ZADD z 2 b 3 c");
    assert_eq!(client.ask("ZRANDMEMBER z 9223372036854775807").len(), 17);
}

#[test]
fn ranks_come_with_scores() {
    let client = client();
    for (command, reply) in [
        ("ZRANK z b WITHSCORE", "*2 :1 $1 2"),
        ("ZREVRANK z c withscore", "*2 :0 $1 3"),
        ("ZRANK z none WITHSCORE", "*-1"),
        ("ZRANK none b WITHSCORE", "*-1"),
        ("ZRANK z none", "$-1"),
        ("ZRANK z b nonsense", "-ERR syntax error"),
        (
            "ZREVRANK z b WITHSCORE WITHSCORE",
            "-ERR wrong number of arguments for 'zrevrank' command",
        ),
    ] {
        assert_eq!(client.ask(command), reply, "{command}");
    }
    client.ask("HELLO 3");
    assert_eq!(client.ask("ZRANK z b WITHSCORE"), "*2 :1 ,2");
    assert_eq!(client.ask("ZRANK z none WITHSCORE"), "_");
}

#[test]
fn sets_are_sources_with_scores_of_1() {
    let client = client();
    client.store.with(|engine| {
        let mut set = Set::default();
        set.insert("b".into());
        set.insert("x".into());
        let database = engine.keyspace.database(0);
        database.insert(&"m".into(), set.into_value());
    });
    for (command, reply) in [
        (
            "ZUNION 2 z m WITHSCORES",
            "*8 $1 a $1 1 $1 x $1 1 $1 b $1 3 $1 c $1 3",
        ),
        ("ZINTER 2 z m WEIGHTS 1 10 WITHSCORES", "*2 $1 b $2 12"),
        ("ZDIFF 2 m z WITHSCORES", "*2 $1 x $1 1"),
        ("ZINTERCARD 2 z m", ":1"),
        ("ZUNIONSTORE m 1 m", ":2"),
        ("ZSCORE m x", "$1 1"),
    ] {
        assert_eq!(client.ask(command), reply, "{command}");
    }
}

#[test]
fn clients_wait_for_members() {
    let client = Client::new();
    let (one, other) = (Client::of(&client.store), Client::of(&client.store));
    assert_eq!(one.ask("BZPOPMIN x z 0"), "");
    assert_eq!(other.ask("BZMPOP 0 1 z MAX COUNT 2"), "");
    // A key of another type is not the one that they wait for.
    client.ask("SET x 1");
    client.ask("DEL x");
    assert_eq!(client.ask("ZADD z 1 a 2 b 3 c 4 d"), ":4");
    assert_eq!(one.read(), "*3 $1 z $1 a $1 1");
    assert_eq!(other.read(), "*2 $1 z *2 *2 $1 d $1 4 *2 $1 c $1 3");
    assert_eq!(client.ask("ZRANGE z 0 -1"), "*1 $1 b");
}

#[test]
fn draws_are_of_the_set() {
    let client = client();
    let drawn: BTreeSet<_> = (0..200).map(|_| client.ask("ZRANDMEMBER z")).collect();
    assert_eq!(drawn.len(), 3);
    assert_eq!(client.ask("ZRANDMEMBER none"), "$-1");
    assert_eq!(client.ask("ZRANDMEMBER none 3"), "*0");
    let pairs: BTreeSet<_> = (0..200).map(|_| client.ask("ZRANDMEMBER z 2")).collect();
    for pair in &pairs {
        let words: Vec<_> = pair.split(' ').collect();
        assert_eq!((words[0], words.len()), ("*2", 5));
        assert_ne!(words[2], words[4]);
    }
    assert!(
        client
            .ask("ZRANDMEMBER z -20 WITHSCORES")
            .starts_with("*40 ")
    );
    client.ask("HELLO 3");
    let reply = client.ask("ZRANDMEMBER z -20 WITHSCORES");
    assert!(reply.starts_with("*20 *2 $1 "), "{reply}");
}

#[test]
fn a_scan_returns_what_stays() {
    const MEMBERS: usize = 1000;
    let client = Client::new();
    for number in 0..MEMBERS {
        client.ask(&format!("ZADD z {} member{number}", number % 7));
    }
    let (mut seen, mut cursor, mut calls) = (BTreeSet::new(), "0".to_owned(), 0);
    loop {
        let reply = client.ask(&format!("ZSCAN z {cursor} COUNT 50"));
        let words: Vec<_> = reply.split(' ').collect();
        cursor = words[2].to_owned();
        let members = words.iter().filter(|word| word.starts_with("member"));
        seen.extend(members.map(|member| (*member).to_owned()));
        if cursor == "0" {
            break;
        }
        // Odd members go, and new ones come, during the walk.
        for number in (calls * 60..(calls + 1) * 60).filter(|number| number % 2 == 1) {
            client.ask(&format!("ZREM z member{number}"));
            client.ask(&format!("ZADD z 1 new{number}"));
        }
        calls += 1;
    }
    assert!(calls > 10);
    for number in (0..MEMBERS).step_by(2) {
        assert!(seen.contains(&format!("member{number}")), "{number}");
    }
}

#[test]
fn bytes_are_those_of_the_members() {
    let client = client();
    for command in [
        "ZADD z 5 longer",
        "ZADD z 6 longer 1.5 d",
        "ZREM z a none",
        "ZPOPMAX z",
        "ZINCRBY z 4 b",
        "ZREMRANGEBYSCORE z 0 2",
    ] {
        client.ask(command);
        client.store.with(|engine| {
            let set = engine.keyspace.database(0).read::<SortedSet>(b"z");
            let set = set.expect("a sorted set").expect("a sorted set");
            let members = set.iter();
            let again: SortedSet = members
                .map(|(score, member)| (member.clone(), *score))
                .collect();
            assert_eq!(&again, set, "{command}");
        });
    }
    client.ask("ZPOPMIN z 9");
    assert_eq!(client.ask("EXISTS z"), ":0");
    let left = client.store.with(|engine| engine.keyspace.bytes());
    assert_eq!(left, 0);
}
