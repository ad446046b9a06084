//! Providers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::cmd;
use redis_steward::{Config, Credentials, CredentialsFn, HealthState, Reason};

use crate::{
    SOON, Switch,
    common::{eventually_asked, eventually_async, spawn},
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
    // Leases are dialled at the pace of the outage, which may be slower than one waits.
    let is_lent = || async { main.lease().await.is_ok() };
    eventually_asked(SOON, "a new connection", is_lent).await;
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

/// Probes ask the provider as well, and say nothing of connections that are open. Nor does a change of other settings,
/// which leaves them open.
#[tokio::test]
async fn neither_probes_nor_other_changes_put_off_the_renewal() {
    let server = server(&["first"]);
    for user in ["one", "two"] {
        let rules = ["ACL", "SETUSER", user, "on", ">first", "~*", "&*", "+@all"];
        assert_eq!(server.cli(&rules), "OK");
    }
    let of = |user: &str| {
        let valid_for = Duration::from_secs(1);
        Credentials::new("first")
            .username(user)
            .valid_for(valid_for)
    };
    let switch = Switch::saying(of("one"));
    let database = database(&server)
        .credentials(switch.clone())
        .health_check_interval(Duration::from_millis(100));
    let (supervisor, main) = spawn(database.clone()).await;
    let id: i64 = main
        .query(cmd("CLIENT").arg("ID"))
        .await
        .expect("its number");
    let config = Config::new().database("main", database.max_connections(9));
    supervisor.apply(config).await.expect("valid");
    switch.say(of("two"));
    let is_renewed = || {
        let clients = server.client_list();
        let own = clients.iter().find(|client| client["id"] == id.to_string());
        own.expect("it stays")["user"] == "two"
    };
    eventually_async(SOON, "the open connection has authenticated", is_renewed).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_provider_that_is_taken_out_is_not_asked_any_more() {
    let server = server(&["first"]);
    let switch = Switch::saying(valid("first"));
    // Each probe logs in as well.
    let with = || database(&server).health_check_interval(QUICK / 2);
    let (supervisor, main) = spawn(with().credentials(switch.clone())).await;
    increment(&main).await.expect("known");
    let config = Config::new().database("main", with().password("first"));
    supervisor.apply(config).await.expect("valid");
    let has_moved = || {
        supervisor.statistics().databases["main"]
            .pool
            .evicted
            .outdated
            == 1
    };
    eventually_async(SOON, "a new connection has taken over", has_moved).await;
    let asked = switch.asked();
    let logins = || server.commandstat("auth");
    let before = logins();
    // That takes longer than credentials of the provider are valid.
    eventually_async(SOON, "five probes", || logins() >= before + 5).await;
    increment(&main).await.expect("known");
    assert_eq!(switch.asked(), asked);
    supervisor.shutdown(SOON).await;
}
