//! Passwords that a program prints.

use std::time::{Duration, Instant};

use crate::{SOON, common::spawn, database, increment, server};

#[tokio::test]
async fn a_command_prints_the_password() {
    let server = server(&["first"]);
    let database =
        database(&server).password_command("printf 'fir'; printf 'st\\n'; echo noise >&2");
    let (supervisor, main) = spawn(database).await;
    increment(&main).await.expect("known");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_command_that_fails_is_told_without_what_it_says() {
    let server = server(&["first"]);
    for (command, expected) in [
        ("echo canary; exit 3", "has failed: exit status: 3"),
        ("true canary", "has printed nothing"),
        ("yes canary", "has printed more than 65536 bytes"),
        (
            "sleep 60; echo canary",
            "no answer of their provider within 1s",
        ),
    ] {
        let database = database(&server)
            .password_command(command)
            .connect_timeout(Duration::from_secs(1))
            .failure_threshold(100);
        let config = redis_steward::Config::new().database("main", database);
        assert!(!format!("{config:?}").contains("canary"));
        assert!(!config.explain().to_string().contains("canary"));
        let supervisor = redis_steward::Supervisor::spawn(config)
            .await
            .expect("valid");
        let main = supervisor.database("main").expect("it is there");
        let began = Instant::now();
        let error = main
            .with_timeout(Duration::from_secs(3))
            .query::<()>(redis::cmd("PING"))
            .await
            .expect_err("no password")
            .to_string();
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        assert!(error.contains(expected), "{command}: {error}");
        assert!(!error.contains("canary"), "{error}");
        supervisor.shutdown(SOON).await;
    }
}
