use std::{collections::HashSet, ffi::OsStr};

use secrecy::ExposeSecret;

use super::*;
use crate::config::{Problem, Protocol, fields::FIELDS, resolve};

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    from_lookup(|name| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.into())
    })
}

/// Address, number, user name and password that the variables lead to.
fn login(variables: &[(&str, &str)]) -> String {
    let settings = resolve(read(variables).unwrap()).unwrap();
    let main = &settings.databases[0];
    let password = main
        .password
        .as_ref()
        .map_or("-", |password| password.expose_secret());
    format!(
        "{} {} {} {password}",
        main.address,
        main.number,
        main.username.as_ref().map_or("-", |user| &user.0)
    )
}

#[test]
fn the_documented_defaults() {
    let empty = [
        ("REDIS_URL", ""),
        ("REDIS_HOST", " "),
        ("REDIS_PORT", ""),
        ("REDIS_PASSWORD", ""),
    ];
    for variables in [&[][..], &empty[..]] {
        let settings = resolve(read(variables).unwrap()).unwrap();
        let main = &settings.databases[0];
        assert_eq!(
            (&*main.name, main.address.to_string(), main.number),
            ("main", "localhost:6379".into(), 0)
        );
        assert_eq!((main.max_connections, main.failure_threshold), (50, 5));
        let times = [
            main.command_timeout,
            main.health_check_interval,
            main.recovery_timeout,
        ];
        assert_eq!(times.map(|time| time.as_secs()), [5, 30, 1]);
    }
}

#[test]
fn every_variable_is_read() {
    let config = read(&[
        ("REDIS_MAX_CONNECTIONS", "7"),
        ("REDIS_PROTOCOL", "resp3"),
        ("REDIS_SOCKET_TIMEOUT", "0.25"),
        ("REDIS_HEALTH_CHECK_INTERVAL", "10\n"),
        ("REDIS_FAILURE_THRESHOLD", "3"),
        ("REDIS_RECOVERY_TIMEOUT", "1.5"),
    ]);
    let settings = resolve(config.unwrap()).unwrap();
    let main = &settings.databases[0];
    assert_eq!((main.max_connections, main.failure_threshold), (7, 3));
    assert_eq!(main.protocol, Protocol::Resp3);
    let times = [
        main.command_timeout,
        main.health_check_interval,
        main.recovery_timeout,
    ];
    assert_eq!(times.map(|time| time.as_millis()), [250, 10_000, 1500]);
}

#[test]
fn a_url_comes_first_and_other_variables_fill_its_gaps() {
    let (url, host, port) = ("REDIS_URL", "REDIS_HOST", "REDIS_PORT");
    let (number, user, password) = ("REDIS_DB", "REDIS_USERNAME", "REDIS_PASSWORD");
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[(host, "h"), (port, "1"), (number, "2")], "h:1 2 - -"),
        (&[(host, "::1")], "[::1]:6379 0 - -"),
        (&[(host, "[fe80::1]")], "[fe80::1]:6379 0 - -"),
        (
            &[(user, "u"), (password, " p@/ ")],
            "localhost:6379 0 u  p@/ ",
        ),
        (
            &[
                (url, "redis://h:1"),
                (host, "other"),
                (port, "tcp://10.0.0.1:6379"),
            ],
            "h:1 0 - -",
        ),
        (
            &[
                (url, "redis://h"),
                (number, "2"),
                (user, "u"),
                (password, "p"),
            ],
            "h:6379 2 u p",
        ),
        (
            &[
                (url, "redis://a:b@h/1"),
                (number, "2"),
                (user, "u"),
                (password, "p"),
            ],
            "h:6379 1 a b",
        ),
        (&[(url, "redis://a@h"), (password, "p")], "h:6379 0 a p"),
    ];
    for (variables, expected) in cases {
        assert_eq!(login(variables), expected, "{variables:?}");
    }
}

#[test]
fn all_bad_variables_are_reported_with_an_example_each() {
    let error = read(&[
        ("REDIS_HOST", "redis://:canary@h"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("REDIS_DB", "-1"),
        ("REDIS_USERNAME", "u"),
        ("REDIS_SOCKET_TIMEOUT", "NaN"),
        ("REDIS_MAX_CONNECTIONS", "many\x1b"),
        ("REDIS_HEALTH_CHECK_INTERVAL", "0"),
        ("REDIS_FAILURE_THRESHOLD", "2.5"),
        ("REDIS_RECOVERY_TIMEOUT", "1e300"),
    ])
    .unwrap_err();
    let expected = [
        ("REDIS_HOST", "as in REDIS_HOST=localhost"),
        (
            "REDIS_PORT",
            "as in REDIS_PORT=6379, but the address that Kubernetes sets",
        ),
        ("REDIS_DB", "-1 is no database number"),
        ("REDIS_USERNAME", "set REDIS_PASSWORD"),
        (
            "REDIS_SOCKET_TIMEOUT",
            "NaN is not a usable number of seconds, as in REDIS_SOCKET_TIMEOUT=5",
        ),
        (
            "REDIS_MAX_CONNECTIONS",
            "\"many\\u{1b}\" is not a whole number, as in REDIS_MAX_CONNECTIONS=50",
        ),
        (
            "REDIS_HEALTH_CHECK_INTERVAL",
            "0 s is too short; use at least 0.001 s, as in",
        ),
        (
            "REDIS_FAILURE_THRESHOLD",
            "\"2.5\" is not a whole number, as in REDIS_FAILURE_THRESHOLD=5",
        ),
        (
            "REDIS_RECOVERY_TIMEOUT",
            "is not a usable number of seconds, as in REDIS_RECOVERY_TIMEOUT=1",
        ),
    ];
    assert_eq!(error.problems().len(), expected.len(), "{error}");
    for (problem, (variable, message)) in error.problems().iter().zip(expected) {
        assert_eq!((problem.database(), problem.field()), (None, variable));
        assert!(problem.message().contains(message), "{problem}");
    }
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn bad_urls_and_ports() {
    for (variable, value, expected) in [
        (
            "REDIS_URL",
            "canary",
            "REDIS_URL: does not start with a known scheme",
        ),
        (
            "REDIS_URL",
            "redis://canary@h",
            "REDIS_URL: has a user name without a password",
        ),
        (
            "REDIS_URL",
            "redis://h/65536",
            "REDIS_URL: 65536 is no database number",
        ),
        ("REDIS_PORT", "0", "REDIS_PORT: \"0\" is not a port"),
        ("REDIS_PORT", "canary@h", "REDIS_PORT: the value (not shown"),
    ] {
        let error = read(&[(variable, value)]).unwrap_err().to_string();
        assert!(
            error.contains(expected) && !error.contains("canary"),
            "{error}"
        );
    }
}

#[test]
fn an_unreadable_url_is_the_only_problem_of_its_login() {
    let error = read(&[("REDIS_URL", "h:1"), ("REDIS_USERNAME", "u")]).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[cfg(unix)]
#[test]
fn text_that_is_not_utf8_is_a_problem() {
    use std::os::unix::ffi::OsStrExt;
    let bad = OsStr::from_bytes(b"\xff").to_owned();
    let error = from_lookup(|_| Some(bad.clone())).unwrap_err();
    let problems = error.problems();
    let is_expected = |problem: &Problem| problem.message() == "is not UTF-8 text";
    assert!(problems.iter().all(is_expected), "{error}");
    // Every variable of the table is read, and the two that make up a URL.
    let read: HashSet<_> = problems.iter().map(Problem::field).collect();
    let in_table = FIELDS.iter().filter_map(|field| field.variable);
    let expected = in_table.chain(["REDIS_HOST", "REDIS_PORT"]).collect();
    assert_eq!(read, expected);
}
