use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use crate::memory::{
    store::{Mode, Store},
    stream::MemoryStream,
    tests::client::Client,
};

/// Clients of one server.
fn clients<const N: usize>() -> [Client; N] {
    let store = Store::new("test".into(), Mode::Alone);
    std::array::from_fn(|_| Client::of(&store))
}

#[test]
fn elements_are_found_from_both_ends() {
    let client = Client::new();
    for (command, reply) in [
        ("RPUSH l a b c b", ":4"),
        ("LPOS l b", ":1"),
        ("LPOS l b RANK -1", ":3"),
        ("LPOS l b COUNT 0", "*2 :1 :3"),
        ("LPOS l b COUNT 0 MAXLEN 2", "*1 :1"),
        ("LPOS l b RANK 3", "$-1"),
        ("LREM l -1 b", ":1"),
        ("LINSERT l AFTER c d", ":4"),
        ("LRANGE l -3 9", "*3 $1 b $1 c $1 d"),
        ("LTRIM l 1 -1", "+OK"),
        ("LINDEX l -1", "$1 d"),
        (
            "LREM l -9223372036854775808 b",
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ),
    ] {
        assert_eq!(client.ask(command), reply, "{command}");
    }
}

#[test]
fn the_client_that_came_first_is_served_first() {
    let [one, two, three, pusher] = clients();
    for client in [&one, &two, &three] {
        assert_eq!(client.ask("BLPOP l 0"), "");
    }
    assert_eq!(pusher.ask("RPUSH l a b"), ":2");
    assert_eq!(one.read(), "*2 $1 l $1 a");
    assert_eq!(two.read(), "*2 $1 l $1 b");
    assert_eq!(three.read(), "");
    assert_eq!(pusher.ask("EXISTS l"), ":0");
}

#[test]
fn the_first_key_of_the_command_decides() {
    let [popper, mover, pusher] = clients();
    assert_eq!(mover.ask("BLMOVE a b LEFT LEFT 0"), "");
    assert_eq!(popper.ask("BLPOP b a 0"), "");
    assert_eq!(pusher.ask("RPUSH a 1 2"), ":2");
    assert_eq!(mover.read(), "$1 1");
    // As in Redis 7.2 and later, where the whole command runs again.
    assert_eq!(popper.read(), "*2 $1 b $1 1");
}

#[test]
fn a_key_of_another_type_does_not_end_a_wait() {
    let [popper, pusher] = clients();
    assert_eq!(popper.ask("BLPOP a b 0"), "");
    assert_eq!(pusher.ask("SET a 1"), "+OK");
    assert_eq!(popper.read(), "");
    assert_eq!(pusher.ask("DEL a"), ":1");
    assert_eq!(pusher.ask("RPUSH b 1"), ":1");
    assert_eq!(popper.read(), "*2 $1 b $1 1");
}

#[test]
fn a_target_of_another_type_ends_a_wait_with_an_error() {
    let [mover, pusher] = clients();
    assert_eq!(mover.ask("BLMOVE a b LEFT LEFT 0"), "");
    assert_eq!(pusher.ask("SET b 1"), "+OK");
    assert_eq!(mover.read(), "");
    assert_eq!(pusher.ask("RPUSH a 1"), ":1");
    assert!(mover.read().starts_with("-WRONGTYPE"));
    assert_eq!(pusher.ask("LLEN a"), ":1");
}

#[test]
fn moves_follow_from_moves() {
    let [turner, mover, popper, pusher] = clients();
    assert_eq!(turner.ask("BLMOVE a a LEFT RIGHT 0"), "");
    assert_eq!(mover.ask("BRPOPLPUSH a b 0"), "");
    assert_eq!(popper.ask("BLMPOP 0 2 c b LEFT COUNT 5"), "");
    assert_eq!(pusher.ask("RPUSH a 1"), ":1");
    assert_eq!(turner.read(), "$1 1");
    assert_eq!(mover.read(), "$1 1");
    assert_eq!(popper.read(), "*2 $1 b *1 $1 1");
    assert_eq!(pusher.ask("KEYS *"), "*0");
}

#[test]
fn a_client_that_has_gone_is_served_nothing() {
    let [gone, popper, pusher] = clients();
    assert_eq!(gone.ask("BLPOP l 0"), "");
    assert_eq!(popper.ask("BLPOP l 0"), "");
    gone.store.with(|engine| engine.disconnect(gone.id));
    assert_eq!(pusher.ask("RPUSH l 1 2"), ":2");
    assert_eq!(popper.read(), "*2 $1 l $1 1");
    assert_eq!(pusher.ask("LLEN l"), ":1");
}

#[test]
fn a_served_client_goes_on_with_its_input() {
    let [popper, pusher] = clients();
    assert_eq!(popper.ask("BLPOP l 0"), "");
    assert_eq!(popper.ask("RPUSH l 2"), "");
    assert_eq!(popper.ask("LLEN l"), "");
    assert_eq!(pusher.ask("RPUSH l 1"), ":1");
    assert_eq!(popper.read(), "*2 $1 l $1 1 :1 :1");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_time() {
    let store = Store::new("test".into(), Mode::Alone);
    let mut stream = MemoryStream::connect(&store).expect("an open server");
    let began = Instant::now();
    let mut buffer = [0; 64];
    stream
        .write_all(b"BLPOP l 0.25\r\n")
        .await
        .expect("written");
    let read = stream.read(&mut buffer).await.expect("a reply");
    assert_eq!(&buffer[..read], b"*-1\r\n");
    let took = began.elapsed();
    assert!((250..260).contains(&took.as_millis()), "{took:?}");
    // Nobody waits any more.
    assert_eq!(Client::of(&store).ask("RPUSH l 1"), ":1");
    assert_eq!(Client::of(&store).ask("LLEN l"), ":1");
}

#[tokio::test(start_paused = true)]
async fn a_push_wakes_the_task_of_a_waiting_client() {
    let store = Store::new("test".into(), Mode::Alone);
    let mut stream = MemoryStream::connect(&store).expect("an open server");
    stream.write_all(b"BLPOP l 0\r\n").await.expect("written");
    let reader = tokio::spawn(async move {
        let mut buffer = [0; 64];
        let read = stream.read(&mut buffer).await.expect("a reply");
        buffer[..read].to_vec()
    });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!reader.is_finished());
    assert_eq!(Client::of(&store).ask("RPUSH l 1"), ":1");
    let reply = timeout(Duration::from_secs(1), reader).await;
    let reply = reply.expect("a reply in time").expect("no panic");
    assert_eq!(reply, b"*2\r\n$1\r\nl\r\n$1\r\n1\r\n");
}
