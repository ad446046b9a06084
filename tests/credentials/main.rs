//! Goal: credentials change while a program runs, and no call notices. Method: a real server with ACL users, whose
//! passwords the tests change, and providers, files and commands that follow.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod files;
mod provider;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::cmd;
use redis_steward::{
    Credentials, CredentialsFuture, CredentialsProvider, Database, DatabaseConfig, Error,
};

use crate::common::RedisServer;

/// The bound of every wait.
const SOON: Duration = Duration::from_secs(20);

/// A server that knows the user `app` by these passwords, and nobody else.
fn server(passwords: &[&str]) -> RedisServer {
    let server = RedisServer::builder().requirepass("of the tests").start();
    set_passwords(&server, passwords);
    server
}

fn set_passwords(server: &RedisServer, passwords: &[&str]) {
    let mut rules = vec![
        "ACL",
        "SETUSER",
        "app",
        "on",
        "resetpass",
        "~*",
        "&*",
        "+@all",
    ];
    let added: Vec<_> = passwords
        .iter()
        .map(|password| format!(">{password}"))
        .collect();
    rules.extend(added.iter().map(String::as_str));
    assert_eq!(server.cli(&rules), "OK");
}

/// The database of the user `app`, without a password.
fn database(server: &RedisServer) -> DatabaseConfig {
    DatabaseConfig::from_url(format!("redis://127.0.0.1:{}", server.port())).username("app")
}

async fn increment(main: &Database) -> Result<i64, Error> {
    main.query(cmd("INCR").arg("n")).await
}

/// Tells what it is told to tell, and counts how often it was asked.
#[derive(Clone, Debug, Default)]
struct Switch {
    says: Arc<Mutex<Option<Credentials>>>,
    asked: Arc<AtomicU64>,
}

impl Switch {
    fn saying(credentials: Credentials) -> Self {
        let switch = Self::default();
        switch.say(credentials);
        switch
    }

    fn say(&self, credentials: Credentials) {
        *self.says.lock().expect("no test panics here") = Some(credentials);
    }

    fn fall_silent(&self) {
        *self.says.lock().expect("no test panics here") = None;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }
}

impl CredentialsProvider for Switch {
    fn fetch<'a>(&'a self, database: &'a str) -> CredentialsFuture<'a> {
        assert_eq!(database, "main");
        self.asked.fetch_add(1, Relaxed);
        let says = self.says.lock().expect("no test panics here").clone();
        Box::pin(async { says.ok_or_else(|| "the vault is sealed".into()) })
    }
}
