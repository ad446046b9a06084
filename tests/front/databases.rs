//! Goal: a client reaches the database that it asks for. Method: two databases behind one front.

use crate::{common::RedisServer, raw_client::RawClient, site::two_databases};

#[tokio::test(flavor = "multi_thread")]
async fn select_enters_a_database_by_its_number() {
    let server = RedisServer::start();
    let supervisor = two_databases(&server).await;
    let front = supervisor
        .front()
        .select(0, "main")
        .select(6, "other")
        .listen_tcp("127.0.0.1:0");
    let front = front.start().await.expect("a front");
    let mut client = RawClient::connect(front.addresses().next().expect("its address"));
    client.ask("SET where main");
    assert_eq!(client.ask("SELECT 6"), "+OK");
    assert_eq!(client.ask("GET where"), "$-1");
    client.ask("SET where other");
    assert_eq!(client.ask("SELECT 1"), "-ERR DB index is out of range");
    assert_eq!(client.ask("SELECT 0"), "+OK");
    assert_eq!(client.ask("GET where"), "$4 main");
    client.ask("WATCH where");
    assert!(client.ask("SELECT 6").starts_with("-REFUSED SELECT"));
    let mut direct = RawClient::connect(([127, 0, 0, 1], server.port()).into());
    direct.ask("SELECT 1");
    assert_eq!(direct.ask("GET where"), "$5 other");
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_and_users_have_databases_of_their_own() {
    let server = RedisServer::start();
    let supervisor = two_databases(&server).await;
    let front = supervisor
        .front()
        .password("secret")
        .user("reporter", "hidden", "main")
        .database("main")
        .listen_tcp("127.0.0.1:0")
        .database("other")
        .listen_tcp("127.0.0.1:0");
    let front = front.start().await.expect("a front");
    let clients = front.addresses().map(RawClient::connect);
    let [mut main, mut other] = clients.collect::<Vec<_>>().try_into().ok().expect("two");
    assert_eq!(main.ask("AUTH secret"), "+OK");
    assert_eq!(other.ask("AUTH secret"), "+OK");
    main.ask("SET where main");
    other.ask("SET where other");
    assert_eq!(main.ask("GET where"), "$4 main");
    assert_eq!(other.ask("SELECT 0"), "+OK");
    assert_eq!(other.ask("GET where"), "$5 other");
    // It does not take what it watches there to another database.
    for (stay, leave, reply) in [
        ("WATCH where", "UNWATCH", "+OK"),
        ("SUBSCRIBE a", "UNSUBSCRIBE a", "*3 $11 unsubscribe $1 a :0"),
    ] {
        other.ask("HELLO 2");
        other.ask(stay);
        let refused = other.ask("AUTH reporter hidden");
        let is_subscriber = stay.starts_with("SUBSCRIBE");
        let expected = if is_subscriber {
            "-ERR Can't execute"
        } else {
            "-REFUSED the login"
        };
        assert!(refused.starts_with(expected), "{refused}");
        assert_eq!(other.ask("PING").contains("pong"), is_subscriber);
        assert_eq!(other.ask(leave), reply);
    }
    assert_eq!(other.ask("GET where"), "$5 other");
    assert_eq!(other.ask("AUTH reporter hidden"), "+OK");
    assert_eq!(other.ask("GET where"), "$4 main");
}
