//! What cannot be compared with a real server: bounds, and what one script leaves to the next.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::digest;
use crate::memory::{faults::Failing, tests::client::Client};

/// Runs a script with these arguments, and returns what there is to read.
fn eval(client: &Client, source: &str, arguments: &[&str]) -> String {
    let words = ["EVAL", source, "0"].into_iter().chain(arguments.to_vec());
    let words: Vec<_> = words
        .map(|word| Bytes::copy_from_slice(word.as_bytes()))
        .collect();
    client.send(&words);
    client.read()
}

#[test]
fn a_script_that_loops_is_ended() {
    const ERROR: &str = "-ERR Script ended, since it has run for longer than busy-reply-threshold";
    let client = Client::new();
    assert_eq!(client.ask("CONFIG SET busy-reply-threshold 50"), "+OK");
    for source in [
        "while true do end",
        "redis.call('set', 'a', '1') while true do redis.call('incr', 'a') end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "local function f() while true do end end table.sort({1, 2}, f)",
        "loadstring('while true do end')()",
    ] {
        let begin = Instant::now();
        assert_eq!(eval(&client, source, &[]), ERROR, "{source}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{source}");
    }
    assert_eq!(client.ask("EXISTS a"), ":1", "what it has written stays");
    assert_eq!(eval(&client, "return 1", &[]), ":1");
    client.ask("CONFIG SET busy-reply-threshold 0");
    let long = "local sum = 0 for i = 1, 100000 do sum = sum + i end return sum";
    assert_eq!(eval(&client, long, &[]), ":5000050000");
}

#[test]
fn a_script_has_so_much_memory() {
    let client = Client::new();
    // It is not a matter of time.
    client.ask("CONFIG SET busy-reply-threshold 0");
    let source = "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1024 * 1024 + i) end return #t";
    assert!(eval(&client, source, &[]).starts_with("-ERR not enough memory"));
    let huge = "return #('x'):rep(1024 * 1024 * 1024)";
    assert!(eval(&client, huge, &[]).starts_with("-ERR not enough memory"));
    let caught = "return pcall(string.rep, 'x', 1024 * 1024 * 1024)";
    assert_eq!(eval(&client, caught, &[]), "$-1");
    let small = "return #('x'):rep(1024 * 1024)";
    assert_eq!(eval(&client, small, &[]), ":1048576", "there is some again");
}

#[test]
fn runs_keep_no_memory() {
    let client = Client::new();
    let count = || {
        let source = "collectgarbage() return collectgarbage('count')";
        let reply = eval(&client, source, &[]);
        reply[1..].parse::<i64>().expect("a number of KiB")
    };
    let run = || {
        for _ in 0..1000 {
            eval(&client, "return {redis.call('ping'), KEYS, ARGV}", &["a"]);
            eval(&client, "return redis.call('nonsense')", &[]);
            eval(&client, "return pcall(error, {})", &[]);
        }
    };
    run();
    let before = count();
    run();
    let after = count();
    assert!(after - before < 50, "{before} KiB, then {after} KiB");
}

#[test]
fn a_script_leaves_nothing_to_the_next_one() {
    let client = Client::new();
    for source in [
        "rawset(_G, 'x', 1)",
        "rawset(redis, 'call', 1)",
        "rawset(string, 'rep', 1)",
        "rawset(getmetatable(''), '__index', {})",
        "redis.setresp(3)",
        "KEYS.x = 1",
        "collectgarbage('stop')",
        "table.insert(string, 'x')",
        "loadstring('rawset(_G, [[x]], 1)')()",
    ] {
        assert_eq!(eval(&client, source, &[]), "$-1", "{source}");
        let check =
            "return {rawget(_G, 'x') or 0, type(redis.call), ('x'):rep(2), KEYS.x or 0, #string}";
        let expected = "*5 :0 $8 function $2 xx :0 :0";
        assert_eq!(eval(&client, check, &[]), expected, "{source}");
    }
}

#[test]
fn compiled_code_is_refused() {
    let client = Client::new();
    let source = "local f, e = loadstring('\\27Lua') return {type(f), type(e), type(string.dump)}";
    assert_eq!(eval(&client, source, &[]), "*3 $3 nil $6 string $3 nil");
    assert!(eval(&client, "\u{1b}Lua", &[]).starts_with("-ERR Error compiling script"));
}

#[test]
fn the_clock_is_all_there_is_of_the_system() {
    let client = Client::new();
    let source = "return {type(os.clock()), type(os.time), type(os.execute), type(os.exit)}";
    assert_eq!(
        eval(&client, source, &[]),
        "*4 $6 number $3 nil $3 nil $3 nil"
    );
}

#[test]
fn an_error_without_a_text_is_one() {
    let client = Client::new();
    let source = "error({})";
    let sha = digest(source.as_bytes());
    let expected = format!("-ERR unknown error script: {sha}, on @user_script:1.");
    assert_eq!(eval(&client, source, &[]), expected);
}

#[test]
fn nesting_is_bounded() {
    let client = Client::new();
    let reply = eval(&client, "local t = {} t[1] = t return t", &[]);
    assert_eq!(reply.matches("*1").count(), 100);
    assert!(reply.ends_with("-ERR reached lua stack limit"));
    for source in [
        "local t = {} t.map = {a = t} return t",
        "local t = {} t.set = {[t] = 1} return t",
    ] {
        let reply = eval(&client, source, &[]);
        assert!(reply.ends_with("-ERR reached lua stack limit"), "{source}");
    }
    let json = "local t = {} t[1] = t return cjson.encode(t)";
    assert!(eval(&client, json, &[]).contains("excessive nesting (101)"));
    let json = "return cjson.decode(('['):rep(1000))";
    assert!(eval(&client, json, &[]).contains("too many nested data structures (101)"));
}

#[test]
fn evaluated_scripts_are_forgotten_in_time() {
    let client = Client::new();
    client.ask("SCRIPT LOAD return{}");
    let (kept, used, first) = ("return{}", "return{1}", "return{2}");
    for source in [used, first] {
        client.ask(&format!("EVAL {source} 0"));
    }
    for number in 0..499 {
        client.ask(&format!("EVAL return{{{number},0}} 0"));
        client.ask(&format!("EVALSHA {} 0", digest(used.as_bytes())));
    }
    let digests = [kept, used, first].map(|source| digest(source.as_bytes()));
    let reply = client.ask(&format!("SCRIPT EXISTS {}", digests.join(" ")));
    assert_eq!(reply, "*3 :1 :1 :0");
}

#[test]
fn the_session_is_as_before() {
    let client = Client::new();
    client.ask("HELLO 3");
    client.ask("SELECT 2");
    let source = "redis.setresp(2) redis.call('select', 5) return redis.call('set', 'a', 'b')";
    assert_eq!(eval(&client, source, &[]), "+OK");
    assert_eq!(client.ask("GET a"), "_");
    client.ask("SELECT 5");
    assert_eq!(client.ask("GET a"), "$1 b");
    // An error ends the script as well.
    eval(&client, "redis.call('select', 7) error('x')", &[]);
    assert_eq!(client.ask("GET a"), "$1 b");
}

#[test]
fn a_script_is_one_change() {
    let client = Client::new();
    let other = Client::of(&client.store);
    client.ask("WATCH a");
    eval(
        &other,
        "redis.call('set', 'a', 1) redis.call('del', 'a')",
        &[],
    );
    client.ask("MULTI");
    assert_eq!(client.ask("EXEC"), "*-1");
    // One who waits gets what is there at the end.
    client.ask("BLPOP l 0");
    let source = "redis.call('rpush', 'l', 1) redis.call('del', 'l') redis.call('rpush', 'l', 2)";
    eval(&other, source, &[]);
    assert_eq!(client.read(), "*2 $1 l $1 2");
}

#[test]
fn a_message_of_a_script_comes_after_its_reply() {
    let client = Client::new();
    client.ask("HELLO 3");
    client.ask("SUBSCRIBE a");
    let source = "return redis.call('publish', 'a', 'x')";
    assert_eq!(eval(&client, source, &[]), ":1 >3 $7 message $1 a $1 x");
}

#[test]
fn faults_are_faults_of_scripts_as_well() {
    let client = Client::new();
    client
        .store
        .with(|engine| engine.faults.is_read_only = true);
    assert!(eval(&client, "return redis.call('set', 'a', 1)", &[]).starts_with("-READONLY "));
    assert_eq!(eval(&client, "return redis.call('get', 'a')", &[]), "$-1");
    client.store.with(|engine| {
        engine.faults = Default::default();
        engine.faults.failing.push(Failing {
            error: "MY error".into(),
            commands: vec!["get".into()],
            left: None,
        });
    });
    assert!(eval(&client, "return redis.call('get', 'a')", &[]).starts_with("-MY error script: "));
    client
        .store
        .with(|engine| engine.faults.is_out_of_memory = true);
    let second = "redis.call('del', 'a') return redis.call('set', 'a', 1)";
    assert!(eval(&client, "return redis.call('set', 'a', 1)", &[]).starts_with("-OOM "));
    assert_eq!(eval(&client, second, &[]), "+OK", "it had begun to write");
}

#[test]
fn calls_are_counted() {
    let client = Client::new();
    eval(
        &client,
        "redis.call('set', 'a', 1) redis.pcall('incr', 'a')",
        &[],
    );
    let stats = client.ask("INFO commandstats");
    for name in ["eval", "set", "incr"] {
        assert!(stats.contains(&format!("cmdstat_{name}:calls=1")), "{name}");
    }
}
