use crate::memory::{MemoryServer, tests::client::Client};

/// A server, a client that may do everything, and one of the user `alice`, who has these rights.
fn with_rights(rules: &str) -> (Client, Client) {
    let client = Client::new();
    let made = client.ask(&format!("ACL SETUSER alice on >secret {rules}"));
    assert_eq!(made, "+OK", "{rules}");
    let alice = Client::of(&client.store);
    assert_eq!(alice.ask("AUTH alice secret"), "+OK");
    (client, alice)
}

const NO_KEY: &str = "-NOPERM No permissions to access a key";
const NO_CHANNEL: &str = "-NOPERM No permissions to access a channel";

#[test]
fn commands_are_refused() {
    let (_client, alice) = with_rights("~* +@all -@dangerous -set +config|get +select|0");
    alice.expect(&[
        ("GET a", "$-1"),
        ("ACL WHOAMI", "$5 alice"),
        (
            "SET a 1",
            "-NOPERM User alice has no permissions to run the 'set' command",
        ),
        (
            "CONFIG SET timeout 1",
            "-NOPERM User alice has no permissions to run the 'config|set' command",
        ),
        ("CONFIG GET timeout", "*2 $7 timeout $1 0"),
        ("SUBSCRIBE a", NO_CHANNEL),
        ("RESET", "+RESET"),
        ("ACL WHOAMI", "$7 default"),
    ]);
}

#[test]
fn a_command_is_allowed_with_an_argument_alone() {
    let (client, alice) = with_rights("+select|1 +acl|whoami");
    alice.expect(&[
        ("SELECT 1", "+OK"),
        (
            "SELECT 2",
            "-NOPERM User alice has no permissions to run the 'select' command",
        ),
        ("ACL WHOAMI", "$5 alice"),
    ]);
    // A later rule about the command, be it by its category, counts for all its arguments.
    client.ask("ACL SETUSER alice -@connection");
    assert_eq!(
        alice.ask("SELECT 1"),
        "-NOPERM User alice has no permissions to run the 'select' command"
    );
}

#[test]
fn keys_are_refused_by_how_they_are_used() {
    let (_client, alice) = with_rights("+@all %R~r:* %W~w:* ~b:*");
    alice.expect(&[
        ("GET r:1", "$-1"),
        ("SET r:1 1", NO_KEY),
        ("SET w:1 1", "+OK"),
        ("SET w:1 1 GET", NO_KEY),
        ("SET w:1 GET", "+OK"),
        ("SET w:1 1", "+OK"),
        ("GET w:1", NO_KEY),
        ("EXISTS w:1", ":1"),
        ("TTL w:1", NO_KEY),
        ("GETSET b:1 1", "$-1"),
        ("MGET b:1 w:1", NO_KEY),
        ("COPY b:1 w:1", ":0"),
        ("COPY w:1 b:1", NO_KEY),
        ("RENAME b:1 w:1", "+OK"),
        ("BITFIELD r:1 GET u8 0", "*1 :0"),
        ("BITFIELD r:1 SET u8 0 1", NO_KEY),
        ("BITFIELD r:1 OVERFLOW WRAP GET u8 0", "*1 :0"),
        ("BITFIELD r:1 OVERFLOW SAT", "*0"),
        ("BITFIELD r:1 OVERFLOW", NO_KEY),
        ("BITFIELD r:1 GET u8", NO_KEY),
        ("SORT r:1 STORE w:2", ":0"),
        ("XREAD STREAMS other 0", NO_KEY),
        (
            "SORT r:1 BY x*",
            "-ERR BY option of SORT denied due to insufficient ACL permissions.",
        ),
        ("SORT r:1 BY nosort", "*0"),
        (
            "SORT r:1 GET #",
            "-ERR GET option of SORT denied due to insufficient ACL permissions.",
        ),
        ("KEYS *", "*1 $3 w:1"),
    ]);
}

#[test]
fn one_of_several_selectors_has_to_allow_all() {
    let (_client, alice) = with_rights("+get ~a (+set ~b)");
    alice.expect(&[
        ("GET a", "$-1"),
        ("SET b 1", "+OK"),
        ("SET a 1", NO_KEY),
        ("GET b", NO_KEY),
        (
            "DEL c",
            "-NOPERM User alice has no permissions to run the 'del' command",
        ),
    ]);
}

#[test]
fn channels_are_refused() {
    let (client, alice) = with_rights("+@all &news:*");
    alice.expect(&[
        ("PUBLISH news:1 a", ":0"),
        ("PUBLISH other a", NO_CHANNEL),
        ("SUBSCRIBE news:1 other", NO_CHANNEL),
        ("PSUBSCRIBE news:1*", NO_CHANNEL),
        ("PSUBSCRIBE news:*", "*3 $10 psubscribe $6 news:* :1"),
    ]);
    // A subscriber that loses a right is disconnected.
    client.ask("ACL SETUSER alice resetchannels &news:1");
    assert!(alice.is_closing() && !client.is_closing());
}

#[test]
fn a_transaction_is_checked_twice() {
    let (client, alice) = with_rights("+@all ~*");
    alice.ask("MULTI");
    alice.ask("SET a 1");
    alice.ask("GET a");
    client.ask("ACL SETUSER alice -get");
    assert_eq!(
        alice.ask("EXEC"),
        "*2 +OK -NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
         This command is no longer allowed for the following reason: no permission to execute the command or subcommand"
    );
    alice.ask("MULTI");
    assert!(alice.ask("GET a").starts_with("-NOPERM "));
    assert!(alice.ask("EXEC").starts_with("-EXECABORT "));
}

#[cfg(feature = "memory-lua")]
#[test]
fn a_script_has_the_rights_of_its_user() {
    let (client, alice) = with_rights("+@all -del ~a");
    let words = |source: &str, key: &str| -> Vec<bytes::Bytes> {
        ["EVAL", source, "1", key]
            .map(|word| bytes::Bytes::copy_from_slice(word.as_bytes()))
            .into()
    };
    let ask = |source, key| {
        let reply = alice.ask_bytes(&words(source, key));
        String::from_utf8_lossy(&reply).into_owned()
    };
    assert_eq!(ask("return redis.call('GET', KEYS[1])", "a"), "$-1\r\n");
    let refused = ask("return redis.call('DEL', KEYS[1])", "a");
    assert!(
        refused.starts_with(
            "-ERR ACL failure in script: User alice has no permissions to run the 'del' command"
        ),
        "{refused}"
    );
    let refused = ask("return redis.call('GET', 'b')", "a");
    assert!(refused.contains("ACL failure in script: No permissions to access a key"));
    assert_eq!(ask("return 1", "b"), format!("{NO_KEY}\r\n"));
    // It can ask beforehand, and that is no refusal.
    client.ask("ACL LOG RESET");
    let may = "local may = redis.acl_check_cmd
        return {may('GET', 'a'), may('GET', 'b'), may('DEL', 'a'), may('SELECT')}";
    assert_eq!(ask(may, "a"), "*4\r\n:1\r\n$-1\r\n$-1\r\n:1\r\n");
    assert_eq!(client.ask("ACL LOG"), "*0");
    let unknown = ask("return redis.acl_check_cmd('CONFIG', 'NOPE')", "a");
    assert!(unknown.starts_with("-ERR Invalid command passed to redis.acl_check_cmd()"));
}

#[test]
fn whether_a_login_is_needed_is_asked_at_each_command() {
    let server = MemoryServer::new();
    let client = Client::of(&server.store);
    let ask = |command: &str| assert_eq!(client.ask(command), "+OK", "{command}");
    server.set_password("secret");
    let other = Client::of(&server.store);
    let is_admitted = || match &other.ask("PING")[..] {
        "+PONG" => true,
        "-NOAUTH Authentication required." => false,
        reply => panic!("{reply}"),
    };
    assert!(!is_admitted());
    server.set_password("");
    assert!(is_admitted());
    assert_eq!(other.ask("ACL WHOAMI"), "$7 default");
    // As in Redis, it has not logged in for all that.
    assert!(other.ask("HELLO 3").starts_with("-NOAUTH HELLO "));
    ask("CONFIG SET requirepass secret");
    assert!(!is_admitted());
    ask("ACL SETUSER default nopass");
    assert!(is_admitted());
    ask("ACL SETUSER default off");
    assert!(!is_admitted());
    ask("CONFIG SET requirepass ");
    assert!(!is_admitted(), "the user is still off");
    ask("ACL SETUSER default on");
    assert!(is_admitted());
    // It has the rights of the user, and loses them with it.
    assert_eq!(other.ask("SUBSCRIBE a"), "*3 $9 subscribe $1 a :1");
    ask("ACL SETUSER default resetchannels");
    assert!(other.is_closing() && !client.is_closing());
}

#[test]
fn users_are_described_as_by_redis_7_4() {
    let client = Client::new();
    let list = |rules: &str| {
        client.ask("ACL DELUSER carol");
        let made = client.ask(&format!("ACL SETUSER carol {rules}"));
        assert_eq!(made, "+OK", "{rules}");
        let list = client.ask("ACL LIST");
        let line = list.split(" $").nth(1).expect("a first user");
        let (_, line) = line.split_once(' ').expect("a length");
        line.strip_prefix("user carol ").expect("carol").to_owned()
    };
    for (rules, expected) in [
        ("reset", "off sanitize-payload resetchannels -@all"),
        (
            "on nopass allkeys allchannels allcommands",
            "on nopass sanitize-payload ~* &* +@all",
        ),
        (
            "+@all -keys -config +config|get -@dangerous +keys +SET",
            "off sanitize-payload resetchannels +@all -config +config|get -@dangerous +keys +set",
        ),
        (
            "+@all -get -client +client|id +@read -@read",
            "off sanitize-payload resetchannels +@all -get -client +client|id -@read",
        ),
        (
            "~a %R~b %W~c %R~d %W~d &x &y skip-sanitize-payload",
            "off skip-sanitize-payload ~a %R~b %W~c ~d resetchannels &x &y -@all",
        ),
        (
            "(%R~a ~b &c +get) ()",
            "off sanitize-payload resetchannels -@all (%R~a ~b resetchannels &c -@all +get) (resetchannels -@all)",
        ),
        (
            "+select|0 +select|1 -shutdown",
            "off sanitize-payload resetchannels -@all +select|0 +select|1 -shutdown",
        ),
    ] {
        assert_eq!(list(rules), expected, "{rules}");
    }
}

#[test]
fn passwords_are_kept_as_digests() {
    let client = Client::new();
    let can_log_in = |password: &str| {
        let other = Client::of(&client.store);
        other.ask(&format!("AUTH bob {password}")) == "+OK"
    };
    client.ask("ACL SETUSER bob on >one >two");
    assert!(can_log_in("one") && can_log_in("two") && !can_log_in("three"));
    client.ask("ACL SETUSER bob <one");
    assert!(!can_log_in("one") && can_log_in("two"));
    client.ask("ACL SETUSER bob off");
    assert!(!can_log_in("two"));
    client.ask("ACL SETUSER bob on nopass");
    assert!(can_log_in("anything"));
    // That of "secret".
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    client.ask(&format!("ACL SETUSER bob #{digest}"));
    assert!(can_log_in("secret") && !can_log_in("anything"));
    let described = client.ask("ACL GETUSER bob");
    assert!(described.contains(digest), "{described}");
}

#[test]
fn a_user_that_is_removed_is_disconnected() {
    let (client, alice) = with_rights("+@all");
    assert_eq!(client.ask("ACL DELUSER alice nobody"), ":1");
    assert!(alice.is_closing());
    assert_eq!(
        client.ask("ACL DELUSER default"),
        "-ERR The 'default' user cannot be removed"
    );
    assert_eq!(client.ask("ACL USERS"), "*1 $7 default");
}

#[test]
fn refusals_are_logged() {
    let (client, alice) = with_rights("+get ~a");
    alice.ask("GET b");
    alice.ask("GET b");
    alice.ask("SET a 1");
    alice.ask("AUTH alice wrong");
    let log = client.ask("ACL LOG");
    assert!(log.starts_with(
        "*3 *20 $5 count :1 $6 reason $4 auth $7 context $8 toplevel $6 object $4 AUTH $8 username $5 alice"
    ));
    assert!(log.contains("$6 reason $7 command $7 context $8 toplevel $6 object $3 set "));
    assert!(log.contains("$5 count :2 $6 reason $3 key $7 context $8 toplevel $6 object $1 b "));
    assert!(client.ask("ACL LOG 1").starts_with("*1 "));
    client.expect(&[("ACL LOG RESET", "+OK"), ("ACL LOG", "*0")]);
}
