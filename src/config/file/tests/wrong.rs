//! Files that cannot be used, and what is said of each.

use super::*;

/// Files with one thing wrong each, and what is said of it.
const WRONG: &[(&str, &str)] = &[
    ("", "(text) is empty; write for instance databases:"),
    ("# a comment", "(text) is empty"),
    ("{}", "(text):1:1: file: has no keys; write for instance"),
    (
        "just text",
        "(text):1:1: file: is a single value, and should be a map",
    ),
    (
        "- a\n- b",
        "(text):1:1: file: is a list, and should be a map",
    ),
    ("a: b: c", "is no valid YAML"),
    ("databases: {main: {db: 0}", "is no valid YAML"),
    ("databases:\n\tmain: 0", "is no valid YAML"),
    (
        "databases: [main]",
        "(text):1:12: databases: is a list, and should be a map of names and settings",
    ),
    (
        "databases: {main: [1]}",
        "(text):1:19: database \"main\": databases: is a list",
    ),
    (
        "databases: {main: 5}",
        "database \"main\": url: does not start with a known scheme",
    ),
    (
        "databases: {main: {max_conections: 5}}",
        "(text):1:20: database \"main\": max_conections: is not known here; did you mean max_connections?",
    ),
    (
        "databses: {main: {db: 0}}",
        "(text):1:1: databses: is not known here; did you mean databases?",
    ),
    ("colour: red", "(text):1:1: colour: is not known here"),
    ("alias_of: main", "alias_of: is not known here"),
    (
        "databases:\n  main: {db: 0}\n  main: {db: 1}",
        "(text):3:3: file: gives the key main twice, first in line 2",
    ),
    (
        "databases: {main: {db: 0, number: 1}}",
        "(text):1:27: database \"main\": number: stands beside db, which says the same; keep one",
    ),
    (
        "databases: {main: {url: redis://h, host: i}}",
        "host: stands beside url",
    ),
    (
        "databases: {main: {password: canary, password_env: X}}",
        "password_env: stands beside password",
    ),
    (
        "databases: {a: {db: 0}}\nredis_databases: {b: {db: 1}}",
        "(text):2:1: redis_databases: stands beside another map of databases",
    ),
    (
        "databases: {main: {db: one}}",
        "(text):1:24: database \"main\": db: is not a database number, as in db: 0",
    ),
    ("databases: {main: {db: -1}}", "-1 is no database number"),
    (
        "db: 3\ndatabases: {main: }",
        "(text):1:1: db: is of one database",
    ),
    (
        "databases: {main: {port: 70000}}",
        "\"70000\" is not a port from 1 to 65535, as in port: 6379",
    ),
    (
        "databases: {main: {host: redis://canary@h}}",
        "host: is neither a host name nor an IP address",
    ),
    (
        "databases: {main: {max_connections: 0}}",
        "(text):1:37: database \"main\": max_connections: 0 is too small; use at least 1",
    ),
    (
        "databases: {main: {max_connections: many}}",
        "\"many\" is not a whole number, as in max_connections: 50",
    ),
    (
        "databases: {main: {max_connections: [1]}}",
        "max_connections: is a list, and should be a single value, as in max_connections: 50",
    ),
    (
        "databases: {main: {command_timeout: soon}}",
        "\"soon\" is not a number of seconds, as in command_timeout: 5",
    ),
    (
        "databases: {main: {socket_timeout: -1}}",
        "-1 is not a usable number of seconds, as in socket_timeout: 5",
    ),
    (
        "databases: {main: {command_timeout: 2 years}}",
        "\"2 years\" is not a number of seconds",
    ),
    (
        "databases: {main: {allow_admin: maybe}}",
        "\"maybe\" is not true or false",
    ),
    (
        "databases: {main: {when_down: panic}}",
        "\"panic\" is not refuse or wait, as in when_down: refuse",
    ),
    (
        "databases: {main: {protocol: 4}}",
        "\"4\" is not 2, 3, resp2 or resp3",
    ),
    (
        "databases: {main: {keepalive: {idel: 5}}}",
        "(text):1:32: database \"main\": keepalive.idel: is not known here; did you mean idle?",
    ),
    (
        "databases: {main: {keepalive: {count: 0}}}",
        "0 is too small; use at least 1",
    ),
    (
        "databases: {main: {keepalive: often}}",
        "\"often\" is not true, false, or a map",
    ),
    (
        "databases: {main: {fallback: {on_recovery: hope}}}",
        "\"hope\" is not discard or replay",
    ),
    (
        "databases: {main: {shared_connections: 4}}",
        "shared_connections: is a single value, and should be a map of min and max",
    ),
    (
        "databases: {main: {password: '${NONE}'}}",
        "(text):1:30: database \"main\": password: needs the variable NONE, which is not set",
    ),
    (
        "databases: {main: {password_env: NONE}}",
        "password_env: names the variable \"NONE\", which is not set",
    ),
    (
        "databases: {main: {password_file: /none}}",
        "password_file: names /none, which cannot be read",
    ),
    (
        "databases: {main: {url: 'redis://:canary@h/x'}}",
        "(text):1:25: database \"main\": url: has something other than a database number",
    ),
    (
        "io: sometimes\ndatabases: {main: }",
        "\"sometimes\" is not caller or dedicated",
    ),
    (
        "databases: {a: {alias_of: b, max_connections: 5}, b: {db: 1}}",
        "max_connections: has no effect on an alias",
    ),
    ("---\na: 1\n---\nb: 2", "second document"),
    ("a: &a [*a]", "repeats a value within itself"),
    ("? [1]\n: 2", "has a key that is no text"),
    (
        "databases: {main: {db: 0, password:canary}}",
        "(text):1:27: database \"main\": password: has no space after its colon",
    ),
    (
        "databases: {main:redis://:canary@h}",
        "(text):1:13: main: has no space after its colon",
    ),
    (
        "databases: {main: {\"ca\\nnary\": 1}}",
        "\"ca\\nnary\": is not known here",
    ),
    ("databases:", "(text):1:1: databases: names no database"),
    (
        "databases: {main: {url: redis://h, port: 1}}",
        "port: stands beside url",
    ),
    (
        "databases: {main: {max_retries: 1, retry_attempts: 2}}",
        "retry_attempts: stands beside max_retries",
    ),
    (
        "databases: {main: {db: !vault 1}}",
        "(text):1:24: file: has the tag \"!vault\", which is not known here",
    ),
    (
        "databases: {main: {<<: 5}}",
        "merges something that is no map",
    ),
    (
        "connection: {databases: {main: }}",
        "databases: has to stand at the top of the file",
    ),
    ("connection: {ssl: 5}", "\"5\" is not true, false, or a map"),
    (
        "databases: {main: {tls: {ca_fil: /ca}}}",
        "tls.ca_fil: is not known here; did you mean ca_file?",
    ),
];

#[test]
fn every_wrong_file_has_a_clear_error_and_shows_no_secret() {
    for (text, expected) in WRONG {
        let error = read(text, &[]).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
        assert!(!error.contains("canary"), "{text}\n{error}");
    }
}

/// Problems that only show once all settings are known. Each names the line.
#[test]
fn settings_that_do_not_fit_each_other_are_found_with_their_places() {
    for (text, expected) in [
        (
            "command_timeout: 1\ndatabases:\n  main:\n    attempt_timeout: 2",
            "(text):4:22: database \"main\": attempt_timeout: 2 s ((text):4:22) is above the command timeout of 1 s ((text):1:18)",
        ),
        (
            "databases: {main: {username: u}}",
            "(text):1:30: database \"main\": username: has a user name without a password",
        ),
        (
            "databases: {a: {alias_of: b}, c: {db: 1}}",
            "(text):1:27: database \"a\": alias_of: names \"b\", which is no database",
        ),
        (
            "databases: {a: {alias_of: c, db: 2}, c: {db: 1}}",
            "leads to \"c\", whose number is 1",
        ),
        ("databases: {a b: {db: 1}}", "name: holds whitespace"),
        (
            "default_database: mian\ndatabases: {main: }",
            "default_database: \"mian\" is no database; did you mean main?",
        ),
        (
            "databases: {main: {tls: {server_name: 'a b'}}}",
            "tls.server_name: is neither a host name nor an IP address",
        ),
        (
            "connection: {host: h, ssl: {enabled: true, keyfile: /none}}",
            "tls.key_file: stands without tls.cert_file",
        ),
        (
            "connection: {ssl: {ca_path: /none}}",
            "tls.ca_file: names /none, which cannot be used: No such file",
        ),
        (
            "databases: {main: {url: 'rediss://:canary@h', tls: false}}",
            "tls: is off, and the URL asks for TLS",
        ),
    ] {
        let config = read(text, &[]).expect("readable");
        let error = config.check().expect_err(text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let text = "max_conections: 5\ndatabases:\n  main: {db: x, port: 0}\n  cache: {when_down: no}";
    let error = read(text, &[("REDIS_STEWARD_IDLE_TIMEOUT", "never")]).expect_err("four problems");
    assert_eq!(error.problems().len(), 4, "{error}");
    let lines: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.position().map(FilePosition::line))
        .collect();
    assert_eq!(lines, [Some(1), Some(3), Some(3), Some(4)]);
}

#[test]
fn repetition_does_not_grow_without_bound() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let error = read(&text, &[]).expect_err("too large").to_string();
    assert!(error.contains("has more than 500000 values"), "{error}");
    let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
    let error = read(&deep, &[]).expect_err("too deep").to_string();
    assert!(
        error.contains("levels") || error.contains("no valid YAML"),
        "{error}"
    );
}
