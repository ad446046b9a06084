//! Goal: a configuration file that changes is applied, one that cannot be used changes nothing and is reported, and no
//! secret is told. Method: real files, which are written anew, and embedded servers.

use std::{
    fs,
    panic::AssertUnwindSafe,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use redis_steward::{ApplyError, Config, ConfigReload, ConfigWatch, Supervisor};
use tokio::time::timeout;

use crate::{SOON, common::eventually_async};

const ONE: &str = "url: memory://\ndatabases: {main: }\n";
const TWO: &str = "url: memory://\ndatabases: {main: {max_connections: 7}, cache: {db: 1}}\n";

async fn next(watch: &mut ConfigWatch) -> ConfigReload {
    let next = timeout(SOON, watch.next()).await;
    next.expect("a report in time").expect("a report")
}

async fn supervisor(path: &Path) -> Supervisor {
    let config = Config::from_yaml_file(path).expect("a good file");
    Supervisor::spawn(config).await.expect("a supervisor")
}

#[tokio::test]
async fn a_file_is_applied_when_it_changes_and_refused_when_it_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("redis.yaml");
    fs::write(&path, ONE).expect("written");
    let supervisor = supervisor(&path).await;
    let mut watch = supervisor.watch(&path).await.expect("watched");

    fs::write(&path, TWO).expect("written");
    let ConfigReload::Applied(applied) = next(&mut watch).await else {
        panic!("the file is good");
    };
    assert_eq!(
        applied.to_string(),
        "cache: added\nmain: changed max_connections"
    );
    supervisor.database("cache").expect("added");

    fs::write(
        &path,
        "databases: {main: {max_conections: 7, password: canary}}",
    )
    .expect("written");
    let ConfigReload::Refused(error) = next(&mut watch).await else {
        panic!("the file is wrong");
    };
    let error = error.to_string();
    assert!(error.contains("redis.yaml:1:"), "{error}");
    assert!(
        error.contains("did you mean max_connections?") && !error.contains("canary"),
        "{error}"
    );
    supervisor.database("cache").expect("still there");

    fs::remove_file(&path).expect("removed");
    assert!(matches!(next(&mut watch).await, ConfigReload::Refused(_)));
    fs::write(&path, ONE).expect("written");
    assert!(matches!(next(&mut watch).await, ConfigReload::Applied(_)));
    supervisor.database("cache").expect_err("removed");

    supervisor.shutdown(SOON).await;
    let ended = timeout(SOON, watch.next()).await.expect("in time");
    assert!(ended.is_none(), "{ended:?}");
}

#[tokio::test]
async fn a_panic_of_the_code_that_adjusts_reaches_the_caller_and_later_ones_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("redis.yaml");
    fs::write(&path, ONE).expect("written");
    let supervisor = supervisor(&path).await;
    let watched = supervisor.watch_with(&path, |_| panic!("on purpose"));
    let panic = AssertUnwindSafe(watched).catch_unwind().await.err();
    let panic = panic.expect("it panicked");
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));

    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let adjust = move |config| {
        let before = counter.fetch_add(1, Relaxed);
        assert_ne!(before, 1, "the second file is one too many");
        config
    };
    let watched = supervisor.watch_with(&path, adjust).await;
    let mut watch = watched.expect("watched");
    fs::write(&path, TWO).expect("written");
    eventually_async(SOON, "it was adjusted", || calls.load(Relaxed) == 2).await;
    supervisor
        .database("cache")
        .expect_err("nothing is changed");
    fs::write(&path, ONE).expect("written");
    assert!(matches!(next(&mut watch).await, ConfigReload::Applied(_)));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn the_file_of_a_password_is_watched_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, secret) = (
        folder.path().join("redis.yaml"),
        folder.path().join("secret"),
    );
    let text = "allow_readable_secrets: true\nurl: memory://\npassword_file: secret\n";
    fs::write(&path, text).expect("written");
    fs::write(&secret, "first").expect("written");
    let supervisor = supervisor(&path).await;
    let mut watch = supervisor.watch(&path).await.expect("watched");
    fs::write(&secret, "the second").expect("written");
    let ConfigReload::Applied(applied) = next(&mut watch).await else {
        panic!("the file is good");
    };
    // The connections of a database read the file themselves.
    assert_eq!(applied.to_string(), "no database has changed");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn what_cannot_be_used_at_first_is_an_error_and_is_not_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("redis.yaml");
    fs::write(&path, ONE).expect("written");
    let supervisor = supervisor(&path).await;
    let missing = supervisor.watch(folder.path().join("none.yaml")).await;
    assert!(matches!(missing, Err(ApplyError::Config(_))), "{missing:?}");
    // What is set in code takes part in each change.
    let adjust =
        |config: Config| config.for_all(|database| database.command_timeout(Duration::ZERO));
    let refused = supervisor.watch_with(&path, adjust).await;
    assert!(matches!(refused, Err(ApplyError::Config(_))), "{refused:?}");
    supervisor.shutdown(SOON).await;
    let late = supervisor.watch(&path).await;
    assert!(matches!(late, Err(ApplyError::ShuttingDown)), "{late:?}");
}
