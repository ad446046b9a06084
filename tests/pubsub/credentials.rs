//! Goal: credentials that change cost a subscriber nothing where its connection can authenticate again, and a gap that
//! says so where it cannot. Method: a password file, and a server with and without RESP3.

use std::fs;

use redis_steward::{DatabaseConfig, GapCause};
use tempfile::TempDir;

use super::{SOON, gap, message, publish, without_resp3};
use crate::common::{RedisServer, certificates::replace_file, eventually_async, older_than, spawn};

#[tokio::test]
async fn row_209_credentials_change_while_something_is_subscribed() {
    if older_than(6, 2, "the rights of users to channels") {
        return;
    }
    let (old, _settings) = without_resp3();
    for (server, speaks_resp3) in [(RedisServer::start(), true), (old, false)] {
        let users = |passwords: &[&str]| {
            let rules = ["ACL", "SETUSER", "app", "reset", "on", "~*", "&*", "+@all"];
            let passwords = passwords.iter().map(|password| format!(">{password}"));
            let rules = rules.into_iter().map(str::to_owned).chain(passwords);
            let rules: Vec<_> = rules.collect();
            let rules: Vec<_> = rules.iter().map(String::as_str).collect();
            assert_eq!(server.cli(&rules), "OK");
        };
        users(&["first", "second"]);
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("password");
        fs::write(&path, "first\n").expect("a file");
        let database = DatabaseConfig::from_url(server.url())
            .username("app")
            .password_file(&path);
        let (supervisor, main) = spawn(database).await;
        let mut news = main.subscribe(["news"]).await.expect("confirmed");
        let before = server.commandstat("auth");
        replace_file(&path, b"second\n");
        if speaks_resp3 {
            // That of the pool, and that of subscribers.
            eventually_async(SOON, "both have authenticated", || {
                server.commandstat("auth") >= before + 2
            })
            .await;
        } else {
            assert_eq!(gap(&mut news).await, GapCause::CredentialsChanged);
        }
        publish(&server, "news", "1");
        assert_eq!(message(&mut news).await, "1");
        let stats = supervisor.statistics().databases["main"].subscriptions;
        assert_eq!((stats.lost, stats.gaps), (0, u64::from(!speaks_resp3)));
        supervisor.shutdown(SOON).await;
    }
}
