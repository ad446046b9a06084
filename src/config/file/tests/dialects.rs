//! What files may say, in the dialects of several managers.

use super::*;

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
    assert_eq!(shown(&settings(text)), ["main h:1 0 9", "cache h:1 2 9"]);
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

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_key() {
    let config = read("\u{feff}databases: {main: {db: 0}}", &[]);
    assert_eq!(config.expect("a good file").databases.len(), 1);
}
