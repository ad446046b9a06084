//! The documentation of each setting agrees with the table and with the checks.
//!
//! Method: the texts of the table, which the setters' documentation consists of, are parsed, and
//! values at and around the limits that they state are checked.

use std::{collections::HashSet, time::Duration};

use super::*;
use crate::config::{Config, DatabaseConfig, fields::FIELDS, quantity::NUMBER, resolve};

/// The row of a key.
fn field(key: &str) -> &'static Field {
    all()
        .find(|field| field.key == key)
        .unwrap_or_else(|| panic!("{key} is not in the table"))
}

/// A quantity of the documentation, in seconds or in units: `2 s`, `512 MiB`, `65_536`.
fn quantity(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "min" => 60.0,
        "days" => 86_400.0,
        "year" => 365.0 * 86_400.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.replace('_', "").parse::<f64>().ok()? * scale)
}

/// Sets a setting to so many seconds or units.
type Set = fn(DatabaseConfig, f64) -> DatabaseConfig;

/// A setter for each row that has a range of quantities.
const SETTERS: &[(&str, Set)] = &[
    ("command_timeout", |c, s| c.command_timeout(seconds(s))),
    ("attempt_timeout", |c, s| c.attempt_timeout(seconds(s))),
    ("relaxed_timeout", |c, s| c.relaxed_timeout(seconds(s))),
    ("connect_timeout", |c, s| c.connect_timeout(seconds(s))),
    ("acquire_timeout", |c, s| c.acquire_timeout(seconds(s))),
    ("max_connections", |c, n| c.max_connections(n as usize)),
    ("shared_connections.min", |c, n| {
        c.shared_connections(n as usize, 65_535)
    }),
    ("shared_connections.max", |c, n| {
        c.shared_connections(1, n as usize)
    }),
    ("min_idle", |c, n| c.min_idle(n as usize)),
    ("idle_timeout", |c, s| c.idle_timeout(seconds(s))),
    ("max_lifetime", |c, s| c.max_lifetime(seconds(s))),
    ("leak_warning", |c, s| c.leak_warning(seconds(s))),
    ("sweep_interval", |c, s| c.sweep_interval(seconds(s))),
    ("tcp_user_timeout", |c, s| c.tcp_user_timeout(seconds(s))),
    ("health_check_interval", |c, s| {
        c.health_check_interval(seconds(s))
    }),
    ("failure_threshold", |c, n| c.failure_threshold(n as u32)),
    ("recovery_timeout", |c, s| c.recovery_timeout(seconds(s))),
    ("max_attempts", |c, n| c.max_attempts(n as u32)),
    ("max_in_flight", |c, n| c.max_in_flight(n as usize)),
    ("max_in_flight_bytes", |c, n| {
        c.max_in_flight_bytes(n as usize)
    }),
    ("near_cache_max_bytes", |c, n| {
        c.near_cache_max_bytes(n as usize)
    }),
    ("near_cache_max_entries", |c, n| {
        c.near_cache_max_entries(n as usize)
    }),
    ("near_cache_max_age", |c, s| {
        c.near_cache_max_age(seconds(s))
    }),
    ("max_parked", |c, n| c.max_parked(n as usize)),
    ("max_reply_bytes", |c, n| c.max_reply_bytes(n as usize)),
    ("keepalive.idle", |c, s| {
        c.keepalive(Keepalive::new().idle(seconds(s)))
    }),
    ("keepalive.interval", |c, s| {
        c.keepalive(Keepalive::new().interval(seconds(s)))
    }),
    ("keepalive.count", |c, n| {
        c.keepalive(Keepalive::new().count(n as u32))
    }),
    ("fallback.max_entries", |c, n| {
        c.fallback(Fallback::memory().max_entries(n as usize))
    }),
    ("fallback.max_bytes", |c, n| {
        c.fallback(Fallback::memory().max_bytes(n as usize))
    }),
    ("fallback.max_journal_entries", |c, n| {
        c.fallback(Fallback::memory().max_journal_entries(n as usize))
    }),
    ("fallback.max_journal_bytes", |c, n| {
        c.fallback(Fallback::memory().max_journal_bytes(n as usize))
    }),
    ("fallback.stale_reads.max_age", |c, s| {
        c.fallback(Fallback::memory().stale_reads(seconds(s), 1))
    }),
    ("fallback.stale_reads.max_entries", |c, n| {
        c.fallback(Fallback::memory().stale_reads(seconds(1.0), n as usize))
    }),
];

fn seconds(number: f64) -> Duration {
    Duration::from_secs_f64(number)
}

/// Whether a database has a problem with a setting.
fn is_refused(key: &str, database: DatabaseConfig) -> bool {
    match resolve(Config::new().database("main", database)) {
        Ok(_) => false,
        Err(error) => error
            .problems()
            .iter()
            .any(|problem| problem.field() == key),
    }
}

#[test]
fn documented_ranges_are_the_ranges_that_are_checked() {
    let lowest =
        |range: &str| quantity(range.trim_start_matches("at least ").split(" to ").next()?);
    let mut expected: Vec<_> = all()
        .filter(|field| field.unit == "seconds" || field.unit == "whole number")
        .filter(|field| lowest(field.range).is_some() && !["number", "port"].contains(&field.key))
        .map(|field| field.key)
        .collect();
    let mut tested: Vec<_> = SETTERS.iter().map(|(key, _)| *key).collect();
    expected.sort_unstable();
    tested.sort_unstable();
    assert_eq!(tested, expected);

    // The widest bounds, so that ranges alone are checked.
    let wide = || {
        DatabaseConfig::new()
            .command_timeout(seconds(365.0 * 86_400.0))
            .max_connections(65_535)
            .shared_connections(1, 65_535)
    };
    for (key, set) in SETTERS {
        let range = field(key).range;
        let (own, bound) = range.split_once(", and ").unwrap_or((range, ""));
        let (low, high) = match own.split_once(" to ") {
            Some((low, high)) => (low, quantity(high)),
            None => (own.trim_start_matches("at least "), None),
        };
        let low = quantity(low).expect("a quantity");
        let step = if field(key).unit == "seconds" {
            low / 2.0
        } else {
            1.0
        };
        assert!(!is_refused(key, set(wide(), low)), "{key}: {low}");
        if low > 0.0 {
            assert!(
                is_refused(key, set(wide(), low - step)),
                "{key}: below {low}"
            );
        }
        let Some(high) = high else { continue };
        assert_eq!(
            is_refused(key, set(wide(), high)),
            bound.starts_with("below"),
            "{key}: {high}"
        );
        // The range of this one is that of its type.
        if *key != "failure_threshold" {
            assert!(
                is_refused(key, set(wide(), high + 1.0)),
                "{key}: above {high}"
            );
        }
    }
    assert_eq!(
        field("number").range,
        format!("{} to 65_535", NUMBER.start())
    );
    assert_eq!(*NUMBER.end(), 65_535);
}

#[test]
fn documented_bounds_are_the_settings_that_are_checked() {
    let main = DatabaseConfig::new;
    for (key, at_bound, above) in [
        (
            "attempt_timeout",
            main().attempt_timeout(seconds(5.0)),
            main().attempt_timeout(seconds(5.1)),
        ),
        (
            "connect_timeout",
            main().connect_timeout(seconds(5.0)),
            main().connect_timeout(seconds(5.1)),
        ),
        (
            "shared_connections.min",
            main().shared_connections(2, 2),
            main().shared_connections(3, 2),
        ),
        (
            "shared_connections.max",
            main().shared_connections(1, 50),
            main().shared_connections(1, 51),
        ),
        ("min_idle", main().min_idle(50), main().min_idle(51)),
    ] {
        assert!(field(key).range.contains(", and "), "{key}");
        assert!(!is_refused(key, at_bound), "{key}");
        assert!(is_refused(key, above), "{key}");
    }
}

#[test]
fn documented_defaults_are_the_defaults_of_the_settings() {
    let settings = resolve(Config::new().database("main", DatabaseConfig::new()));
    let shown = format!(
        "{:?}",
        settings.expect("the defaults are valid").databases[0]
    );
    for field in FIELDS {
        let first = field.default.split(", or ").next().unwrap_or_default();
        let expected = match (quantity(first), field.unit) {
            (Some(number), "seconds") => format!("{:?}", seconds(number)),
            (Some(number), _) => format!("{number}"),
            (None, "true or false") => first.into(),
            (None, _) if first == "none" => "None".into(),
            _ => continue,
        };
        let name = field.key.replace("connections.", "");
        let is_shown = [&expected, &format!("Some({expected})")]
            .iter()
            .any(|value| shown.contains(&format!(" {name}: {value}")));
        assert!(is_shown, "{}: {expected} in {shown}", field.key);
    }
    let keepalive = Keepalive::new();
    for (key, value) in [
        ("keepalive.idle", keepalive.idle.as_secs_f64()),
        ("keepalive.interval", keepalive.interval.as_secs_f64()),
        ("keepalive.count", keepalive.count.into()),
    ] {
        assert_eq!(quantity(field(key).default), Some(value), "{key}");
    }
    let fallback = Fallback::memory();
    for (key, value) in [
        ("fallback.max_entries", fallback.max_entries),
        ("fallback.max_bytes", fallback.max_bytes),
        ("fallback.max_journal_entries", fallback.max_journal_entries),
        ("fallback.max_journal_bytes", fallback.max_journal_bytes),
    ] {
        assert_eq!(quantity(field(key).default), Some(value as f64), "{key}");
    }
}

/// The documentation that is not generated from the table agrees with it.
#[test]
fn documentation_by_hand_agrees_with_the_table() {
    let (min, max) = (
        field("shared_connections.min"),
        field("shared_connections.max"),
    );
    let by_hand = include_str!("../database.rs").replace("\n    /// ", " ");
    let (range, _) = min.range.split_once(", and ").expect("a bound");
    let facts = format!(
        "Default: {} and {}. Range: {range}, ",
        min.default, max.default
    );
    assert!(by_hand.contains(&facts), "{facts}");
    for key in ["max_lifetime", "tcp_user_timeout"] {
        let default = format!(
            "[`{key}`](Self::{key}), whose default is {}.",
            field(key).default
        );
        assert!(by_hand.contains(&default), "{default}");
    }
    let variables = include_str!("../source.rs");
    for field in FIELDS
        .iter()
        .filter(|field| quantity(field.default).is_some())
    {
        let Some(variable) = field.variable else {
            continue;
        };
        let default = field.default.trim_end_matches(" s");
        let row = format!("    /// | `{variable}` | `{default}` | ");
        assert!(variables.contains(&row), "{row}");
    }
}

#[test]
fn every_row_has_a_key_of_its_own_and_a_sentence() {
    let mut keys = HashSet::new();
    for field in all() {
        assert!(keys.insert(field.key), "{} is there twice", field.key);
        let sentence = field.sentence.trim();
        let is_sentence = sentence.starts_with(char::is_uppercase) && sentence.ends_with('.');
        assert!(is_sentence, "{}: {sentence}", field.key);
        assert!(!field.default.is_empty() && !field.unit.is_empty());
    }
}
