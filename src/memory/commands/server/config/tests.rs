use crate::memory::tests::client::Client;

#[test]
fn memory_is_bounded() {
    let client = Client::new();
    assert_eq!(client.ask("CONFIG SET maxmemory 1100"), "+OK");
    client.ask("SET a 1");
    assert!(
        client
            .ask("SET b 1")
            .starts_with("-OOM command not allowed")
    );
    assert_eq!(client.ask("GET a"), "$1 1");
    client.ask("MULTI");
    assert!(client.ask("GET a").starts_with("-OOM"));
    assert!(client.ask("EXEC").starts_with("-EXECABORT"));
    assert_eq!(client.ask("CONFIG SET maxmemory-policy allkeys-lru"), "+OK");
    assert_eq!(client.ask("SET b 1"), "+OK");
    assert!(client.ask("INFO stats").contains("evicted_keys:1"));
}

#[test]
fn a_key_in_use_stays_however_few_there_are_in_its_database() {
    let client = Client::new();
    client.ask("SELECT 1");
    client.ask("SET hot 1");
    client.ask("SELECT 0");
    client.ask("CONFIG SET maxmemory-policy allkeys-lru");
    for number in 0..300 {
        client.ask(&format!("SET cold{number} 1"));
    }
    let other = Client::of(&client.store);
    other.ask("SELECT 1");
    other.ask("GET hot");
    let bytes = client.store.with(|engine| engine.keyspace.bytes());
    client.ask(&format!("CONFIG SET maxmemory {bytes}"));
    for number in 0..200 {
        assert_eq!(
            other.ask("GET hot"),
            "$1 1",
            "after {number} evictions or more"
        );
        client.ask(&format!("SET new{number} 1"));
    }
}

#[test]
fn clients_are_bounded() {
    let client = Client::new();
    client.ask("CONFIG SET maxclients 1");
    let other = Client::of(&client.store);
    assert_eq!(other.read(), "-ERR max number of clients reached");
    assert!(client.ask("INFO stats").contains("rejected_connections:1"));
}

#[test]
fn a_password_is_asked_for() {
    let client = Client::new();
    client.ask("CONFIG SET requirepass secret");
    assert_eq!(client.ask("PING"), "+PONG", "it was there before");
    let other = Client::of(&client.store);
    assert_eq!(other.ask("PING"), "-NOAUTH Authentication required.");
    assert_eq!(
        other.ask("AUTH x"),
        "-WRONGPASS invalid username-password pair or user is disabled."
    );
    assert!(
        other
            .ask("HELLO 3")
            .starts_with("-NOAUTH HELLO must be called")
    );
    assert!(other.ask("HELLO 3 AUTH default secret").starts_with("%7 "));
    other.ask("RESET");
    assert_eq!(other.ask("PING"), "-NOAUTH Authentication required.");
    client.ask("CONFIG SET requirepass ");
    assert_eq!(other.ask("PING"), "+PONG");
}
