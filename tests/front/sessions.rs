//! Goal: the front answers commands about the session, and runs all others on the database. Method: a raw client.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn commands_about_the_session_are_answered_by_the_front() {
    let site = Site::start().await;
    let mut client = site.client();
    assert_eq!(client.ask("PING"), "+PONG");
    assert_eq!(client.ask("ping hello"), "$5 hello");
    assert_eq!(client.ask("ECHO hello"), "$5 hello");
    assert_eq!(client.ask("CLIENT GETNAME"), "$-1");
    assert_eq!(client.ask("CLIENT SETNAME worker"), "+OK");
    assert_eq!(client.ask("CLIENT GETNAME"), "$6 worker");
    assert_eq!(client.ask("CLIENT SETINFO LIB-NAME test"), "+OK");
    let info = client.ask("CLIENT INFO");
    assert!(
        info.contains(" name=worker ") && info.contains("lib-name=test"),
        "{info}"
    );
    let id = client.ask("CLIENT ID");
    assert_ne!(id, site.client().ask("CLIENT ID"));
    for (line, reply) in [
        ("CLIENT GETREDIR", ":-1"),
        (
            "CLIENT TRACKINGINFO",
            "*6 $5 flags *1 $3 off $8 redirect :-1 $8 prefixes *0",
        ),
        ("CLIENT TRACKING off", "+OK"),
        ("CLIENT NO-EVICT off", "+OK"),
        ("CLIENT REPLY on", "+OK"),
        (
            "CLIENT SETNAME",
            "-ERR wrong number of arguments for 'client|setname' command",
        ),
        (
            "CLIENT",
            "-ERR wrong number of arguments for 'client' command",
        ),
    ] {
        assert_eq!(client.ask(line), reply, "{line}");
    }
    for (member, reason) in [
        ("LIST", "concerns the connections of the server"),
        ("KILL ID 1", "concerns the connections of the server"),
        ("TRACKING on", "carries no invalidations"),
        ("NO-EVICT on", "would hold for a connection of the server"),
        ("REPLY off", "answers each request"),
        ("NONSENSE", "answers GETNAME"),
    ] {
        let refused = client.ask(&format!("CLIENT {member}"));
        let starts = format!(
            "-REFUSED CLIENT {}",
            member.split(' ').next().unwrap_or_default()
        );
        assert!(
            refused.starts_with(&starts) && refused.contains(reason),
            "{refused}"
        );
    }
    assert_eq!(client.ask("SELECT 0"), "+OK");
    assert_eq!(client.ask("SELECT 1"), "-ERR DB index is out of range");
    assert_eq!(client.ask("SELECT -1"), "-ERR DB index is out of range");
    assert_eq!(client.ask("RESET"), "+RESET");
    assert_eq!(client.ask("CLIENT GETNAME"), "$-1");
    assert_eq!(client.ask("QUIT"), "+OK");
    assert_eq!(client.read_to_end(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_the_protocol_are_spoken() {
    let site = Site::start().await;
    let mut client = site.client();
    assert!(client.ask("HELLO").contains("$5 proto :2"));
    assert_eq!(client.ask("GET none"), "$-1");
    // It is the server that clients want to know.
    let server = |hello: &str| hello.split(" $5 proto").next().map(str::to_owned);
    let (through, direct) = (client.ask("HELLO 3"), site.direct().ask("HELLO 3"));
    assert_eq!(server(&through), server(&direct));
    let hello = client.ask("HELLO 3 SETNAME three");
    assert!(
        hello.starts_with("%7 ") && hello.contains("$5 proto :3"),
        "{hello}"
    );
    assert_eq!(client.ask("CLIENT GETNAME"), "$5 three");
    assert_eq!(client.ask("GET none"), "_");
    assert_eq!(client.ask("HSET h f 1"), ":1");
    assert_eq!(client.ask("HGETALL h"), "%1 $1 f $1 1");
    assert!(client.ask("HELLO 4").starts_with("-NOPROTO "));
    assert!(client.ask("HELLO 2").starts_with("*14 "));
    assert_eq!(client.ask("HGETALL h"), "*2 $1 f $1 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_asked_for() {
    let site = Site::with(|main| main, |front| front.password("secret")).await;
    let mut client = site.client();
    let refused = "-NOAUTH Authentication required.";
    for command in ["PING", "GET a", "MULTI", "WATCH a", "CLIENT ID", "NONSENSE"] {
        assert_eq!(client.ask(command), refused);
    }
    assert!(client.ask("HELLO 3").starts_with("-NOAUTH HELLO"));
    assert!(client.ask("AUTH wrong").starts_with("-WRONGPASS "));
    assert!(client.ask("AUTH other secret").starts_with("-WRONGPASS "));
    assert_eq!(client.ask("AUTH secret"), "+OK");
    assert_eq!(client.ask("PING"), "+PONG");
    assert_eq!(client.ask("RESET"), "+RESET");
    assert_eq!(client.ask("PING"), refused);
    assert!(client.ask("HELLO 3 AUTH default secret").starts_with("%7"));
    assert_eq!(client.ask("GET a"), "_");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_server_pass_unchanged() {
    let site = Site::start().await;
    let (mut client, mut direct) = (site.client(), site.direct());
    direct.ask("SET s text");
    for command in [
        "NONSENSE with words",
        "GET",
        "LPUSH s x",
        "INCR s",
        "XREADGROUP GROUP group me STREAMS stream >",
        "EVAL return{err='MYERR'..ARGV[1]} 0 a",
        "EVALSHA 0000000000000000000000000000000000000000 0",
    ] {
        assert_eq!(client.ask(command), direct.ask(command), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_a_handle_refuses_are_refused_with_the_reason() {
    let site = Site::start().await;
    let mut client = site.client();
    for command in [
        "CONFIG SET save x",
        "FLUSHALL",
        "CLIENT REPLY OFF",
        "WAIT 0 1",
        "READONLY",
    ] {
        let reply = client.ask(command);
        assert!(
            reply.starts_with("-REFUSED ") && reply.ends_with("the command was not sent"),
            "{command}: {reply}"
        );
    }
    assert_eq!(client.ask("PING"), "+PONG");
}

#[tokio::test(flavor = "multi_thread")]
async fn monitor_is_refused_with_the_reason() {
    let site = Site::start().await;
    let mut client = site.client();
    let refused = client.ask("MONITOR");
    assert!(
        refused.starts_with("-REFUSED MONITOR is refused: it shows the commands of all clients"),
        "{refused}"
    );
    client.ask("MULTI");
    assert!(client.ask("MONITOR").starts_with("-REFUSED MONITOR "));
    assert!(client.ask("EXEC").starts_with("-EXECABORT "));
    assert_eq!(client.ask("PING"), "+PONG");
}
