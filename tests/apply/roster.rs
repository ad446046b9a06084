//! Goal: databases come, go and are renamed, and their handles say the truth. Method: real servers, under load.

use std::time::{Duration, Instant};

use redis::{Cmd, Value, cmd};
use redis_steward::{
    Config, DatabaseChange, Error, Execute, Execution, HealthEvents, HealthState, Supervisor,
};

use crate::{
    SOON,
    common::{FaultProxy, Mode, RedisServer, eventually_async},
    load::Load,
    patient,
};

fn config(server: &RedisServer, names: &[&str]) -> Config {
    let names = names.iter().copied();
    names.fold(Config::new(), |config, name| {
        config.database(name, patient(server.url()))
    })
}

async fn start(server: &RedisServer, names: &[&str]) -> Supervisor {
    let supervisor = Supervisor::spawn(config(server, names))
        .await
        .expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    supervisor
}

fn assert_unknown(error: &Error, name: &str, known: &[&str]) {
    match error {
        Error::UnknownDatabase {
            name: unknown,
            known: others,
        } => {
            assert_eq!((&**unknown, error.execution()), (name, Execution::NotSent));
            let others: Vec<_> = others.iter().map(|other| &**other).collect();
            assert_eq!(others, known);
        }
        other => panic!("{other:?}"),
    }
}

/// Waits for this state of a database.
async fn until(events: &mut HealthEvents, name: &str, state: HealthState) {
    let wait = async {
        loop {
            let event = events.next().await.expect("an event");
            if *event.database == *name && event.state == state {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_come_and_go_and_the_one_that_stays_notices_nothing() {
    let server = RedisServer::start();
    let supervisor = start(&server, &["main"]).await;
    let load = Load::on(&supervisor.database("main").expect("main"));
    for turn in 0..5 {
        let names = ["main", "other"];
        let applied = supervisor
            .apply(config(&server, &names))
            .await
            .expect("applied");
        assert_eq!(applied.databases["main"], DatabaseChange::Unchanged);
        assert_eq!(applied.databases["other"], DatabaseChange::Added);
        supervisor.ready(SOON).await.expect("ready");
        let other = supervisor.database("other").expect("other");
        other
            .query::<()>(cmd("SET").arg("turn").arg(turn))
            .await
            .expect("set");
        load.goes_on().await;
        let applied = supervisor
            .apply(config(&server, &["main"]))
            .await
            .expect("applied");
        assert_eq!(applied.databases["other"], DatabaseChange::Removed);
        let error = other.query::<()>(cmd("GET").arg("turn")).await;
        assert_unknown(&error.expect_err("removed"), "other", &["main"]);
        assert!(!supervisor.statistics().databases.contains_key("other"));
        let left = || server.clients_named("redis-steward:other").len();
        eventually_async(SOON, "its connections are closed", || left() == 0).await;
    }
    load.end().await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_renamed_database_is_another_one() {
    let server = RedisServer::start();
    let supervisor = start(&server, &["before"]).await;
    let before = supervisor.database("before").expect("before");
    let mut events = supervisor.subscribe();
    let applied = supervisor
        .apply(config(&server, &["after"]))
        .await
        .expect("applied");
    assert_eq!(applied.to_string(), "after: added\nbefore: removed");
    let error = before.query::<()>(cmd("PING")).await.expect_err("removed");
    assert_unknown(&error, "before", &["after"]);
    assert_unknown(
        &supervisor.database("before").expect_err("gone"),
        "before",
        &["after"],
    );
    let after = supervisor.database("after").expect("after");
    after.query::<()>(cmd("PING")).await.expect("pong");
    until(&mut events, "before", HealthState::Removed).await;
    let mut new = supervisor.subscribe();
    let first = new.next().await.expect("an event");
    assert_eq!(&*first.database, "after", "there is no event of the other");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn an_old_handle_stays_with_the_database_that_was_removed() {
    let server = RedisServer::start();
    let supervisor = start(&server, &["main", "cache"]).await;
    let old = supervisor.database("cache").expect("cache");
    let recipient = old.recipient();
    old.query::<()>(cmd("PING")).await.expect("pong");
    supervisor
        .apply(config(&server, &["main"]))
        .await
        .expect("applied");
    supervisor
        .apply(config(&server, &["main", "cache"]))
        .await
        .expect("applied");
    supervisor.ready(SOON).await.expect("ready");
    let error = old.query::<()>(cmd("PING")).await.expect_err("removed");
    assert_unknown(&error, "cache", &["cache", "main"]);
    assert!(error.to_string().contains("take another handle"), "{error}");
    let error = old.lease().await.expect_err("removed");
    assert_unknown(&error, "cache", &["cache", "main"]);
    let answer = recipient
        .send(Execute::new(cmd("PING")))
        .await
        .expect("answered");
    assert_unknown(&answer.expect_err("removed"), "cache", &["cache", "main"]);
    drop(old);
    let answer = recipient
        .send(Execute::new(cmd("PING")))
        .await
        .expect("answered");
    assert_unknown(&answer.expect_err("removed"), "cache", &["cache", "main"]);
    let new = supervisor.database("cache").expect("cache");
    new.query::<()>(cmd("PING")).await.expect("pong");
    let stats = supervisor.statistics().databases["cache"].clone();
    assert_eq!(stats.succeeded, 1, "it counts anew");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn what_is_under_way_at_a_removal_finishes() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let distant = patient(proxy.url())
        .command_timeout(3 * SOON)
        .attempt_timeout(SOON);
    let both = config(&server, &["main"]).database("distant", distant);
    let supervisor = Supervisor::spawn(both).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let handle = supervisor.database("distant").expect("distant");
    let in_flight = || supervisor.statistics().databases["distant"].in_flight;
    let call = |command: Cmd| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.query::<Value>(command).await })
    };
    let blocked = call(cmd("BLPOP").arg("nothing").arg(0).take());
    let is_blocked = || server.info("clients")["blocked_clients"] == "1";
    eventually_async(SOON, "it waits at the server", is_blocked).await;
    proxy.set(Mode::Delay {
        requests: Duration::ZERO,
        replies: Duration::from_millis(500),
    });
    let slow = call(cmd("INCR").arg("slow").take());
    eventually_async(SOON, "both are under way", || in_flight() == 2).await;
    let began = Instant::now();
    let applied = supervisor.apply(config(&server, &["main"])).await;
    applied.expect("applied");
    // The wait that never ends would use up the whole grace of a minute.
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(
        slow.await.expect("no panic").expect("its reply"),
        Value::Int(1)
    );
    assert_eq!(
        blocked.await.expect("no panic").expect("unblocked"),
        Value::Nil
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn what_does_not_finish_at_a_removal_learns_that_it_may_have_run() {
    let (server, frozen) = (RedisServer::start(), RedisServer::start());
    let both = config(&server, &["main"]).database(
        "frozen",
        patient(frozen.url()).command_timeout(Duration::from_millis(300)),
    );
    let supervisor = Supervisor::spawn(both).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let handle = supervisor.database("frozen").expect("frozen");
    let handle = handle.with_timeout(Duration::from_secs(60));
    frozen.freeze();
    let call = {
        let handle = handle.clone();
        tokio::spawn(async move { handle.query::<()>(cmd("INCR").arg("a")).await })
    };
    let in_flight = || supervisor.statistics().databases["frozen"].in_flight;
    eventually_async(SOON, "it is under way", || in_flight() == 1).await;
    supervisor
        .apply(config(&server, &["main"]))
        .await
        .expect("applied");
    let error = call.await.expect("no panic").expect_err("no reply");
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    assert_eq!(error.execution(), Execution::Unknown);
    assert!(error.to_string().contains("removed"), "{error}");
    frozen.thaw();
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn subscribers_hear_of_what_was_added_changed_and_removed() {
    let server = RedisServer::start();
    let supervisor = start(&server, &["main"]).await;
    let mut events = supervisor.subscribe();
    let main = patient(server.url()).max_parked(7).failure_threshold(2);
    let both = Config::new()
        .database("main", main)
        .database("other", patient(server.url()));
    supervisor.apply(both).await.expect("applied");
    supervisor.ready(SOON).await.expect("ready");
    supervisor
        .apply(config(&server, &["main"]))
        .await
        .expect("applied");
    supervisor.shutdown(SOON).await;
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        told.push((
            event.database.to_string(),
            event.state,
            event.changed.to_vec(),
        ));
    }
    let of = |name: &str| -> Vec<_> {
        let of = told.iter().filter(|(database, ..)| database == name);
        of.map(|(_, state, changed)| (state.clone(), changed.clone()))
            .collect()
    };
    let healthy = HealthState::Healthy;
    assert_eq!(
        of("main"),
        [
            (healthy.clone(), vec![]),
            (healthy.clone(), vec!["failure_threshold", "max_parked"]),
            (healthy.clone(), vec!["failure_threshold", "max_parked"]),
            (HealthState::Stopped, vec![]),
        ]
    );
    assert_eq!(
        of("other"),
        [
            (HealthState::Starting, vec![]),
            (healthy, vec![]),
            (HealthState::Removed, vec![]),
        ]
    );
}
