use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::config::{
    FilePosition, Settings, fields,
    layer::{Origin, Origins},
    resolve,
    source::CONFIG_FILE,
};

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = Environment::from_iter(variables.iter().copied());
    finish(noted(read_text(text, None, &environment)))
}

fn settings(text: &str) -> Settings {
    let config = read(text, &[]).unwrap_or_else(|error| panic!("{error}"));
    resolve(config).unwrap_or_else(|error| panic!("{error}"))
}

/// The file of the requirements, with every key of the dialects that it joins.
const REALISTIC: &str = r#"
host: 127.0.0.1
port: 6379
password: null
timeout: 5
max_connections: 20
health_check_interval: 30
retry_attempts: 3
retry_delay: 1
log_commands: false
log_level: INFO
redis_databases:
  main:      {db: 0, description: "queues, general state"}
  knowledge: {db: 1, description: "knowledge base", max_connections: 40}
  cache:     {db: 5, socket_timeout: 4.0, socket_connect_timeout: 4.0, socket_keepalive: true,
              retry_on_timeout: true, max_retries: 3, decode_responses: true}
  sessions:  {db: 6, circuit_breaker_threshold: 3, circuit_breaker_timeout: 10}
  audit:     {db: 10, max_connections: 15, timeout_seconds: 3.0, health_check_interval: 7,
              host: audit.internal, port: 6380, password: own}
  analytics: {db: 11, description: "code analytics"}
  codebase:  {db: 11, alias_of: analytics}
"#;

#[test]
fn the_file_of_the_requirements_has_the_values_that_it_states() {
    let settings = settings(REALISTIC);
    let named = |name: &str| {
        let mut databases = settings.databases.iter();
        databases
            .find(|database| &*database.name == name)
            .expect(name)
    };
    let stated = |name: &str| {
        let database = named(name);
        (
            database.number,
            database.address.to_string(),
            database.max_connections,
            database.command_timeout.as_secs(),
        )
    };
    let local = || "127.0.0.1:6379".to_owned();
    assert_eq!(stated("main"), (0, local(), 20, 5));
    assert_eq!(stated("knowledge"), (1, local(), 40, 5));
    assert_eq!(stated("cache"), (5, local(), 20, 4));
    assert_eq!(stated("sessions"), (6, local(), 20, 5));
    assert_eq!(stated("audit"), (10, "audit.internal:6380".into(), 15, 3));
    assert_eq!(named("cache").connect_timeout, Duration::from_secs(4));
    assert_eq!(
        (named("cache").max_attempts, named("main").max_attempts),
        (4, 3)
    );
    assert_eq!(named("sessions").failure_threshold, 3);
    assert_eq!(named("sessions").recovery_timeout, Duration::from_secs(10));
    assert_eq!(named("audit").health_check_interval, Duration::from_secs(7));
    let password = named("audit")
        .password
        .as_ref()
        .map(|password| password.expose_secret());
    assert_eq!(password, Some("own"));
    assert_eq!(named("main").password.as_ref().map(|_| ()), None);
    assert_eq!(settings.databases.len(), 6);
    assert_eq!(settings.aliases, [("codebase".into(), "analytics".into())]);

    let config = read(REALISTIC, &[]).expect("a good file");
    let notes: Vec<_> = config.notes().iter().map(ToString::to_string).collect();
    let ignored = [
        "retry_delay",
        "log_commands",
        "log_level",
        "retry_on_timeout",
        "decode_responses",
    ];
    assert_eq!(notes.len(), ignored.len(), "{notes:?}");
    for (note, key) in notes.iter().zip(ignored) {
        assert!(note.contains(&format!("{key}: has no effect: ")), "{note}");
    }
}

#[test]
fn every_setting_of_the_table_can_be_set_for_all_and_for_one() {
    for field in fields::all() {
        let path: Vec<_> = field.key.split('.').collect();
        let nested = |value: &str| {
            let open: String = path.iter().map(|part| format!("{{{part}: ")).collect();
            format!("{open}{value}{}", "}".repeat(path.len()))
        };
        let of_one = format!("databases: {{main: {}}}", nested(field.example));
        let config = read(&of_one, &[]).unwrap_or_else(|error| panic!("{}: {error}", field.key));
        let origin = config.databases[0]
            .1
            .origin(field.key)
            .expect("a key of the table");
        assert!(
            matches!(origin, Origin::File(_)),
            "{}: {origin:?}",
            field.key
        );
        for name in field.names {
            let of_one = format!("databases: {{main: {{{name}: {}}}}}", field.example);
            let config = read(&of_one, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
            let origin = config.databases[0]
                .1
                .origin(field.key)
                .expect("a key of the table");
            assert!(matches!(origin, Origin::File(_)), "{name}: {origin:?}");
        }
        if field.key != "number" {
            let whole = nested(field.example);
            let of_all = format!("{}\ndatabases: {{main: }}", &whole[1..whole.len() - 1]);
            let config =
                read(&of_all, &[]).unwrap_or_else(|error| panic!("{}: {error}", field.key));
            let origin = config.databases[0]
                .1
                .origin(field.key)
                .expect("a key of the table");
            assert!(
                matches!(origin, Origin::FileForAll(_)),
                "{}: {origin:?}",
                field.key
            );
        }
    }
}

type Variables<'a> = Vec<(&'a str, &'a str)>;

/// Every setting, from every pair of sources, in the order that the documentation states.
#[test]
fn precedence_holds_for_every_setting() {
    for field in fields::all().filter(|field| field.key != "number") {
        let path: Vec<_> = field.key.split('.').collect();
        let open: String = path.iter().map(|part| format!("{{{part}: ")).collect();
        let nested = format!("{open}{}{}", field.example, "}".repeat(path.len()));
        let for_all = &nested[1..nested.len() - 1];
        let spelled = source::spelled(field.key);
        let general = format!("REDIS_STEWARD_{spelled}");
        let own = format!("REDIS_STEWARD_MAIN_{spelled}");
        let common = field.variable.unwrap_or(&general);
        let file_of_all = format!("{for_all}\ndatabases: {{main: }}");
        let file_of_one = format!("{for_all}\ndatabases: {{main: {nested}}}");
        let example = field.example;
        let cases: [(&str, Variables<'_>, &str); 5] = [
            (&file_of_all, vec![], "(text):1:"),
            (&file_of_one, vec![], "(text):2:"),
            (&file_of_one, vec![(common, example)], common),
            (
                &file_of_one,
                vec![(common, example), (&general, example)],
                &general,
            ),
            (
                &file_of_one,
                vec![(&own, example), (&general, example)],
                &own,
            ),
        ];
        for (text, variables, expected) in cases {
            let environment = Environment::from_iter(variables.iter().copied());
            let (mut config, mut problems) = read_text(text, None, &environment);
            problems.extend(source::read(&mut config, &environment));
            let config =
                finish((config, problems)).unwrap_or_else(|error| panic!("{}: {error}", field.key));
            let origin = config.databases[0]
                .1
                .origin(field.key)
                .expect("a key of the table");
            assert!(
                origin.to_string().starts_with(expected),
                "{}: {origin}, not {expected}",
                field.key
            );
        }
    }
    let config = read("databases: {main: {max_connections: 5}}", &[]).expect("a good file");
    let config = config.adjust("main", |main| main.max_connections(6));
    let origin = config.databases[0].1.origin("max_connections");
    assert_eq!(origin, Some(&Origin::Setter));
    let config = config.adjust("main", |main| {
        let mut main = main;
        main.set("max_connections", "7", &Origin::Variable("X".into()))
            .expect("a number");
        main
    });
    assert_eq!(
        *config.databases[0].1.max_connections.get(),
        6,
        "code is the strongest"
    );
}

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
        "(text):3:3: file: gives the key \"main\" twice, first in line 2",
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
        "databases: {main: rediss://:canary@h}",
        "TLS) is not supported yet",
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
    ("connection: {ssl: true}", "ssl: asks for TLS"),
    ("connection: {ssl: {ca_path: /ca}}", "ssl: asks for TLS"),
    (
        "connection: {host: h, ssl: {enabled: true}}",
        "ssl: asks for TLS",
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
fn merge_keys_and_aliases_of_yaml_repeat_settings() {
    let text = "databases:\n  a: &a {max_connections: 7, db: 1}\n  b: {<<: *a, db: 2}\n  c: {<<: [*a], db: 3}";
    let settings = settings(text);
    let of = |at: usize| {
        (
            settings.databases[at].max_connections,
            settings.databases[at].number,
        )
    };
    assert_eq!([of(0), of(1), of(2)], [(7, 1), (7, 2), (7, 3)]);
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

#[test]
fn a_database_may_be_a_url_and_a_file_may_describe_one_database() {
    let of = |text: &str| {
        let settings = settings(text);
        let database = &settings.databases[0];
        format!("{} {} {}", database.name, database.address, database.number)
    };
    assert_eq!(of("databases: {reports: redis://h:1/2}"), "reports h:1 2");
    assert_eq!(of("host: h\nport: 7"), "main h:7 0");
    assert_eq!(of("url: redis://h:1/2\ndatabases: {a: {db: 3}}"), "a h:1 3");
    assert_eq!(
        of("url: redis://h:1/2\ndatabases: {a: {host: i}}"),
        "a i:1 0"
    );
    assert_eq!(
        of("host: h\ndatabases: {a: {url: redis://i}}"),
        "a i:6379 0"
    );
    assert_eq!(of("databases: {a: }"), "a localhost:6379 0");
}

#[test]
fn the_connection_block_of_another_dialect_is_read() {
    let text = "connection: {host: h, port: 1, default_db: 0, cache_db: 2, pool_size: 10, max_connections: 9,\n  \
                connect_timeout: 4, socket_timeout: 5, ssl: {enabled: false}}\nmonitoring: {health_checks: {interval: 30}}";
    let settings = settings(text);
    let shown: Vec<_> = settings
        .databases
        .iter()
        .map(|database| {
            format!(
                "{} {} {} {}",
                database.name, database.address, database.number, database.max_connections
            )
        })
        .collect();
    assert_eq!(shown, ["main h:1 0 9", "cache h:1 2 9"]);
}

#[test]
fn databases_that_share_a_number_are_noted_unless_one_is_an_alias() {
    let config = read(
        "databases: {a: {db: 1}, b: {db: 1}, c: {db: 1, host: h}, d: {alias_of: a}}",
        &[],
    );
    let config = config.expect("a good file");
    let notes: Vec<_> = config.notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("(text):1:"), "{notes:?}");
    assert!(
        notes[0].contains("database \"b\": number: 1 is that of \"a\" as well"),
        "{notes:?}"
    );
}

#[test]
fn variables_stand_in_for_values() {
    let variables = [
        ("HOST", "h"),
        ("SECRET", "s3"),
        ("PORT", ""),
        ("COUNT", "7"),
    ];
    let text = "host: ${HOST}\nport: ${PORT:-1}\npassword: ${SECRET}\nmax_connections: ${COUNT}";
    let settings = resolve(read(text, &variables).expect("readable")).expect("valid");
    let main = &settings.databases[0];
    assert_eq!(
        (main.address.to_string(), main.max_connections),
        ("h:1".into(), 7)
    );
    let password = main
        .password
        .as_ref()
        .map(|password| password.expose_secret());
    assert_eq!(password, Some("s3"));
    let text = "password_env: SECRET";
    let settings = resolve(read(text, &variables).expect("readable")).expect("valid");
    assert!(settings.databases[0].password.is_some());
}

/// A folder with files of these names, texts and modes.
#[cfg(unix)]
fn folder(files: &[(&str, &str, u32)]) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text, mode) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("a mode");
    }
    folder
}

#[cfg(unix)]
#[test]
fn secrets_that_all_users_may_read_are_refused_unless_allowed() {
    let inline = "password: canary\n";
    let url = "url: redis://:canary@h\n";
    let by_file = "password_file: secret\n";
    let by_variable = "password: ${SECRET}\n";
    let allowed = "allow_readable_secrets: true\n";
    let variables = [("SECRET", "canary")];
    for (text, mode, secret_mode, variables, expected) in [
        (
            inline,
            0o644,
            0o600,
            &variables[..],
            Some("password: is a secret in "),
        ),
        (url, 0o644, 0o600, &variables, Some("url: is a secret in ")),
        (
            by_file,
            0o644,
            0o644,
            &variables,
            Some("password_file: is a secret in "),
        ),
        (inline, 0o640, 0o600, &variables, None),
        (by_file, 0o644, 0o600, &variables, None),
        (by_variable, 0o644, 0o600, &variables, None),
        (
            &format!("{allowed}{inline}"),
            0o644,
            0o600,
            &variables,
            None,
        ),
        (
            inline,
            0o644,
            0o600,
            &[(ALLOW_READABLE_SECRETS, "true")],
            None,
        ),
    ] {
        let folder = folder(&[
            ("redis.yaml", text, mode),
            ("secret", "canary\n", secret_mode),
        ]);
        let environment = Environment::from_iter(variables.iter().copied());
        let read = finish(read_file(&folder.path().join("redis.yaml"), &environment));
        match (read, expected) {
            (Ok(config), None) => {
                let settings = resolve(config).expect("valid");
                let password = settings.databases[0].password.as_ref();
                assert_eq!(
                    password.map(|password| password.expose_secret()),
                    Some("canary")
                );
            }
            (Err(error), Some(expected)) => {
                let error = error.to_string();
                assert!(
                    error.contains(expected) && error.contains("(mode 0644); run chmod o-r"),
                    "{error}"
                );
                assert!(!error.contains("canary"), "{error}");
            }
            (Ok(_), Some(expected)) => panic!("{text}: no error, not {expected}"),
            (Err(error), None) => panic!("{text}: {error}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_searched_for_in_the_stated_order() {
    let text = "host: h";
    let files = [
        ("explicit.yaml", text, 0o600),
        ("app/config/redis-databases.yaml", text, 0o600),
        ("config/redis-databases.yaml", text, 0o600),
    ];
    let folder = folder(&files);
    let root = folder.path();
    let found = |variables: &[(&str, &str)]| {
        let environment = Environment::from_iter(variables.iter().copied());
        let found = search::find(&environment, root, root);
        found.map(|path| {
            path.strip_prefix(root)
                .expect("in the folder")
                .display()
                .to_string()
        })
    };
    let host = || Some("config/redis-databases.yaml".to_owned());
    assert_eq!(found(&[]), host());
    let kubernetes = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert_eq!(
        found(&[kubernetes]),
        Some("app/config/redis-databases.yaml".into())
    );
    assert_eq!(
        found(&[kubernetes, (CONFIG_FILE, "explicit.yaml")]),
        Some("explicit.yaml".into())
    );
    assert_eq!(
        found(&[(CONFIG_FILE, "missing.yaml")]),
        Some("missing.yaml".into())
    );
    fs::write(root.join(".dockerenv"), "").expect("a file");
    assert_eq!(found(&[]), Some("app/config/redis-databases.yaml".into()));
    fs::remove_file(root.join("app/config/redis-databases.yaml")).expect("removed");
    assert_eq!(found(&[]), host());
    fs::remove_file(root.join("config/redis-databases.yaml")).expect("removed");
    assert_eq!(found(&[]), None);
}

#[test]
fn a_missing_file_is_an_error_and_no_file_is_the_environment() {
    let environment = Environment::from_iter([("REDIS_HOST", "h")]);
    let error = finish(read_all(Some(Path::new("/none.yaml")), &environment)).expect_err("missing");
    assert!(
        error.to_string().contains("/none.yaml cannot be read"),
        "{error}"
    );
    let config = finish(read_all(None, &environment)).expect("the environment");
    assert_eq!(
        resolve(config).expect("valid").databases[0]
            .address
            .to_string(),
        "h:6379"
    );
}

#[test]
fn databases_that_variables_add_to_a_file_share_its_server() {
    let environment = Environment::from_iter([
        ("REDIS_DB_EXTRA", "12"),
        ("REDIS_SESSIONS_URL", "redis://s:2/6"),
        ("REDIS_MAX_CONNECTIONS", "8"),
        ("REDIS_URL", "redis://r:3/9"),
    ]);
    let (mut config, mut problems) = read_text(
        "host: h\ndatabases: {main: , sessions: {db: 5}}",
        None,
        &environment,
    );
    problems.extend(source::read(&mut config, &environment));
    let settings = resolve(finish((config, problems)).expect("readable")).expect("valid");
    let shown: Vec<_> = settings
        .databases
        .iter()
        .map(|database| {
            format!(
                "{} {} {} {}",
                database.name, database.address, database.number, database.max_connections
            )
        })
        .collect();
    assert_eq!(
        shown,
        ["main r:3 9 8", "sessions s:2 6 8", "extra r:3 12 8"]
    );
}

#[test]
fn an_explanation_names_every_origin_and_shows_no_secret() {
    let environment = Environment::from_iter([
        ("REDIS_STEWARD_IDLE_TIMEOUT", "60"),
        ("REDIS_CACHE_URL", "redis://canary:canary@c/7"),
    ]);
    let text = "password: canary\nhost: h\nlog_level: INFO\ndatabases:\n  main: {db: 3, username: canary}\n  \
                cache: {max_connections: 4}\n  other: {alias_of: main}";
    let (mut config, mut problems) = read_text(text, None, &environment);
    problems.extend(source::read(&mut config, &environment));
    let config = finish((config, problems)).expect("readable");
    let config = config.adjust("main", |main| main.command_timeout(Duration::from_secs(2)));
    let explanation = config.explain();
    let of = |database: &str, setting: &str| {
        let mut settings = explanation.settings().iter();
        let found = settings.find(|row| row.database() == database && row.setting() == setting);
        let found = found.unwrap_or_else(|| panic!("no {setting} of {database}"));
        format!("{} from {}", found.value(), found.origin())
    };
    assert_eq!(of("main", "address"), "h:6379 from (text):2:7");
    assert_eq!(of("main", "number"), "3 from (text):5:14");
    assert_eq!(of("main", "username"), "*** from (text):5:27");
    assert_eq!(of("main", "password"), "*** from (text):1:11");
    assert_eq!(of("main", "command_timeout"), "2 s from code");
    assert_eq!(of("main", "attempt_timeout"), "1 s from default");
    assert_eq!(
        of("main", "idle_timeout"),
        "60 s from REDIS_STEWARD_IDLE_TIMEOUT"
    );
    assert_eq!(of("cache", "address"), "c:6379 from REDIS_CACHE_URL");
    assert_eq!(of("cache", "number"), "7 from REDIS_CACHE_URL");
    assert_eq!(of("cache", "max_connections"), "4 from (text):6:28");
    assert_eq!(of("other", "alias_of"), "main from (text):7:21");
    let shown = format!("{explanation}\n{explanation:?}\n{config:?}");
    assert!(
        shown.contains("\nnote: (text):3:1: log_level: has no effect"),
        "{shown}"
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_number_stays_with_its_database_when_a_stronger_url_has_none() {
    let text = "databases: {main: redis://a/0, sessions: redis://a/6, empty: {alias_of: , db: 4}}";
    let environment = Environment::from_iter([("REDIS_URL", "redis://b:1")]);
    let (mut config, mut problems) = read_text(text, None, &environment);
    problems.extend(source::read(&mut config, &environment));
    let settings = resolve(finish((config, problems)).expect("readable")).expect("valid");
    let shown = settings.databases.iter();
    let shown: Vec<_> = shown
        .map(|one| format!("{} {} {}", one.name, one.address, one.number))
        .collect();
    assert_eq!(shown, ["main b:1 0", "sessions b:1 6", "empty b:1 4"]);
}

#[test]
fn secrets_beside_variables_are_secrets_too() {
    for (text, expected) in [
        ("password: a$${b", true),
        ("password: ${P:-canary}", true),
        ("url: redis://:canary@${HOST}/0", true),
        ("url: redis://:${P}@${HOST}/0", false),
        ("url: unix:///run/redis.sock?pass=canary", true),
        ("url: redis://h", false),
    ] {
        let context = Context {
            environment: &Environment::from_iter([("P", "p"), ("HOST", "h")]),
            has_variables: true,
            file: Some(Path::new("/dev/null")),
            allows_readable_secrets: false,
        };
        let root = yaml::parse(text, &"(text)".into(), &mut Vec::new()).expect("a tree");
        let (_, problems) = reader::read(root, &context);
        let is_secret = problems
            .iter()
            .any(|problem| problem.message().starts_with("is a secret in"));
        assert_eq!(is_secret, expected, "{text}: {problems:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_key() {
    let config = read("\u{feff}databases: {main: {db: 0}}", &[]);
    assert_eq!(config.expect("a good file").databases.len(), 1);
}
