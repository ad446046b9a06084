//! Configurations within those of applications: `Serialize` and `Deserialize`.
//!
//! Whatever the format, it becomes the tree that a YAML file becomes, and is read by the same rules.

use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use super::{
    Config, DatabaseConfig, Io,
    environment::Environment,
    fields,
    file::{
        node::{Content, Entry, Node},
        reader::{self, Context},
    },
    setting::{Schema, Setting},
    source::ALLOW_READABLE_SECRETS,
};

/// The keys are those of a YAML file; see [`Config::from_yaml_file`]. Values count as those of a file. Variables such as
/// `${VAR}` are left to the library that reads the whole. All problems are reported in one error.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let root = Node::deserialize(deserializer)?;
        read(reader::read, root).map_err(D::Error::custom)
    }
}

/// The keys are those of a database in a YAML file; see [`Config::from_yaml_file`]. Values count as those of a file. A
/// text alone is a URL. All problems are reported in one error.
impl<'de> Deserialize<'de> for DatabaseConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let root = Node::deserialize(deserializer)?;
        read(reader::read_one, root).map_err(D::Error::custom)
    }
}

fn read<T>(
    reader: impl FnOnce(Node, &Context<'_>) -> (T, Vec<super::Problem>),
    root: Node,
) -> Result<T, super::ConfigError> {
    let environment = Environment::of_process();
    let allows = environment.is_switched_on(ALLOW_READABLE_SECRETS);
    let context = Context {
        environment: &environment,
        has_variables: false,
        file: None,
        allows_readable_secrets: allows.unwrap_or_default(),
    };
    let (value, problems) = reader(root, &context);
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(super::ConfigError::new(problems))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

/// The value of a single text.
fn single<E>(text: impl ToString) -> Result<Node, E> {
    Ok(node(Content::Text(text.to_string())))
}

fn node(content: Content) -> Node {
    Node { content, at: None }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a configuration of redis-steward")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        single(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        single(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        single(value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        single(value)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        single(value)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(node(Content::Empty))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(node(Content::Empty))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(node(Content::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Node>()? {
            if entries.iter().any(|entry| entry.key == key) {
                return Err(A::Error::custom(format_args!(
                    "the key {key:?} is given twice"
                )));
            }
            entries.push(Entry {
                key,
                at: None,
                value,
            });
        }
        Ok(node(Content::Map(entries)))
    }
}

/// A value to write.
enum Value {
    Text(String),
    Whole(u64),
    Truth(bool),
    Map(IndexMap<String, Value>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Whole(number) => serializer.serialize_u64(*number),
            Self::Truth(truth) => serializer.serialize_bool(*truth),
            Self::Map(map) => serializer.collect_map(map),
        }
    }
}

/// What was given, and not what follows from it or is a default. Secrets are left out: user names, passwords, and URLs
/// that hold one.
impl Serialize for DatabaseConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::Map(tree(self)).serialize(serializer)
    }
}

/// What was given, as for [`DatabaseConfig`], in the form of a YAML file. A [service
/// registry](Config::service_registry) is left out.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut root = IndexMap::new();
        if self.io == Io::Dedicated {
            root.insert("io".into(), Value::Text("dedicated".into()));
        }
        if let Some(name) = &self.default_database {
            root.insert("default_database".into(), Value::Text(name.clone()));
        }
        let databases = self.databases.iter();
        let mut databases: IndexMap<_, _> = databases
            .map(|(name, database)| {
                let mut tree = tree(database);
                if self.sweep_interval != Self::new().sweep_interval {
                    let interval = Value::Text(self.sweep_interval.shown());
                    tree.entry("sweep_interval".into()).or_insert(interval);
                }
                (name.clone(), Value::Map(tree))
            })
            .collect();
        for alias in &self.aliases {
            let target = Value::Text(alias.target.clone());
            let entry = IndexMap::from_iter([("alias_of".to_owned(), target)]);
            databases.insert(alias.name.clone(), Value::Map(entry));
        }
        root.insert("databases".into(), Value::Map(databases));
        Value::Map(root).serialize(serializer)
    }
}

/// The settings that were given, each below the keys that its own consists of.
fn tree(database: &DatabaseConfig) -> IndexMap<String, Value> {
    let mut root = IndexMap::new();
    for (key, text) in database.given() {
        let mut map = &mut root;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                map.insert(part.to_owned(), value(key, text));
                break;
            }
            let inner = map
                .entry(part.to_owned())
                .or_insert_with(|| Value::Map(IndexMap::new()));
            match inner {
                Value::Map(inner) => map = inner,
                _ => break,
            }
        }
    }
    root
}

fn value(key: &str, text: String) -> Value {
    let schema = fields::find(key).map(|field| field.schema);
    match (schema, text.parse::<u64>()) {
        (Some(Schema::Whole), Ok(number)) => Value::Whole(number),
        (Some(Schema::Truth), _) => Value::Truth(text == "true"),
        _ => Value::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Fallback, Keepalive, OnRecovery, WhenDown};
    use std::time::Duration;

    #[test]
    fn a_configuration_comes_back_as_it_went_but_for_its_secrets() {
        let main = DatabaseConfig::from_url("redis://h:1")
            .number(3)
            .username("canary")
            .password("canary")
            .command_timeout(Duration::from_millis(1_500))
            .without_max_lifetime()
            .max_reply_bytes(2048)
            .allow_admin(true)
            .when_down(WhenDown::Wait)
            .keepalive(Keepalive::new().count(3))
            .fallback(
                Fallback::memory()
                    .on_recovery(OnRecovery::Replay)
                    .stale_reads(Duration::from_secs(9), 7),
            )
            .shared_connections(1, 2);
        let config = Config::new()
            .database("main", main)
            .database("secret", DatabaseConfig::from_url("redis://:canary@h"))
            .alias("queue", "main")
            .default_database("main")
            .io(Io::Dedicated)
            .sweep_interval(Duration::from_secs(7));
        let json = serde_json::to_value(&config).expect("a value");
        assert!(!json.to_string().contains("canary"), "{json}");
        assert_eq!(json["databases"]["main"]["number"], json!(3));
        assert_eq!(json["databases"]["main"]["allow_admin"], json!(true));
        assert_eq!(
            json["databases"]["main"]["shared_connections"],
            json!({"min": 1, "max": 2})
        );
        assert_eq!(
            json["databases"]["secret"],
            json!({"sweep_interval": "7 s", "url": "redis://h:6379"})
        );

        let back: Config = serde_json::from_value(json.clone()).expect("a configuration");
        assert_eq!(serde_json::to_value(&back).expect("a value"), json);
        let settings = crate::config::resolve(back).expect("valid");
        let main = &settings.databases[0];
        assert_eq!(
            (main.number, main.command_timeout),
            (3, Duration::from_millis(1_500))
        );
        assert_eq!((main.max_lifetime, main.max_reply_bytes), (None, 2048));
        assert_eq!(main.keepalive, Some(Keepalive::new().count(3)));
    }

    #[test]
    fn all_problems_are_one_error() {
        let error = serde_json::from_value::<Config>(json!({
            "databases": {"main": {"max_connections": 0, "colour": "red"}}
        }));
        let error = error.expect_err("two problems").to_string();
        assert!(error.contains("max_connections: 0 is too small"), "{error}");
        assert!(error.contains("colour: is not known here"), "{error}");
    }

    #[test]
    fn a_database_is_read_alone_in_an_applications_own_format() {
        #[derive(serde::Deserialize)]
        struct Application {
            redis: DatabaseConfig,
            cache: DatabaseConfig,
        }
        let text = "cache = 'redis://c/2'\n[redis]\nhost = 'h'\ndb = 4\ncommand_timeout = 0.5\n";
        let application: Application = toml::from_str(text).expect("readable");
        let config = Config::new()
            .database("redis", application.redis)
            .database("cache", application.cache);
        let settings = crate::config::resolve(config).expect("valid");
        let shown: Vec<_> = settings
            .databases
            .iter()
            .map(|database| format!("{} {}", database.address, database.number))
            .collect();
        assert_eq!(shown, ["h:6379 4", "c:6379 2"]);
        assert_eq!(
            settings.databases[0].command_timeout,
            Duration::from_millis(500)
        );
    }
}
