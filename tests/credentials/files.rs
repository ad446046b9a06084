//! Passwords in files.

use std::fs;

use redis_steward::{Config, HealthState};
use tempfile::TempDir;

use crate::{
    SOON,
    common::{certificates::replace_file, eventually_async, spawn},
    database, increment, server, set_passwords,
};

#[tokio::test]
async fn a_changed_file_is_used_by_open_connections_and_new_ones() {
    let server = server(&["first"]);
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("password");
    fs::write(&path, "first\n").expect("a file");
    let (supervisor, main) = spawn(database(&server).password_file(&path)).await;
    increment(&main).await.expect("known");
    set_passwords(&server, &["first", "second"]);
    let before = server.commandstat("auth");
    replace_file(&path, b"second\n");
    let has_changed = || server.commandstat("auth") > before;
    eventually_async(SOON, "the open connection has authenticated", has_changed).await;
    set_passwords(&server, &["second"]);
    drop(main.lease().await.expect("a new connection"));
    increment(&main).await.expect("known");
    let stats = &supervisor.statistics().databases["main"];
    assert_eq!((stats.pool.lost, &stats.health), (0, &HealthState::Healthy));
    supervisor.shutdown(SOON).await;
}

#[test]
fn a_file_that_is_not_there_is_a_problem_of_the_configuration() {
    let server = redis_steward::DatabaseConfig::new().password_file("/none/password");
    let error = Config::new().database("main", server).check();
    let error = error.expect_err("no file").to_string();
    assert!(
        error.contains("names /none/password, which cannot be read"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_in_yaml_starts_at_its_folder() {
    let server = server(&["first"]);
    let dir = TempDir::new().expect("a directory");
    let (file, secret) = (dir.path().join("redis.yaml"), dir.path().join("secret"));
    fs::write(&secret, "first").expect("a file");
    let text = format!(
        "allow_readable_secrets: true\ndatabases: {{main: {{port: {}, username: app, password_file: secret}}}}",
        server.port()
    );
    fs::write(&file, text).expect("a file");
    let config = Config::from_yaml_file(&file).expect("readable");
    let supervisor = redis_steward::Supervisor::spawn(config)
        .await
        .expect("valid");
    let main = supervisor.database("main").expect("it is there");
    increment(&main).await.expect("known");
    supervisor.shutdown(SOON).await;
}
