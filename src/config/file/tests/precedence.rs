//! Which source is stronger, setting by setting, and how an explanation tells.

use super::*;

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
            let config = load(text, &variables);
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

#[test]
fn databases_that_variables_add_to_a_file_share_its_server() {
    let variables = [
        ("REDIS_DB_EXTRA", "12"),
        ("REDIS_SESSIONS_URL", "redis://s:2/6"),
        ("REDIS_MAX_CONNECTIONS", "8"),
        ("REDIS_URL", "redis://r:3/9"),
    ];
    let config = load(
        "host: h\ndatabases: {main: , sessions: {db: 5}}",
        &variables,
    );
    assert_eq!(
        shown(&resolve(config).expect("valid")),
        ["main r:3 9 8", "sessions s:2 6 8", "extra r:3 12 8"]
    );
}

#[test]
fn a_number_stays_with_its_database_when_a_stronger_url_has_none() {
    let text = "databases: {main: redis://a/0, sessions: redis://a/6, empty: {alias_of: , db: 4}}";
    let config = load(text, &[("REDIS_URL", "redis://b:1")]);
    assert_eq!(
        shown(&resolve(config).expect("valid")),
        ["main b:1 0 50", "sessions b:1 6 50", "empty b:1 4 50"]
    );
}

#[test]
fn an_explanation_names_every_origin_and_shows_no_secret() {
    let variables = [
        ("REDIS_STEWARD_IDLE_TIMEOUT", "60"),
        ("REDIS_CACHE_URL", "redis://canary:canary@c/7"),
    ];
    let text = "password: canary\nhost: h\nlog_level: INFO\ndatabases:\n  main: {db: 3, username: canary}\n  \
                cache: {max_connections: 4}\n  other: {alias_of: main}";
    let config =
        load(text, &variables).adjust("main", |main| main.command_timeout(Duration::from_secs(2)));
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
