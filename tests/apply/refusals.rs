//! Goal: what cannot be applied changes nothing, and changes come one after the other. Method: a real server.

use std::time::Duration;

use redis::cmd;
use redis_steward::{ApplyError, Config, DatabaseChange, DatabaseConfig, Io, Supervisor};

use crate::{SOON, apply, at_leisure, common::Rig, load::Load, patient, single, stats};

#[tokio::test]
async fn an_invalid_configuration_changes_nothing_and_names_all_problems() {
    let rig = Rig::with(at_leisure).await;
    let load = Load::on(&rig.main);
    let before = rig.pool();
    let bad = Config::new()
        .database("main", patient(rig.server.url()).max_connections(0))
        .database(
            "bad name",
            DatabaseConfig::from_url("redis://:canary@localhost:x"),
        )
        .io(Io::Dedicated);
    let error = rig.supervisor.apply(bad).await.expect_err("refused");
    let ApplyError::Config(problems) = &error else {
        panic!("{error}");
    };
    let fields: Vec<_> = problems
        .problems()
        .iter()
        .map(|problem| problem.field())
        .collect();
    assert_eq!(fields[0], "io");
    for field in ["max_connections", "name", "url"] {
        assert!(fields.contains(&field), "{field}: {error}");
    }
    assert!(!format!("{error}{error:?}").contains("canary"));
    let none = rig
        .supervisor
        .apply(Config::new())
        .await
        .expect_err("refused");
    assert!(none.to_string().contains("databases"), "{none}");
    load.goes_on().await;
    load.end().await;
    let after = rig.pool();
    assert_eq!((after.max, after.shared), (before.max, before.shared));
    assert_eq!(rig.supervisor.databases().len(), 1);
    rig.end().await;
}

#[tokio::test]
async fn the_same_configuration_touches_nothing() {
    let rig = Rig::with(at_leisure).await;
    let opened = rig.pool().opened;
    let change = apply(&rig.supervisor, patient(rig.server.url())).await;
    assert_eq!(change, DatabaseChange::Unchanged);
    assert_eq!(rig.pool().opened, opened);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_the_same_time_are_made_one_after_the_other() {
    let rig = Rig::with(at_leisure).await;
    let load = Load::on(&rig.main);
    let url = rig.server.url();
    let changes: Vec<_> = (1..=40_usize)
        .map(|number| {
            let supervisor = rig.supervisor.clone();
            let main = patient(&url)
                .max_parked(number)
                .client_name(format!("redis-steward-{number}"));
            let extra = patient(&url);
            let config = match number % 2 {
                0 => single(main),
                _ => single(main).database("extra", extra),
            };
            tokio::spawn(async move { supervisor.apply(config).await })
        })
        .collect();
    for change in changes {
        let applied = change.await.expect("no panic").expect("applied");
        let main = &applied.databases["main"];
        let all = vec!["client_name", "max_parked"];
        let is_whole = |settings: &Vec<_>| *settings == all;
        match main {
            DatabaseChange::Reconnecting { settings } => assert!(is_whole(settings), "{main:?}"),
            other => panic!("{other:?}"),
        }
    }
    apply(&rig.supervisor, patient(&url)).await;
    load.goes_on().await;
    load.end().await;
    let pool = rig.settled().await;
    assert!(pool.open <= pool.max);
    rig.end().await;
}

#[tokio::test]
async fn a_change_after_or_during_a_shutdown_is_refused_or_done() {
    let rig = Rig::with(at_leisure).await;
    let other = || patient(rig.server.url()).client_name("other");
    let (applied, _) = tokio::join!(
        rig.supervisor.apply(single(other())),
        rig.supervisor.shutdown(SOON)
    );
    if let Err(error) = applied {
        assert!(matches!(error, ApplyError::ShuttingDown), "{error}");
    }
    let error = rig
        .supervisor
        .apply(single(other()))
        .await
        .expect_err("refused");
    assert!(matches!(error, ApplyError::ShuttingDown), "{error}");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_removed_database_longer_than_its_own_grace() {
    let rig = Rig::with(at_leisure).await;
    let server = rig.server.url();
    let slow = patient(&server).command_timeout(Duration::from_secs(600));
    let both = single(patient(&server)).database("slow", slow);
    rig.supervisor.apply(both).await.expect("applied");
    let handle = rig.supervisor.database("slow").expect("slow");
    let mut lease = handle.lease().await.expect("a lease");
    let busy = tokio::spawn(async move {
        let block = cmd("EVAL").arg("while true do end").arg(0).take();
        lease.query::<()>(block).await
    });
    let in_flight = || rig.supervisor.statistics().databases["slow"].in_flight;
    crate::common::eventually_async(SOON, "it is under way", || in_flight() == 1).await;
    let removal = {
        let supervisor = rig.supervisor.clone();
        let config = single(patient(&server));
        tokio::spawn(async move { supervisor.apply(config).await })
    };
    let is_gone = || rig.supervisor.databases().len() == 1;
    crate::common::eventually_async(SOON, "it is removed", is_gone).await;
    let shutdown = rig.supervisor.shutdown(Duration::from_millis(100));
    tokio::time::timeout(SOON, shutdown).await.expect("in time");
    busy.await.expect("no panic").expect_err("it was cut short");
    // Answered or not: the supervisor is gone.
    let _ = removal.await.expect("no panic");
}

#[tokio::test]
async fn the_choice_of_a_runtime_that_is_the_same_is_accepted() {
    let config =
        |parked| single(DatabaseConfig::from_url("memory://").max_parked(parked)).io(Io::Dedicated);
    let supervisor = Supervisor::spawn(config(10)).await.expect("spawn");
    supervisor.apply(config(20)).await.expect("applied");
    assert_eq!(stats(&supervisor).in_flight, 0);
    supervisor.shutdown(SOON).await;
}
