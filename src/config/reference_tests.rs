//! The reference of the configuration and its JSON Schema, generated from the table of settings. The generated files are
//! kept, and tests hold them against the table; `UPDATE_REFERENCE=1 cargo test --lib reference` writes them anew.

use serde_json::{Map, Value, json};

use super::{
    field::Field,
    fields,
    file::keys::{Level, SPECIAL, Special, SpecialKey},
    quantity::Measure,
    setting::Schema,
    source::spelled,
};

fn reference() -> String {
    let mut page = String::from(HEAD);
    for field in fields::all() {
        let names = match field.names {
            [] => String::new(),
            names => format!("<br>also {}", quoted(names)),
        };
        let own = format!("REDIS_STEWARD_{}", spelled(field.key));
        let variables = match field.variable {
            Some(variable) => format!("`{variable}`, `{own}`"),
            None => format!("`{own}`"),
        };
        page.push_str(&format!(
            "| `{}`{names} | {} | {} | {} | {variables} | {} |\n",
            field.key,
            cell(field.unit),
            cell(&in_a_file(field.default)),
            cell(&in_a_file(field.range)),
            cell(&without_links(field.sentence)),
        ));
    }
    page.push_str(KEYS);
    for special in SPECIAL
        .iter()
        .filter(|special| special.meaning != Special::Ignored)
    {
        page.push_str(&format!(
            "| `{}` | {} | {} |\n",
            special.name,
            place(special),
            cell(special.sentence)
        ));
    }
    page.push_str(IGNORED);
    for special in SPECIAL
        .iter()
        .filter(|special| special.meaning == Special::Ignored)
    {
        page.push_str(&format!(
            "| `{}` | {} |\n",
            special.name,
            cell(special.sentence)
        ));
    }
    page
}

const HEAD: &str = "# Configuration: every setting

<!-- Generated from the table in src/config/fields. -->

Each setting is a setter of `DatabaseConfig`, a key of a YAML file, and a variable. `REDIS_STEWARD_<NAME>_<SETTING>` sets
it for one database, as in `REDIS_STEWARD_CACHE_MAX_CONNECTIONS`; the variables in the table set it for all. Code is
stronger than the environment, the environment than a file, a file than a service registry, and that than the
defaults. Within each, what is said of one database is stronger than what is said of all. `REDIS_DB` and
`REDIS_STEWARD_NUMBER` are the number of `main` alone.
`Config::explain()` shows where each value came from.

Durations are in seconds, or have a unit: `0.5`, `500 ms`, `2 min`, `1 h`, `1 day`. Numbers of bytes may have `KiB`, `MiB`
or `GiB`. A key with a dot stands in a map: `keepalive: {idle: 60}`. What has the default `none`, and `max_lifetime`,
`keepalive` and `tcp_user_timeout`, can be switched `off`. URLs in code count less than a file.

Further variables: `REDIS_STEWARD_CONFIG` names the file that `Config::load()` reads;
`REDIS_STEWARD_ALLOW_READABLE_SECRETS=true` permits files with secrets that all users of the machine may read, as
`allow_readable_secrets` does; `REDIS_URL`, `REDIS_<NAME>_URL` and `REDIS_DB_<NAME>` define databases
(see `Config::from_env`).

| key | type | default | range | variables for all databases | meaning |
|---|---|---|---|---|---|
";

const KEYS: &str = "
## Further keys of a file

| key | where | meaning |
|---|---|---|
";

const IGNORED: &str = "
## Keys without effect

Files of other managers have these keys. They are accepted, and `Config::notes()` names them.

| key | the reason |
|---|---|
";

fn place(special: &SpecialKey) -> &'static str {
    match (special.is_on(Level::All), special.is_on(Level::One)) {
        (true, true) => "both",
        (true, false) => "above the databases",
        (false, _) => "in a database",
    }
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

/// A sentence of the documentation without the addresses of its links.
fn without_links(sentence: &str) -> String {
    let mut text = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(&before.replacen('[', "", 1));
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text + rest
}

fn schema() -> Value {
    let mut all = settings(Level::All);
    let database = json!({
        "description": "A database: its settings, or its URL.",
        "oneOf": [
            {"type": "string"},
            {"type": "null"},
            {"type": "object", "properties": settings(Level::One), "additionalProperties": false},
        ],
    });
    let databases = json!({"type": "object", "minProperties": 1, "additionalProperties": database});
    for name in ["databases", "redis_databases"] {
        let described = all
            .get(name)
            .and_then(|known| known.get("description"))
            .cloned();
        let mut databases = databases.clone();
        databases["description"] = described.expect("BUG: a key of the table");
        all.insert(name.into(), databases);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Databases of redis-steward",
        "type": "object",
        "properties": all,
        "additionalProperties": false,
    })
}

/// The keys of a level, each with its type.
fn settings(level: Level) -> Map<String, Value> {
    let mut keys = of_table(level);
    for special in SPECIAL.iter().filter(|special| special.is_on(level)) {
        keys.insert(special.name.into(), of_special(special));
    }
    keys
}

/// The settings of a level, each with its type.
fn of_table(level: Level) -> Map<String, Value> {
    let mut keys = Map::new();
    for field in fields::all().filter(|field| level == Level::One || field.key != "number") {
        insert(&mut keys, field.key, of_setting(field));
        for name in field.names {
            keys.insert((*name).into(), of_setting(field));
        }
    }
    // A further name of a setting with parts has the same parts.
    if let Some(keepalive) = keys.get("keepalive").cloned() {
        keys.insert("socket_keepalive".into(), keepalive);
    }
    keys
}

/// Puts the type of a key where it belongs: that of `keepalive.idle` into the map of `keepalive`.
fn insert(keys: &mut Map<String, Value>, key: &str, value: Value) {
    let Some((group, rest)) = key.split_once('.') else {
        keys.insert(key.into(), value);
        return;
    };
    let group = keys.entry(group).or_insert_with(|| json!({"oneOf": []}));
    let options = group["oneOf"]
        .as_array_mut()
        .expect("BUG: a group has options");
    let at = options
        .iter()
        .position(|option| option.get("properties").is_some());
    let at = at.unwrap_or_else(|| {
        options.push(json!({"type": "object", "properties": {}, "additionalProperties": false}));
        options.len() - 1
    });
    let members = options[at]["properties"]
        .as_object_mut()
        .expect("BUG: a map of members");
    insert(members, rest, value);
}

/// Any value may be a variable, and is a text then.
fn or_variable(kind: Value) -> Value {
    json!({"anyOf": [kind, {"type": "string", "pattern": "\\$\\{"}, {"type": "null"}]})
}

fn of_special(special: &SpecialKey) -> Value {
    let kind = match special.meaning {
        Special::Databases => json!({"type": ["object"]}),
        Special::Connection => {
            let mut keys = of_table(Level::All);
            for name in ["default_db", "cache_db"] {
                let number = json!({"type": "integer", "minimum": 0, "maximum": 65_535});
                keys.insert(name.into(), or_variable(number));
            }
            for name in ["ssl", "pool_size"] {
                keys.insert(name.into(), json!({}));
            }
            json!({"type": ["object", "null"], "properties": keys, "additionalProperties": false})
        }
        Special::AllowReadableSecrets => or_variable(json!({"type": "boolean"})),
        Special::MaxRetries => or_variable(json!({"type": "integer", "minimum": 0, "maximum": 99})),
        Special::Io => or_variable(json!({"enum": ["caller", "dedicated"]})),
        Special::Ignored => json!({}),
        Special::DefaultDatabase
        | Special::AliasOf
        | Special::Description
        | Special::PasswordFile
        | Special::PasswordCommand
        | Special::PasswordEnv => json!({"type": ["string", "null"]}),
    };
    let description = match special.meaning {
        Special::Ignored => format!("Without effect: {}.", special.sentence),
        _ => special.sentence.to_owned(),
    };
    described(kind, &description)
}

fn of_setting(field: &Field) -> Value {
    let can_be_off = OFF_ABLE.contains(&field.key);
    let or_off = |kind: Value| {
        if can_be_off {
            json!({"anyOf": [kind, {"enum": [false, "off", "none", "no"]}]})
        } else {
            kind
        }
    };
    let kind = match field.schema {
        Schema::Text => json!({"type": ["string", "number", "null"]}),
        // A number of seconds, or a text with a unit.
        Schema::Seconds => {
            or_off(json!({"type": ["number", "string", "null"], "exclusiveMinimum": 0}))
        }
        Schema::Whole => {
            let (low, high) = bounds(field.range);
            let mut number = json!({"type": "integer", "minimum": low});
            if let Some(high) = high {
                number["maximum"] = json!(high);
            }
            // A text has a unit or an underscore.
            json!({"anyOf": [number, {"type": "string"}, {"type": "null"}]})
        }
        Schema::Truth => or_variable(json!({"enum": [true, false, "yes", "no", "on", "off"]})),
        Schema::Version => or_variable(json!({"enum": [2, 3, "2", "3", "resp2", "resp3"]})),
        Schema::Choices(choices) => or_variable(json!({"enum": choices})),
        Schema::Parts(choices) => json!({"oneOf": [
            {"enum": choices}, {"enum": [false, "off", "none", "no"]}, {"enum": [true, null]}, {"type": "string", "pattern": "\\$\\{"},
        ]}),
    };
    let sentence = without_links(field.sentence);
    let text = format!(
        "{} Default: {}. Range: {}.",
        sentence.trim(),
        in_a_file(field.default),
        in_a_file(field.range)
    );
    described(kind, &text)
}

/// The settings that are no map and can be switched off.
const OFF_ABLE: [&str; 3] = ["max_lifetime", "leak_warning", "tcp_user_timeout"];

/// A range of whole numbers: `1 to 65_535`, `at least 1 KiB`.
fn bounds(range: &str) -> (u64, Option<u64>) {
    let own = range.split(", and ").next().unwrap_or_default();
    let number = |text: &str| {
        u64::read(text.trim())
            .expect("BUG: a number")
            .expect("BUG: it fits")
    };
    match own.split_once(" to ") {
        Some((low, high)) => (number(low), Some(number(high))),
        None => (number(own.trim_start_matches("at least ")), None),
    }
}

/// A default or a range of the table, as a file spells it.
fn in_a_file(text: &str) -> String {
    text.replace("`Keepalive::new()`", "`true`")
        .replace(
            "`WhenDown::Refuse` or `WhenDown::Wait`",
            "`refuse` or `wait`",
        )
        .replace("`WhenDown::Refuse`", "`refuse`")
        .replace(
            "`MaintenanceNotifications::Auto`, `Off`, `InternalIp`, `InternalFqdn`, `ExternalIp`, `ExternalFqdn` or \
             `NoAddress`",
            "`auto`, `off`, `internal-ip`, `internal-fqdn`, `external-ip`, `external-fqdn` or `no-address`",
        )
        .replace("`MaintenanceNotifications::Auto`", "`auto`")
        .replace(
            "`Protocol::Resp2` or `Protocol::Resp3`",
            "`resp2` or `resp3`",
        )
        .replace("`Protocol::Resp2`", "`resp2`")
        .replace("that of `Config::sweep_interval`", "60 s")
}

fn described(mut kind: Value, description: &str) -> Value {
    kind["description"] = json!(description);
    kind
}

fn check(path: &str, generated: &str) {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, generated).expect("a file in the checkout");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let update = "run UPDATE_REFERENCE=1 cargo test --lib reference, and look at the difference";
    assert!(
        kept == generated,
        "{path} is not what the table says; {update}"
    );
}

#[test]
fn the_reference_is_that_of_the_table() {
    check("docs/configuration.md", &reference());
}

#[test]
fn the_schema_is_that_of_the_table() {
    let mut text = serde_json::to_string_pretty(&schema()).expect("a value");
    text.push('\n');
    check("docs/redis-databases.schema.json", &text);
}
