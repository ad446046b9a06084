//! Scripts: what becomes of values on their way through Lua, and of errors.

use std::time::Duration;

use fastrand::Rng;
use redis::{RedisResult, Script, Value};

use super::{
    SEQUENCES, bits, compare_sequences, lists,
    pair::Pair,
    script_sources::{ERRORS, JSON, VALUES},
    sorted_sets, strings,
    words::{key, pick, value},
};
use crate::{Config, DatabaseConfig, Supervisor, common::RedisServer, memory::scripts::digest};

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Compares the replies of scripts byte by byte, in both protocols.
fn compare_scripts(sources: &[&str]) {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    for protocol in ["2", "3"] {
        pair.begin(protocol);
        for source in sources {
            pair.check_bytes(&words(&["EVAL", source, "2", "s0", "s1", "a", "b"]));
        }
        pair.check_data();
    }
}

#[test]
fn values_on_their_way_through_lua() {
    compare_scripts(VALUES);
}

#[test]
fn errors_of_scripts() {
    compare_scripts(ERRORS);
}

#[test]
fn json() {
    compare_scripts(JSON);
}

/// A script that runs any command, with arguments that are any.
fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    let family = [
        strings::generate,
        lists::generate,
        sorted_sets::generate,
        bits::generate,
    ][random.usize(0..4)];
    let source = pick(
        random,
        &[
            "return redis.call(unpack(ARGV))",
            "return redis.pcall(unpack(ARGV))",
            "redis.setresp(3) return redis.call(unpack(ARGV))",
            "return {1, redis.pcall(unpack(ARGV)), 2}",
            "local ok, e = pcall(redis.call, unpack(ARGV)) return ok and e or {e, 'caught'}",
            "redis.call('set', KEYS[1], 'x') return redis.call(unpack(ARGV))",
        ],
    );
    let name = pick(random, &["EVAL", "EVAL", "EVAL", "EVAL_RO"]);
    let mut all = words(&[name, source, "1"]);
    all.push(key(random, "s"));
    all.extend(family(random));
    all
}

#[test]
fn commands_in_scripts() {
    super::compare("scripts", generate);
}

/// Commands about scripts, by few digests, and in transactions.
fn about_scripts(random: &mut Rng) -> Vec<Vec<u8>> {
    const SOURCES: [&str; 4] = [
        "return redis.call('incr', KEYS[1])",
        "return {KEYS, ARGV}",
        "return (",
        "return redis.call('get', KEYS[1])",
    ];
    let source = pick(random, &SOURCES);
    let digest = digest(source.as_bytes());
    let digest = match random.u8(0..8) {
        0 => digest.to_ascii_uppercase(),
        1 => digest[1..].to_owned(),
        _ => digest,
    };
    let count = pick(random, &["1", "1", "1", "0", "2", "9", "-1", "x"]);
    let mut all = match random.u8(0..14) {
        0..4 => {
            let name = pick(random, &["EVAL", "EVAL_RO"]);
            words(&[name, source, count])
        }
        4..8 => {
            let name = pick(random, &["EVALSHA", "EVALSHA_RO"]);
            words(&[name, &digest, count])
        }
        8 => return words(&["SCRIPT", "LOAD", source]),
        9 | 10 => return words(&["SCRIPT", "EXISTS", &digest, "x"]),
        11 => {
            let line = pick(
                random,
                &[
                    "SCRIPT FLUSH",
                    "SCRIPT FLUSH ASYNC",
                    "SCRIPT FLUSH sync",
                    "SCRIPT FLUSH x",
                    "SCRIPT FLUSH SYNC x",
                    "SCRIPT KILL",
                    "SCRIPT KILL x",
                    "SCRIPT nonsense",
                    "SCRIPT",
                    "SCRIPT EXISTS",
                    "EVAL",
                    "EVALSHA x",
                ],
            );
            return line.split(' ').map(|word| word.into()).collect();
        }
        12 => return words(&[pick(random, &["MULTI", "EXEC", "EXEC", "DISCARD"])]),
        _ => vec![b"SET".to_vec()],
    };
    all.push(key(random, "s"));
    all.push(value(random));
    all
}

#[test]
fn sessions_with_scripts() {
    compare_sequences("scripts", SEQUENCES, |pair, random| {
        pair.check_bytes(&words(&["RESET"]));
        pair.begin(if random.bool() { "2" } else { "3" });
        pair.check_bytes(&words(&["SCRIPT", "FLUSH"]));
        for _ in 0..60 {
            pair.check_bytes(&about_scripts(random));
        }
        pair.check_bytes(&words(&["RESET"]));
    });
}

#[test]
fn a_full_server() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    pair.begin("2");
    pair.check_bytes(&words(&["SET", "s0", "x"]));
    pair.check_bytes(&words(&["CONFIG", "SET", "maxmemory", "1"]));
    for source in [
        "return redis.call('set', 's0', 'y')",
        "redis.call('del', 's0') return redis.call('set', 's0', 'z')",
        "return redis.call('get', 's0')",
        "#!lua\nreturn 1",
        "#!lua flags=allow-oom\nreturn redis.call('set', 's0', 'v')",
        "#!lua flags=no-writes\nreturn redis.call('get', 's0')",
    ] {
        pair.check_bytes(&words(&["EVAL", source, "0"]));
        pair.check_bytes(&words(&["EVAL_RO", source, "0"]));
    }
    pair.check_bytes(&words(&["CONFIG", "SET", "maxmemory", "0"]));
    pair.check_bytes(&words(&["EVAL_RO", "#!lua\nreturn 1", "0"]));
    pair.check_data();
}

#[test]
fn the_limit_of_time() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    pair.begin("2");
    for line in [
        "CONFIG GET busy-reply-threshold",
        "CONFIG GET lua-time-limit",
        "CONFIG SET lua-time-limit 4000",
        "CONFIG GET busy-reply-threshold",
        "CONFIG SET busy-reply-threshold x",
        "CONFIG SET lua-time-limit -1",
        "CONFIG SET busy-reply-threshold 0",
        "EVAL return(1) 0",
    ] {
        let line: Vec<_> = line.split(' ').collect();
        pair.check_bytes(&words(&line));
    }
}

/// What programs do with `redis::Script`: it sends the digest, and loads a script that the server does not know.
async fn use_scripts(url: &str) -> Vec<String> {
    let config = Config::new().database("main", DatabaseConfig::from_url(url));
    let supervisor = Supervisor::spawn(config).await.expect("settings");
    let mut main = supervisor.database("main").expect("a database");
    let mut seen = Vec::new();
    let take = Script::new(
        "local left = tonumber(redis.call('get', KEYS[1]) or ARGV[1])
         if left < tonumber(ARGV[2]) then return redis.error_reply('EMPTY ' .. left .. ' left') end
         redis.call('set', KEYS[1], left - ARGV[2])
         return {left, cjson.encode({left = left - ARGV[2]})}",
    );
    for count in [3, 4, 5] {
        let taken: RedisResult<(i64, String)> = take
            .key("tokens")
            .arg(10)
            .arg(count)
            .invoke_async(&mut main)
            .await;
        seen.push(match taken {
            Ok(taken) => format!("{taken:?}"),
            Err(error) => format!("{:?} {:?}", error.code(), error.detail()),
        });
    }
    let flushed = main.query::<()>(redis::cmd("SCRIPT").arg("FLUSH")).await;
    seen.push(format!("{}", flushed.is_ok()));
    let left: RedisResult<Value> = take
        .key("tokens")
        .arg(0)
        .arg(1)
        .invoke_async(&mut main)
        .await;
    seen.push(format!("{left:?}"));
    let mut pipeline = redis::pipe();
    pipeline
        .atomic()
        .load_script(&take)
        .invoke_script(take.key("tokens").arg(0).arg(1))
        .get("tokens");
    let all: RedisResult<Value> = pipeline.query_async(&mut main).await;
    seen.push(format!("{all:?}"));
    supervisor.shutdown(Duration::ZERO).await;
    seen
}

#[tokio::test]
async fn scripts_of_the_redis_crate() {
    let server = RedisServer::start();
    let real = use_scripts(&server.url()).await;
    let embedded = use_scripts("memory://").await;
    assert_eq!(real, embedded);
    assert!(real[0].contains("(10, "), "{real:?}");
}
