use std::time::Duration;

use super::*;
use crate::config::{DatabaseSettings, Keepalive, Protocol};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// The settings of a good database named `main`.
fn good(database: DatabaseConfig) -> DatabaseSettings {
    let settings = resolve(Config::new().database("main", database)).unwrap();
    (*settings.databases[0]).clone()
}

fn problems(config: Config) -> String {
    resolve(config)
        .expect_err("the configuration was accepted")
        .to_string()
}

#[test]
fn defaults() {
    let settings = resolve(Config::single("redis://u:p@h:1/2")).unwrap();
    let main = &settings.databases[0];
    assert_eq!(
        (&*main.name, main.address.to_string(), main.number),
        ("main", "h:1".into(), 2)
    );
    assert_eq!(
        (
            main.username.as_ref().map(|user| &*user.0),
            main.client_name.as_str()
        ),
        (Some("u"), "redis-steward:main")
    );
    assert_eq!(
        (
            main.command_timeout,
            main.attempt_timeout,
            main.connect_timeout
        ),
        (5 * S, S, 2 * S)
    );
    assert_eq!(main.acquire_timeout, S);
    assert_eq!((main.max_connections, main.min_idle), (50, 1));
    assert_eq!((main.shared_min, main.shared_max), (1, 1));
    assert_eq!(main.idle_timeout, 300 * S);
    assert_eq!(
        (main.max_lifetime, main.leak_warning),
        (Some(1800 * S), None)
    );
    assert_eq!(main.sweep_interval, 60 * S);
}

#[test]
fn the_settings_of_the_pool_arrive() {
    let settings = good(
        DatabaseConfig::new()
            .acquire_timeout(8 * S)
            .max_connections(20)
            .shared_connections(2, 4)
            .min_idle(3)
            .idle_timeout(30 * S)
            .max_lifetime(600 * S)
            .leak_warning(9 * S),
    );
    // Waiting for a lease may take longer than a command.
    assert_eq!(settings.acquire_timeout, 8 * S);
    assert_eq!((settings.max_connections, settings.min_idle), (20, 3));
    assert_eq!((settings.shared_min, settings.shared_max), (2, 4));
    assert_eq!(settings.idle_timeout, 30 * S);
    assert_eq!(settings.max_lifetime, Some(600 * S));
    assert_eq!(settings.leak_warning, Some(9 * S));

    let settings = good(DatabaseConfig::new().without_max_lifetime());
    assert_eq!(settings.max_lifetime, None);
}

#[test]
fn a_pool_may_be_all_shared_and_all_kept() {
    for count in [1, 65_535] {
        let config = DatabaseConfig::new().max_connections(count);
        let settings = good(config.shared_connections(count, count).min_idle(count));
        assert_eq!((settings.shared_min, settings.shared_max), (count, count));
        assert_eq!(
            (settings.max_connections, settings.min_idle),
            (count, count)
        );
    }
}

#[test]
fn a_database_sweeps_at_its_own_interval_or_at_that_of_all() {
    let settings = resolve(
        Config::new()
            .database("own", DatabaseConfig::new().sweep_interval(2 * S))
            .sweep_interval(7 * S)
            .database("other", DatabaseConfig::new()),
    )
    .unwrap();
    let intervals: Vec<_> = settings
        .databases
        .iter()
        .map(|database| database.sweep_interval)
        .collect();
    assert_eq!(intervals, [2 * S, 7 * S]);
}

#[test]
fn debug_shows_the_settings_of_the_pool() {
    let config = DatabaseConfig::new()
        .acquire_timeout(8 * S)
        .shared_connections(2, 4)
        .max_lifetime(600 * S)
        .leak_warning(9 * S)
        .sweep_interval(7 * S);
    let shown = format!("{config:?}");
    for expected in [
        "acquire_timeout: Some(8s)",
        "shared_min: 2",
        "shared_max: 4",
        "max_lifetime: Some(600s)",
        "leak_warning: Some(9s)",
        "sweep_interval: Some(7s)",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
}

#[test]
fn timeouts_left_out_follow_the_command_timeout() {
    for (command, attempt, connect, acquire) in [
        (60 * S, S, 2 * S, S),
        (3 * S, S, 1500 * MS, S),
        (500 * MS, 500 * MS, 250 * MS, 500 * MS),
    ] {
        let settings = good(DatabaseConfig::new().command_timeout(command));
        assert_eq!(
            (
                settings.attempt_timeout,
                settings.connect_timeout,
                settings.acquire_timeout
            ),
            (attempt, connect, acquire),
            "{command:?}"
        );
    }
    assert!(good(DatabaseConfig::new().command_timeout(MS)).connect_timeout > Duration::ZERO);
}

#[test]
fn setters_win_over_the_url() {
    let config = DatabaseConfig::from_url("redis://u:p@h/1")
        .number(2)
        .username("v")
        .password("q");
    let settings = good(config.client_name("worker-1"));
    let password = settings
        .password
        .as_ref()
        .map(|password| password.expose_secret());
    assert_eq!(
        (
            settings.number,
            settings.username.as_ref().map(|user| &*user.0),
            password
        ),
        (2, Some("v"), Some("q"))
    );
    assert_eq!(settings.client_name, "worker-1");
    // A number that a setter replaces is not checked.
    assert_eq!(
        good(DatabaseConfig::from_url("redis://h/-7").number(2)).number,
        2
    );
}

#[test]
fn a_bound_from_a_variable_is_named_with_it() {
    let mut config = DatabaseConfig::new().connect_timeout(S);
    let variable = Origin::VariableForAll("REDIS_SOCKET_TIMEOUT".into());
    config.command_timeout.offer(S / 2, variable);
    let reported = problems(Config::new().database("main", config));
    let expected = "connect_timeout: 1 s is above the command timeout of 0.5 s \
                    (REDIS_SOCKET_TIMEOUT); lower it or raise command_timeout";
    assert!(reported.ends_with(expected), "{reported}");
}

#[test]
fn the_default_client_name_is_visible_ascii() {
    let settings = resolve(Config::new().database("größe", DatabaseConfig::new())).unwrap();
    assert_eq!(settings.databases[0].client_name, "redis-steward:gr__e");
}

#[test]
fn bad_values_name_their_field() {
    let new = DatabaseConfig::new;
    for (config, expected) in [
        (new().number(-1), "number: -1 is no database number"),
        (
            DatabaseConfig::from_url("redis://h/65536"),
            "url: 65536 is no database number",
        ),
        (
            DatabaseConfig::from_url("h:1"),
            "url: does not start with a known scheme",
        ),
        (
            new().username("u"),
            "username: has a user name without a password",
        ),
        (
            DatabaseConfig::from_url("redis://u@h"),
            "url: has a user name without a password",
        ),
        (new().username("").password("p"), "username: is empty"),
        (new().password(""), "password: is empty"),
        (new().client_name(""), "client_name: is not made of"),
        (new().client_name("a b"), "client_name: is not made of"),
        (new().client_name("é"), "client_name: is not made of"),
        (
            new().command_timeout(Duration::ZERO),
            "command_timeout: 0 s is too short",
        ),
        (
            new().command_timeout(Duration::MAX),
            "command_timeout: 18446744073709552000 s is too long",
        ),
        (
            new().attempt_timeout(Duration::ZERO),
            "attempt_timeout: 0 s is too short",
        ),
        (
            new().attempt_timeout(6 * S),
            "attempt_timeout: 6 s is above the command timeout of 5 s",
        ),
        (
            new().connect_timeout(Duration::ZERO),
            "connect_timeout: 0 s is too short",
        ),
        (
            new().connect_timeout(6 * S),
            "connect_timeout: 6 s is above the command timeout of 5 s; lower it",
        ),
        (new().idle_timeout(Duration::ZERO), "idle_timeout: 0 s"),
        (
            new().health_check_interval(Duration::ZERO),
            "health_check_interval: 0 s",
        ),
        (
            new().recovery_timeout(366 * 86_400 * S),
            "recovery_timeout: 31622400 s is too long",
        ),
        (
            new().tcp_user_timeout(Duration::ZERO),
            "tcp_user_timeout: 0 s",
        ),
        (
            new().keepalive(Keepalive::new().idle(MS)),
            "keepalive.idle: 0.001 s is too short",
        ),
        (
            new().keepalive(Keepalive::new().interval(1500 * MS)),
            "keepalive.interval: 1.5 s is not a whole number",
        ),
        (
            new().keepalive(Keepalive::new().count(128)),
            "keepalive.count: 128 is too large",
        ),
        (new().max_connections(0), "max_connections: 0 is too small"),
        (
            new().min_idle(51),
            "min_idle: 51 is above max_connections, 50; lower it or raise max_connections",
        ),
        (new().min_idle(65_536), "min_idle: 65536 is too large"),
        (
            new().shared_connections(0, 1),
            "shared_connections.min: 0 is too small",
        ),
        (
            new().shared_connections(1, 65_536),
            "shared_connections.max: 65536 is too large",
        ),
        (
            new().shared_connections(3, 2),
            "shared_connections.min: 3 is above shared_connections.max, 2; lower it or raise \
             shared_connections.max",
        ),
        (
            new().shared_connections(1, 51),
            "shared_connections.max: 51 is above max_connections, 50; lower it or raise max_connections",
        ),
        (
            new().acquire_timeout(Duration::ZERO),
            "acquire_timeout: 0 s is too short",
        ),
        (
            new().max_lifetime(999 * MS),
            "max_lifetime: 0.999 s is too short; use at least 1 s",
        ),
        (
            new().leak_warning(Duration::ZERO),
            "leak_warning: 0 s is too short",
        ),
        (
            new().sweep_interval(366 * 86_400 * S),
            "sweep_interval: 31622400 s is too long",
        ),
        (
            new().failure_threshold(0),
            "failure_threshold: 0 is too small",
        ),
        (new().max_in_flight(0), "max_in_flight: 0 is too small"),
        (
            new().max_in_flight(1 << 23),
            "max_in_flight: 8388608 is too large",
        ),
        (
            new().max_in_flight_bytes(1023),
            "max_in_flight_bytes: 1023 is too small",
        ),
        (new().max_parked(0), "max_parked: 0 is too small"),
        (
            new().max_reply_bytes(1023),
            "max_reply_bytes: 1023 is too small",
        ),
    ] {
        let reported = problems(Config::new().database("cache", config));
        assert!(reported.starts_with("1 problem in"), "{reported}");
        assert!(
            reported.contains(&format!("\n  database \"cache\": {expected}")),
            "{reported}"
        );
    }
}

#[test]
fn bad_names() {
    let long = "x".repeat(129);
    for name in ["", " ", "a b", "a\n", "\u{2003}", &long] {
        let reported = problems(Config::new().database(name, DatabaseConfig::new()));
        assert!(reported.contains(": name: "), "{name:?}: {reported}");
    }
    assert!(resolve(Config::new().database("x".repeat(128), DatabaseConfig::new())).is_ok());
}

#[test]
fn all_problems_are_reported_at_once() {
    let reported = problems(
        Config::new()
            .sweep_interval(Duration::ZERO)
            .database("a", DatabaseConfig::from_url("nonsense").max_parked(0))
            .database("a", DatabaseConfig::new().min_idle(99)),
    );
    let expected = [
        "5 problems in the configuration:",
        "  sweep_interval: 0 s is too short",
        "  database \"a\": max_parked: 0",
        "  database \"a\": url: does not",
        "  database \"a\": name: is given to more than one",
        "  database \"a\": min_idle: 99",
    ];
    assert_eq!(reported.lines().count(), expected.len(), "{reported}");
    for (line, expected) in reported.lines().zip(expected) {
        assert!(line.starts_with(expected), "{reported}");
    }
    assert!(problems(Config::new()).contains("databases: none is configured"));
}

#[test]
fn the_protocol_is_that_of_the_setter_else_of_the_url_else_resp2() {
    let url = |query: &str| DatabaseConfig::from_url(format!("redis://h{query}"));
    for (config, expected) in [
        (url(""), Protocol::Resp2),
        (url("?protocol=3"), Protocol::Resp3),
        (
            url("?protocol=3").protocol(Protocol::Resp2),
            Protocol::Resp2,
        ),
        (url("").protocol(Protocol::Resp3), Protocol::Resp3),
        (url("?protocol=3&without_hello"), Protocol::Resp2),
    ] {
        assert_eq!(good(config).protocol, expected);
    }
}

#[test]
fn a_command_of_the_greeting_is_left_out_if_a_setter_or_the_url_says_so() {
    let url = |query: &str| DatabaseConfig::from_url(format!("redis://h{query}"));
    for (config, expected) in [
        (url(""), [false, false, false]),
        (url("?without_hello").without_select(), [true, false, true]),
        (
            url("").without_hello().without_client_name(),
            [true, true, false],
        ),
    ] {
        let main = good(config);
        let left_out = [
            main.without_hello,
            main.without_client_name,
            main.without_select,
        ];
        assert_eq!(left_out, expected);
    }
}

#[test]
fn the_runtime_cannot_be_changed() {
    let bad = Config::single("nothing").io(Io::Dedicated);
    let error = resolve_change(bad, Io::Caller).expect_err("two problems");
    let fields: Vec<_> = error.problems().iter().map(Problem::field).collect();
    assert_eq!(fields, ["io", "url"]);
    let good = Config::single("redis://localhost").io(Io::Dedicated);
    assert!(resolve_change(good.clone(), Io::Caller).is_err());
    assert!(resolve_change(good, Io::Dedicated).is_ok());
}
