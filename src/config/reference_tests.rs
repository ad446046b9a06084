//! The reference of the configuration and its JSON Schema, generated from the table of settings. The generated files are
//! kept, and tests hold them against the table; `UPDATE_REFERENCE=1 cargo test --lib reference` writes them anew.

use serde_json::{Map, Value, json};

use super::{
    field::Field,
    fields,
    file::keys::{Level, SPECIAL, Special, SpecialKey},
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
            cell(field.default),
            cell(field.range),
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
`keepalive` and `tcp_user_timeout`, can be switched `off`.

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
    let databases = json!({"type": "object", "additionalProperties": database});
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
    let mut keys = Map::new();
    for special in SPECIAL.iter().filter(|special| special.is_on(level)) {
        keys.insert(special.name.into(), of_special(special));
    }
    for field in fields::all().filter(|field| level == Level::One || field.key != "number") {
        insert(&mut keys, field.key, of_setting(field));
        for name in field.names {
            keys.insert((*name).into(), of_setting(field));
        }
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

fn of_special(special: &SpecialKey) -> Value {
    let kind = match special.meaning {
        Special::Databases | Special::Connection => json!({"type": "object"}),
        Special::AllowReadableSecrets => json!({"type": "boolean"}),
        Special::MaxRetries => json!({"type": "integer", "minimum": 0}),
        Special::Io => json!({"enum": ["caller", "dedicated"]}),
        Special::Ignored => json!({}),
        Special::DefaultDatabase
        | Special::AliasOf
        | Special::Description
        | Special::PasswordFile
        | Special::PasswordEnv => json!({"type": ["string", "null"]}),
    };
    let description = match special.meaning {
        Special::Ignored => format!("Without effect: {}.", special.sentence),
        _ => special.sentence.to_owned(),
    };
    described(kind, &description)
}

fn of_setting(field: &Field) -> Value {
    // Any value may be a variable, and a text then.
    let kind = match field.schema {
        Schema::Text => json!({"type": ["string", "number", "null"]}),
        Schema::Seconds => json!({"type": ["number", "string", "boolean", "null"]}),
        Schema::Whole => json!({"type": ["integer", "string", "null"]}),
        Schema::Truth => json!({"type": ["boolean", "string", "null"]}),
        Schema::Version => json!({"enum": [2, 3, "2", "3", "resp2", "resp3", null]}),
        Schema::Choices(choices) => {
            json!({"anyOf": [{"enum": choices}, {"type": "string", "pattern": "\\$\\{"}, {"type": "null"}]})
        }
        Schema::Parts(choices) => {
            json!({"oneOf": [{"enum": choices}, {"type": ["boolean", "null"]}]})
        }
    };
    let sentence = without_links(field.sentence);
    described(
        kind,
        &format!(
            "{} Default: {}. Range: {}.",
            sentence.trim(),
            field.default,
            field.range
        ),
    )
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
