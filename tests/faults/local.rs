//! Faults of this process: cancelled calls and a blocked arbiter.

use std::{sync::mpsc, time::Duration};

use actix::{Actor, Context, Handler};
use futures_util::FutureExt;
use redis_steward::{CircuitState, Error, HealthEvent, HealthState, Subscribe};

use crate::{
    Rig, SOON, assert_own_replies,
    common::{eventually_async, resp},
    error_within, incr,
};

/// Leases are in `leases/lending.rs`: a lease dropped during a command closes its connection.
#[tokio::test]
async fn row_36_caller_drops_future() {
    let rig = Rig::with(|main| main.failure_threshold(2)).await;
    let incr = incr();
    let polled = || {
        let mut calls: Vec<_> = (0..100)
            .map(|_| Box::pin(rig.main.query::<i64>(&incr)))
            .collect();
        for call in &mut calls {
            assert!(call.now_or_never().is_none());
        }
        calls
    };
    // In flight: the server executes the commands, and their replies are discarded.
    rig.server.freeze();
    let before = rig.proxy.request_bytes();
    let calls = polled();
    let bytes = 100 * resp::encode(&["INCR", "n"]).len() as u64;
    let written = || rig.proxy.request_bytes() == before + bytes;
    eventually_async(SOON, "all are written", written).await;
    drop(calls);
    rig.server.thaw();
    assert_own_replies(&rig.main).await;
    assert_eq!(rig.server.commandstat("incr"), 100);
    assert_eq!(rig.stats().circuit, CircuitState::Closed);

    // Parked: the commands are never sent.
    rig.server.kill();
    let failures = || rig.stats().pool.dial_failures;
    eventually_async(SOON, "it has no connection", || failures() > 0).await;
    let calls = polled();
    let parked = || rig.stats().pool.parked;
    eventually_async(SOON, "all wait", || parked() == 100).await;
    drop(calls);
    rig.server.restart();
    rig.supervisor.ready(SOON).await.expect("ready again");
    assert_own_replies(&rig.main).await;
    assert_eq!(rig.server.commandstat("incr"), 0);
    let is_settled = || (rig.stats().cancelled, rig.stats().in_flight) == (200, 0);
    eventually_async(SOON, "nothing is in flight", is_settled).await;
    rig.end().await;
}

/// An actor of the application that blocks its thread until it is released.
struct Blocking {
    blocked: mpsc::Sender<()>,
    let_go: mpsc::Receiver<()>,
}

impl Actor for Blocking {
    type Context = Context<Self>;
}

impl Handler<HealthEvent> for Blocking {
    type Result = ();

    fn handle(&mut self, _: HealthEvent, _: &mut Self::Context) {
        let _ = self.blocked.send(());
        // An error means that the test is over.
        let _ = self.let_go.recv();
    }
}

/// The crate's actors have their own thread, so the blocked arbiter is the application's.
#[tokio::test]
async fn row_42_blocked_arbiter() {
    let rig = Rig::start().await;
    let (blocked, is_blocked) = mpsc::channel();
    let (let_it_go, let_go) = mpsc::channel();
    let subscribe = rig.supervisor.recipient();
    let arbiter = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async {
            let blocking = Blocking { blocked, let_go }.start();
            let subscribed = subscribe.send(Subscribe(blocking.recipient())).await;
            subscribed.expect("a supervisor that runs");
            // Lets the actor receive its last event before the system ends.
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
    });
    eventually_async(SOON, "it is blocked", || is_blocked.try_recv().is_ok()).await;

    let mut events = rig.supervisor.subscribe();
    let healthy = events.next().await.expect("the current state");
    assert_eq!(healthy.state, HealthState::Healthy);
    assert_own_replies(&rig.main).await;
    rig.server.freeze();
    let error = error_within(Duration::from_secs(1), &rig.main, &incr()).await;
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    rig.server.kill();
    let down =
        async { while events.next().await.expect("an event").circuit != CircuitState::Open {} };
    let told = tokio::time::timeout(SOON, down).await;
    told.expect("other subscribers see the outage");

    drop(let_it_go);
    arbiter.join().expect("it did not panic");
    rig.supervisor.shutdown(SOON).await;
}
