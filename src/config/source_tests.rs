use std::{collections::HashSet, ffi::OsStr};

use secrecy::ExposeSecret;

use super::*;
use crate::{
    config::{DatabaseConfig, Protocol, fields::FIELDS, resolve},
    credentials::CredentialsSource,
};

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    from(&Environment::from_iter(variables.iter().copied()))
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
        ("REDIS_PORT", "70000"),
        ("REDIS_DB", "-1"),
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
            "\"70000\" is not a port from 1 to 65535, as in REDIS_PORT=6379",
        ),
        ("REDIS_DB", "-1 is no database number"),
        (
            "REDIS_SOCKET_TIMEOUT",
            "\"NaN\" is not a number of seconds, as in REDIS_SOCKET_TIMEOUT=5",
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
            "url: has a user name without a password; set one, or leave the user name out (REDIS_URL)",
        ),
        (
            "REDIS_URL",
            "redis://h/65536",
            "REDIS_URL: 65536 is no database number",
        ),
        ("REDIS_PORT", "0", "REDIS_PORT: \"0\" is not a port"),
        ("REDIS_PORT", "canary@h", "REDIS_PORT: the value (not shown"),
    ] {
        let config = read(&[(variable, value)]);
        let error = config
            .and_then(|config| config.check())
            .unwrap_err()
            .to_string();
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
    let in_table: HashSet<_> = FIELDS.iter().filter_map(|field| field.variable).collect();
    // A URL replaces host and port.
    let (url, others): (HashSet<_>, HashSet<_>) =
        in_table.into_iter().partition(|name| *name == "REDIS_URL");
    for expected in [url, others] {
        let variables = expected.iter().map(|name| (*name, bad.clone()));
        let error = from(&Environment::from_iter(variables)).unwrap_err();
        let problems = error.problems();
        let is_expected = |problem: &Problem| problem.message() == "is not UTF-8 text";
        assert!(problems.iter().all(is_expected), "{error}");
        // Every variable of the table is read.
        let read: HashSet<_> = problems.iter().map(Problem::field).collect();
        assert_eq!(read, expected);
    }
}

/// What the variables make of the databases, each as `name address number connections`.
fn databases(variables: &[(&str, &str)]) -> Vec<String> {
    let settings = resolve(read(variables).unwrap()).unwrap();
    let shown = settings.databases.iter().map(|database| {
        let (name, address) = (&database.name, &database.address);
        format!(
            "{name} {address} {} {}",
            database.number, database.max_connections
        )
    });
    shown.collect()
}

#[test]
fn variables_with_a_name_define_and_change_databases() {
    assert_eq!(
        databases(&[
            ("REDIS_DB_CACHE", "5"),
            ("REDIS_SESSIONS_URL", "redis://s/6")
        ]),
        ["cache localhost:6379 5 50", "sessions s:6379 6 50"]
    );
    assert_eq!(
        databases(&[
            ("REDIS_HOST", "h"),
            ("REDIS_DB_CACHE", "5"),
            ("REDIS_DB", "2")
        ]),
        ["cache h:6379 5 50", "main h:6379 2 50"]
    );
    assert_eq!(
        databases(&[
            ("REDIS_DB_CACHE", "5"),
            ("REDIS_STEWARD_MAX_CONNECTIONS", "7"),
            ("REDIS_STEWARD_CACHE_MAX_CONNECTIONS", "8"),
            ("REDIS_STEWARD_JOBS_NUMBER", "13"),
        ]),
        ["cache localhost:6379 5 8", "jobs localhost:6379 13 7"]
    );
    // The number of a common URL is that of main alone.
    assert_eq!(
        databases(&[("REDIS_URL", "redis://h/3"), ("REDIS_DB_CACHE", "5")]),
        ["cache h:6379 5 50", "main h:6379 3 50"]
    );
}

#[test]
fn variables_of_others_are_left_alone() {
    assert_eq!(
        databases(&[
            ("REDIS_TLS_URL", "rediss://:canary@h:1"),
            ("REDIS_CACHE_TLS_URL", "rediss://:canary@h:1"),
            ("REDIS_DB_PASSWORD", "canary"),
            ("REDIS_DB_HOST", "h"),
            ("REDIS_DB_URL", "http://h"),
            ("REDIS_REST_URL", "https://h"),
            ("REDIS_STEWARD_SERVICE_HOST", "10.0.0.1"),
            ("REDIS_STEWARD_SERVICE_PORT_HTTP", "80"),
            ("REDIS_STEWARD_PORT", "tcp://10.0.0.1:80"),
            ("REDIS_STEWARD_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("REDIS_STEWARD_CONFIG", "elsewhere.yaml"),
        ]),
        ["main localhost:6379 0 50"]
    );
}

#[test]
fn the_port_of_kubernetes_is_left_out_where_something_else_says_where_the_server_is() {
    let port = ("REDIS_PORT", "tcp://10.0.0.1:6379");
    let config = read(&[port, ("REDIS_HOST", "h")]).expect("readable");
    let notes: Vec<_> = config.notes().iter().map(ToString::to_string).collect();
    assert!(notes[0].starts_with("REDIS_PORT: is left out"), "{notes:?}");
    assert_eq!(
        resolve(config).unwrap().databases[0].address.to_string(),
        "h:6379"
    );
    let error = read(&[port]).expect_err("nothing says where").to_string();
    assert!(
        error.contains("but the address that Kubernetes sets"),
        "{error}"
    );
}

#[test]
fn a_url_of_a_variable_is_stronger_than_one_in_code() {
    let mut config = Config::single("redis://code/1");
    let environment = Environment::from_iter([("REDIS_URL", "redis://variable")]);
    assert!(super::read(&mut config, &environment).is_empty());
    // A database that is added later is on that server, too.
    let config = config.adjust("jobs", |jobs| jobs.number(13));
    let settings = resolve(config).unwrap();
    let shown = settings
        .databases
        .iter()
        .map(|one| format!("{} {}", one.address, one.number));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        ["variable:6379 1", "variable:6379 13"]
    );
}

#[test]
fn slips_in_variables_of_this_crate_are_found() {
    for (variable, expected) in [
        (
            "REDIS_STEWARD_MAX_CONECTIONS",
            "did you mean REDIS_STEWARD_MAX_CONNECTIONS?",
        ),
        (
            "REDIS_STEWARD_CASHE_MAX_CONNECTIONS",
            "is about the database cashe, which is not configured; did you mean cache?",
        ),
        ("REDIS_STEWARD_COLOUR", "is no setting of this crate"),
        (
            "REDIS_STEWARD_CACHE_MAX_CONNECTIONS",
            "\"x\" is not a whole number",
        ),
    ] {
        let config = Config::new().database("cache", DatabaseConfig::new());
        let mut config = config;
        let environment = Environment::from_iter([(variable, "x")]);
        let problems = super::read(&mut config, &environment);
        assert_eq!(problems.len(), 1, "{problems:?}");
        let problem = problems[0].to_string();
        assert!(
            problem.starts_with(variable) && problem.contains(expected),
            "{problem}"
        );
    }
}

#[test]
fn variables_set_tls_beside_a_url() {
    let tls = |variables: &[(&str, &str)]| {
        let config = read(variables).expect("readable");
        let settings = config.explain();
        let tls = settings
            .settings()
            .iter()
            .find(|setting| setting.setting() == "tls");
        let tls = tls.expect("every database has it");
        format!("{} ({})", tls.value(), tls.origin())
    };
    let plain = ("REDIS_URL", "redis://h");
    let secure = (
        "REDIS_URL",
        "rediss://h?ca_file=/url&dangerous_accept_invalid_certificates=true",
    );
    for (variables, expected) in [
        (&[plain][..], "none (default)"),
        (&[plain, ("REDIS_SSL", "false")], "none (REDIS_SSL)"),
        (&[plain, ("REDIS_SSL", "true")], "enabled true (REDIS_SSL)"),
        (
            &[plain, ("REDIS_SSL_CA_CERTS", "/ca"), ("REDIS_SSL", "true")],
            "enabled true, ca_file /ca",
        ),
        (
            &[
                plain,
                ("REDIS_SSL_CERTFILE", "/c"),
                ("REDIS_SSL_KEYFILE", "/k"),
            ],
            "enabled true, cert_file /c, key_file /k",
        ),
        (
            &[secure],
            "enabled true, ca_file /url, dangerous_accept_invalid_certificates true (REDIS_URL)",
        ),
        // A stronger source demands verification again.
        (
            &[
                secure,
                (
                    "REDIS_STEWARD_TLS_DANGEROUS_ACCEPT_INVALID_CERTIFICATES",
                    "false",
                ),
            ],
            "enabled true, ca_file /url, dangerous_accept_invalid_certificates false",
        ),
        (
            &[secure, ("REDIS_SSL", "no")],
            "is off, and the URL asks for TLS",
        ),
    ] {
        let shown = tls(variables);
        assert!(shown.starts_with(expected), "{variables:?}: {shown}");
    }
}

#[test]
fn a_variable_names_the_file_of_the_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let [file, other] = ["redis", "other"].map(|name| folder.path().join(name));
    for file in [&file, &other] {
        std::fs::write(file, "canary").expect("written");
    }
    let first = |variables: &[(&str, &str)]| {
        let settings = resolve(read(variables).unwrap()).unwrap();
        settings.databases[0].credentials.clone()
    };
    let path = format!(" {}\n", file.display());
    let variable = ("REDIS_PASSWORD_FILE", path.as_str());
    let of_file = Some(CredentialsSource::file(&file));
    assert_eq!(first(&[variable]), of_file);
    assert_eq!(first(&[variable, ("REDIS_DB_CACHE", "1")]), of_file);
    assert_eq!(first(&[("REDIS_PASSWORD_FILE", "")]), None);
    let own = format!("file:{}", other.display());
    let own = ("REDIS_STEWARD_CREDENTIALS", own.as_str());
    let of_other = Some(CredentialsSource::file(&other));
    assert_eq!(first(&[variable, own]), of_other, "the more specific one");
    let missing = read(&[("REDIS_PASSWORD_FILE", "/nowhere")]).unwrap();
    let error = resolve(missing).unwrap_err().to_string();
    assert!(
        error.contains("names /nowhere, which cannot be read"),
        "{error}"
    );
    assert!(error.contains("REDIS_PASSWORD_FILE"), "{error}");
}
