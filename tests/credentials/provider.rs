//! Providers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::cmd;
use redis_steward::{Credentials, CredentialsFn, HealthState, Reason};

use crate::{
    SOON, Switch,
    common::{eventually_async, spawn},
    database, increment, server, set_passwords,
};

const QUICK: Duration = Duration::from_millis(500);

fn valid(password: &str) -> Credentials {
    Credentials::new(password).valid_for(QUICK)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_load_loses_no_call_and_no_connection() {
    let server = server(&["first"]);
    let switch = Switch::saying(valid("first"));
    let (supervisor, main) = spawn(database(&server).credentials(switch.clone())).await;
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (main, over) = (main.clone(), over.clone());
            tokio::spawn(async move {
                let mut calls = 0_u64;
                while !over.load(Relaxed) {
                    increment(&main).await.expect("no call fails");
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let logins = || server.commandstat("auth");
    for (old, new) in [
        ("first", "second"),
        ("second", "third"),
        ("third", "fourth"),
    ] {
        set_passwords(&server, &[old, new]);
        switch.say(valid(new));
        let before = logins();
        // One may have been under way with the old one.
        eventually_async(SOON, "it has authenticated twice", || {
            logins() >= before + 2
        })
        .await;
        set_passwords(&server, &[new]);
    }
    over.store(true, Relaxed);
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.expect("no panic");
    }
    assert_eq!(server.cli(&["GET", "n"]), calls.to_string());
    let stats = supervisor.statistics().databases["main"].clone();
    assert_eq!((stats.pool.opened, stats.pool.lost), (1, 0), "{stats}");
    assert_eq!((stats.failures(), stats.trips), (0, 0), "{stats}");
    assert_eq!(stats.health, HealthState::Healthy);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn refused_credentials_leave_the_connection_and_are_told_and_tried_again() {
    let server = server(&["first"]);
    let switch = Switch::saying(valid("first"));
    let (supervisor, main) = spawn(database(&server).credentials(switch.clone())).await;
    increment(&main).await.expect("known");
    switch.say(valid("canary"));
    let is_told = || {
        main.state()
            == HealthState::Degraded {
                reason: Reason::Rejected,
            }
    };
    eventually_async(SOON, "it is told", is_told).await;
    let stats = supervisor.statistics().databases["main"].clone();
    let cause = stats.cause.expect("a cause").to_string();
    assert!(
        cause.contains("WRONGPASS") && !cause.contains("canary"),
        "{cause}"
    );
    for _ in 0..100 {
        increment(&main).await.expect("the connection stays");
    }
    assert_eq!(supervisor.statistics().databases["main"].pool.opened, 1);
    // An operator has mended it.
    set_passwords(&server, &["canary"]);
    let is_well = || main.state() == HealthState::Healthy;
    eventually_async(SOON, "it is accepted", is_well).await;
    increment(&main).await.expect("known");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_provider_that_cannot_tell_leaves_the_connection_and_fails_new_ones() {
    let server = server(&["first"]);
    let switch = Switch::saying(valid("first"));
    let (supervisor, main) = spawn(database(&server).credentials(switch.clone())).await;
    increment(&main).await.expect("known");
    switch.fall_silent();
    let before = switch.asked();
    eventually_async(SOON, "it is asked again", || switch.asked() > before + 2).await;
    increment(&main).await.expect("the connection stays");
    let error = main.lease().await.expect_err("no credentials").to_string();
    assert!(error.contains("the vault is sealed"), "{error}");
    switch.say(valid("first"));
    let is_well = || main.state() == HealthState::Healthy;
    eventually_async(SOON, "it is asked again", is_well).await;
    drop(main.lease().await.expect("a new connection"));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_leased_connection_authenticates_when_it_is_given_back() {
    let server = server(&["first"]);
    let switch = Switch::saying(valid("first"));
    let (supervisor, main) = spawn(database(&server).credentials(switch.clone())).await;
    let mut lease = main.lease().await.expect("a connection");
    let id: i64 = lease
        .query(cmd("CLIENT").arg("ID"))
        .await
        .expect("its number");
    let before = server.commandstat("auth");
    // Nothing may come between these.
    lease.query::<()>(cmd("MULTI")).await.expect("begun");
    eventually_async(SOON, "the shared one has authenticated", || {
        server.commandstat("auth") > before + 1
    })
    .await;
    lease
        .query::<()>(cmd("INCR").arg("n"))
        .await
        .expect("queued");
    let replies: Vec<i64> = lease
        .query(cmd("EXEC"))
        .await
        .expect("nothing else was queued");
    assert_eq!(replies, [1]);
    let before = server.commandstat("auth");
    drop(lease);
    let mut lease = main.lease().await.expect("a connection");
    let same: i64 = lease
        .query(cmd("CLIENT").arg("ID"))
        .await
        .expect("its number");
    assert_eq!(id, same, "it is lent again");
    assert!(server.commandstat("auth") > before, "it has authenticated");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_function_may_name_the_user_as_well() {
    let server = server(&["first"]);
    let of_vault = CredentialsFn::new(|_| async {
        Ok::<_, std::io::Error>(Credentials::new("first").username("app"))
    });
    let url = format!("redis://127.0.0.1:{}", server.port());
    let database = redis_steward::DatabaseConfig::from_url(url).credentials(of_vault);
    let (supervisor, main) = spawn(database).await;
    let user: String = main.query(cmd("ACL").arg("WHOAMI")).await.expect("a name");
    assert_eq!(user, "app");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn many_dials_at_the_same_time_ask_a_few_times() {
    let server = server(&["first"]);
    let switch = Switch::saying(Credentials::new("first"));
    let (supervisor, main) = spawn(database(&server).credentials(switch.clone())).await;
    let before = switch.asked();
    let leases: Vec<_> = (0..40).map(|_| main.lease()).collect();
    let leases = futures_util::future::join_all(leases).await;
    assert!(leases.iter().all(Result::is_ok));
    assert!(switch.asked() - before <= 40, "{}", switch.asked());
    drop(leases);
    supervisor.shutdown(SOON).await;
}
