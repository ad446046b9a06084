use std::time::Duration;

use crate::memory::tests::client::Client;

/// The value of a field of XINFO GROUPS, for a stream with one group.
fn group_field(client: &Client, key: &str, field: &str) -> String {
    let reply = client.ask(&format!("XINFO GROUPS {key}"));
    let (_, value) = reply.split_once(&format!(" {field} ")).expect("a field");
    value.split(' ').next().unwrap_or_default().into()
}

/// Two clients of one server, of which the other one waits.
fn pair() -> (Client, Client) {
    let client = Client::new();
    let other = Client::of(&client.store);
    (client, other)
}

#[test]
fn ids_grow_even_if_the_clock_does_not() {
    let client = Client::new();
    let mut last = (0, 0);
    for _ in 0..50 {
        let reply = client.ask("XADD x * a 1");
        let (_, id) = reply.split_once(' ').expect("a bulk string");
        let (millis, sequence) = id.split_once('-').expect("an id");
        let id: (u64, u64) = (
            millis.parse().expect("a time"),
            sequence.parse().expect("a number"),
        );
        assert!(id > last, "{id:?} after {last:?}");
        last = id;
    }
    // The time of this id is far ahead of the clock.
    client.expect(&[
        ("XADD x 99999999999999-7 a 1", "$16 99999999999999-7"),
        ("XADD x * a 1", "$16 99999999999999-8"),
    ]);
}

#[test]
fn an_approximate_trim_removes_whole_nodes() {
    let client = Client::new();
    for number in 1..=250 {
        client.ask(&format!("XADD x {number} a 1"));
    }
    client.expect(&[
        ("XTRIM x MAXLEN ~ 249", ":0"),
        ("XTRIM x MAXLEN ~ 120 LIMIT 99", ":0"),
        ("XTRIM x MAXLEN ~ 120", ":100"),
        ("XTRIM x MINID 150", ":49"),
        ("XLEN x", ":101"),
        ("XADD x MAXLEN = 2 251 a 1", "$5 251-0"),
        ("XRANGE x - + COUNT 1", "*1 *2 $5 250-0 *2 $1 a $1 1"),
    ]);
}

#[test]
fn xread_finds_the_last_entry() {
    Client::new().expect(&[
        ("XREAD STREAMS x +", "*-1"),
        ("XADD x 1-0 a 1", "$3 1-0"),
        ("XADD x 2-0 a 2", "$3 2-0"),
        ("XREAD STREAMS x +", "*1 *2 $1 x *1 *2 $3 2-0 *2 $1 a $1 2"),
        ("XDEL x 2-0", ":1"),
        ("XREAD STREAMS x +", "*1 *2 $1 x *1 *2 $3 1-0 *2 $1 a $1 1"),
    ]);
}

#[test]
fn a_read_is_a_map_in_resp3() {
    let client = Client::new();
    client.ask("HELLO 3");
    client.expect(&[
        ("XADD x 1-0 a 1", "$3 1-0"),
        ("XREAD STREAMS x 0", "%1 $1 x *1 *2 $3 1-0 *2 $1 a $1 1"),
        ("XREAD STREAMS x 1", "_"),
    ]);
}

#[test]
fn a_reader_waits_for_entries_after_the_last_one_of_then() {
    let (client, waiting) = pair();
    client.ask("XADD x 5-0 a 1");
    assert_eq!(waiting.ask("XREAD BLOCK 0 STREAMS x y $ $"), "");
    assert_eq!(client.ask("XDEL x 5-0"), ":1");
    assert_eq!(waiting.read(), "");
    client.ask("XADD x 6-0 a 2");
    assert_eq!(waiting.read(), "*1 *2 $1 x *1 *2 $3 6-0 *2 $1 a $1 2");
}

#[test]
fn a_reader_waits_on_when_its_key_is_deleted() {
    let (client, waiting) = pair();
    client.ask("XADD x 5-0 a 1");
    assert_eq!(waiting.ask("XREAD BLOCK 0 STREAMS x $"), "");
    client.ask("DEL x");
    client.ask("XADD x 4-0 a 1");
    assert_eq!(waiting.read(), "");
    client.ask("XADD x 6-0 a 1");
    assert_eq!(waiting.read(), "*1 *2 $1 x *1 *2 $3 6-0 *2 $1 a $1 1");
}

#[test]
fn a_wait_ends_after_its_milliseconds() {
    let waiting = Client::new();
    assert_eq!(waiting.ask("XREAD BLOCK 100 STREAMS x $"), "");
    waiting.store.with(|engine| {
        engine.clock.advance(Duration::from_millis(101));
        engine.tick(waiting.id);
    });
    assert_eq!(waiting.read(), "*-1");
}

#[test]
fn consumers_that_wait_share_what_comes() {
    let (client, one) = pair();
    let other = Client::of(&client.store);
    client.ask("XGROUP CREATE x g $ MKSTREAM");
    assert_eq!(one.ask("XREADGROUP GROUP g a BLOCK 0 STREAMS x >"), "");
    assert_eq!(other.ask("XREADGROUP GROUP g b BLOCK 0 STREAMS x >"), "");
    client.ask("XADD x 1-0 a 1");
    client.ask("XADD x 2-0 a 2");
    assert_eq!(one.read(), "*1 *2 $1 x *1 *2 $3 1-0 *2 $1 a $1 1");
    assert_eq!(other.read(), "*1 *2 $1 x *1 *2 $3 2-0 *2 $1 a $1 2");
}

#[test]
fn a_consumer_that_waits_learns_that_its_group_is_gone() {
    const GONE: &str =
        "-NOGROUP No such key 'x' or consumer group 'g' in XREADGROUP with GROUP option";
    for command in ["DEL x", "XGROUP DESTROY x g", "FLUSHALL"] {
        let (client, waiting) = pair();
        client.ask("XGROUP CREATE x g $ MKSTREAM");
        assert_eq!(waiting.ask("XREADGROUP GROUP g a BLOCK 0 STREAMS x >"), "");
        client.ask(command);
        assert_eq!(waiting.read(), GONE, "{command}");
    }
}

#[test]
fn consumers_exist_from_their_first_command_on() {
    Client::new().expect(&[
        ("XGROUP CREATE x g $ MKSTREAM", "+OK"),
        ("XREADGROUP GROUP g a STREAMS x >", "*-1"),
        ("XCLAIM x g b 0 1-0", "*0"),
        ("XAUTOCLAIM x g c 0 0", "*3 $3 0-0 *0 *0"),
        ("XGROUP CREATECONSUMER x g a", ":0"),
        ("XGROUP CREATECONSUMER x g b", ":0"),
        ("XGROUP CREATECONSUMER x g c", ":0"),
    ]);
}

#[test]
fn only_entries_make_a_consumer_active() {
    let client = Client::new();
    client.ask("XGROUP CREATE x g $ MKSTREAM");
    client.ask("XREADGROUP GROUP g a STREAMS x >");
    let advance = |millis| {
        let time = Duration::from_millis(millis);
        client.store.with(|engine| engine.clock.advance(time));
    };
    let inactive = || {
        let reply = client.ask("XINFO CONSUMERS x g");
        let (_, number) = reply.rsplit_once(':').expect("a number");
        number.parse::<i64>().expect("a number")
    };
    assert_eq!(inactive(), -1);
    client.ask("XADD x 1-0 a 1");
    client.ask("XREADGROUP GROUP g a STREAMS x >");
    advance(1000);
    client.ask("XREADGROUP GROUP g a STREAMS x >");
    assert!((1000..1500).contains(&inactive()), "{}", inactive());
}

/// As in the reports about lags that Redis once got wrong.
#[test]
fn the_lag_is_known_in_spite_of_tombstones() {
    let client = Client::new();
    client.ask("XGROUP CREATE x g $ MKSTREAM");
    for number in 1..=4 {
        client.ask(&format!("XADD x 0-{number} a 1"));
    }
    let lag = || group_field(&client, "x", "lag");
    assert_eq!(lag(), ":4");
    client.ask("XREADGROUP GROUP g c COUNT 2 STREAMS x >");
    assert_eq!(
        (lag(), group_field(&client, "x", "entries-read")),
        (":2".into(), ":2".into())
    );
    client.ask("XDEL x 0-1");
    client.ask("XDEL x 0-2");
    assert_eq!(lag(), ":2");
    client.ask("XDEL x 0-3");
    assert_eq!(lag(), ":1");
    client.ask("XREADGROUP GROUP g c STREAMS x >");
    assert_eq!(
        (lag(), group_field(&client, "x", "entries-read")),
        (":0".into(), ":4".into())
    );
    client.ask("XDEL x 0-4");
    assert_eq!(lag(), ":0");
}

#[test]
fn a_lag_behind_a_gap_is_not_known() {
    let client = Client::new();
    for number in 1..=4 {
        client.ask(&format!("XADD x {number} a 1"));
    }
    client.ask("XDEL x 3");
    client.ask("XGROUP CREATE x g 2-0");
    assert_eq!(group_field(&client, "x", "lag"), "$-1");
    // Before the first entry, a trim is no gap.
    client.ask("DEL x");
    client.ask("XGROUP CREATE x g 0 MKSTREAM");
    for number in 1..=4 {
        client.ask(&format!("XADD x {number} a 1"));
    }
    client.ask("XTRIM x MAXLEN 3");
    assert_eq!(group_field(&client, "x", "lag"), ":3");
}

#[test]
fn a_last_id_is_not_set_to_less_than_a_deleted_one() {
    Client::new().expect(&[
        ("XADD x 20-0 a 1", "$4 20-0"),
        ("XADD x 25-0 a 1", "$4 25-0"),
        ("XDEL x 25-0", ":1"),
        (
            "XSETID x 22-0",
            "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ),
        ("XSETID x 26-0", "+OK"),
    ]);
}

#[test]
fn texts_are_those_of_new_servers() {
    Client::new().expect(&[
        (
            "XREAD STREAMS x y 0",
            "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
        ),
        (
            "XREADGROUP GROUP g c STREAMS x y 0",
            "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.",
        ),
        (
            "XREAD BLOCK x STREAMS x 0",
            "-ERR timeout is not an integer or out of range",
        ),
        ("XREAD BLOCK -1 STREAMS x 0", "-ERR timeout is negative"),
    ]);
}

#[test]
fn bytes_are_counted_of_entries_and_of_groups() {
    let client = Client::new();
    let bytes = || client.store.with(|engine| engine.keyspace.bytes());
    client.ask("XGROUP CREATE x g 0 MKSTREAM");
    client.ask("XGROUP CREATECONSUMER x g c");
    let empty = bytes();
    client.ask("XADD x 1-0 a 12345678");
    let filled = bytes();
    assert!(filled >= empty + 9, "{empty} {filled}");
    client.ask("XREADGROUP GROUP g c STREAMS x >");
    assert!(bytes() > filled);
    client.ask("XACK x g 1-0");
    assert_eq!(bytes(), filled);
    client.ask("XDEL x 1-0");
    assert_eq!(bytes(), empty);
    client.ask("DEL x");
    assert_eq!(bytes(), 0);
}
