//! Goal: a name always leads to its own database: aliases, a default database that is asked for, the preset, and servers
//! that a service registry knows. Method: embedded servers, and real ones where a server moves.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::AsyncCommands;
use redis_steward::{
    Config, DatabaseConfig, Error, PresetDatabases, RedisDatabase, Service, ServiceFuture,
    ServiceRegistry, Supervisor,
};

use crate::{SOON, common::RedisServer};

fn memory() -> DatabaseConfig {
    DatabaseConfig::from_url("memory://")
}

#[tokio::test]
async fn an_alias_is_another_name_of_the_same_database() {
    let config = Config::new()
        .database("analytics", memory())
        .alias("codebase", "analytics");
    let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
    let mut analytics = supervisor.database("analytics").expect("the database");
    let mut codebase = supervisor.database("codebase").expect("the alias");
    let () = codebase.set("key", "value").await.expect("written");
    let value: String = analytics.get("key").await.expect("read");
    assert_eq!((value.as_str(), codebase.name()), ("value", "analytics"));
    let names: Vec<_> = supervisor.databases();
    assert_eq!(names.len(), 1, "{names:?}");

    // A change may take the alias away, and give it to another database.
    let config = Config::new()
        .database("analytics", memory())
        .database("other", memory())
        .alias("codebase", "other");
    supervisor.apply(config).await.expect("applied");
    let codebase = supervisor.database("codebase").expect("the alias");
    assert_eq!(codebase.name(), "other");
    let config = Config::new().database("analytics", memory());
    supervisor.apply(config).await.expect("applied");
    supervisor.database("codebase").expect_err("gone");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn an_unknown_name_is_an_error_unless_a_default_was_asked_for() {
    let databases = || {
        Config::new()
            .database("main", memory())
            .database("sessions", memory())
    };
    let supervisor = Supervisor::spawn(databases()).await.expect("a supervisor");
    let error = supervisor.database("sesions").expect_err("unknown");
    assert!(matches!(error, Error::UnknownDatabase { .. }), "{error}");
    let expected = "there is no database \"sesions\" (did you mean \"sessions\"?); the configured ones are main, sessions";
    assert_eq!(error.to_string(), expected);

    let config = databases().default_database("main");
    supervisor.apply(config).await.expect("applied");
    let stand_in = supervisor.database("sesions").expect("the default");
    assert_eq!(stand_in.name(), "main");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn the_preset_is_reached_by_variant_method_and_name() {
    let config = Config::preset().for_all(|_| memory());
    let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
    for database in RedisDatabase::ALL {
        let by_variant = supervisor.database(database).expect("by variant");
        let by_name = supervisor.database(database.name()).expect("by name");
        assert_eq!(
            (by_variant.name(), by_name.name()),
            (database.name(), database.name())
        );
    }
    let mut models = supervisor.models().expect("by method");
    let () = models.set("key", 1).await.expect("written");
    let mut memory = supervisor.memory().expect("by alias");
    assert_eq!(memory.get::<_, i64>("key").await, Ok(1));
    supervisor
        .isolate(RedisDatabase::Models)
        .await
        .expect("isolated");
    supervisor.shutdown(SOON).await;
}

/// A registry whose answers change.
#[derive(Clone, Debug, Default)]
struct Directory(Arc<Mutex<Option<Service>>>);

impl Directory {
    fn say(&self, server: Option<&RedisServer>) {
        let service = server.map(|server| Service::new("127.0.0.1", server.port()));
        *self.0.lock().expect("no panic") = service;
    }
}

impl ServiceRegistry for Directory {
    fn find<'a>(&'a self, database: &'a str) -> ServiceFuture<'a> {
        let found = self.0.lock().expect("no panic").clone();
        Box::pin(async move {
            match found {
                Some(service) => Ok(Some(service)),
                None => Err(format!("{database} is not listed").into()),
            }
        })
    }
}

#[tokio::test]
async fn a_service_registry_is_asked_at_every_dial() {
    let (first, second) = (RedisServer::start(), RedisServer::start());
    let directory = Directory::default();
    let config = Config::new()
        .database("main", DatabaseConfig::new())
        .service_registry(directory.clone());
    let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
    let not_ready = supervisor.ready(Duration::from_millis(300)).await;
    let error = not_ready.expect_err("nowhere").to_string();
    assert!(error.contains("main is not listed"), "{error}");

    directory.say(Some(&first));
    supervisor.ready(SOON).await.expect("found");
    let main = supervisor.database("main").expect("the database");
    let () = main.clone().set("place", "first").await.expect("written");

    second.command(&["SET", "place", "second"]);
    directory.say(Some(&second));
    first.kill();
    // It waits for the recovery, which comes from the other server.
    let place: String = main.patient().get("place").await.expect("moved");
    assert_eq!(place, "second");
    supervisor.shutdown(SOON).await;
}
