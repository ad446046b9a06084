//! The questions of this crate itself to a server whose replies are slow, because it is under maintenance. Unanswered ones are
//! evidence as commands are, so they have the same time.

use redis_steward::{Credentials, CredentialsFn};

use super::{
    handoff::{Node, echo},
    *,
};
use crate::common::spawn;

/// Replies take three times the time of a healthy one.
const LIMIT: Duration = Duration::from_millis(100);
const DELAY: u64 = 300;

#[tokio::test]
async fn row_251_an_open_connection_is_asked_patiently_during_maintenance() {
    let node = Node::start();
    let proxy = FaultProxy::start(node.port());
    let main = node
        .config_through(&proxy)
        .attempt_timeout(LIMIT)
        .health_check_interval(Duration::from_millis(50));
    let (supervisor, main) = spawn(main).await;
    let mut events = supervisor.subscribe();
    node.announce(&["MIGRATING", "1", "60"]);
    echo(&main, "a").await.expect("the announcement");
    node.slow_down(DELAY);
    // Whether the server is there is asked on the open connection, where no other can be opened.
    proxy.refuse();
    event_of(&mut events, degraded(Reason::Unreachable)).await;
    let asked = node.count("PING");
    let goes_on = || node.count("PING") >= asked + 5;
    eventually_async(SOON, "it is asked again and again", goes_on).await;
    echo(&main, "b").await.expect("a slow reply");
    let seen = stats(&supervisor);
    assert_eq!((seen.circuit, seen.trips), (CircuitState::Closed, 0));
    assert_eq!((seen.pool.opened, seen.pool.lost), (1, 0));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_252_the_near_cache_keeps_its_connection_during_maintenance() {
    let node = Node::start();
    let (supervisor, main) = spawn(node.config().attempt_timeout(LIMIT)).await;
    let _cached = main.cached();
    let is_tracking = || {
        let cache = stats(&supervisor).near_cache;
        cache.is_some_and(|cache| cache.is_tracking)
    };
    eventually_async(SOON, "it tracks", is_tracking).await;
    node.announce(&["MIGRATING", "1", "60"]);
    let before = node.count("PING");
    let is_told = || node.count("PING") > before;
    eventually_async(SOON, "its connection is asked, and told", is_told).await;
    node.slow_down(DELAY);
    let (before, opened) = (node.count("PING"), stats(&supervisor).pool.opened);
    let goes_on = || node.count("PING") >= before + 3;
    eventually_async(SOON, "it is asked again", goes_on).await;
    assert!(is_tracking());
    assert_eq!(stats(&supervisor).pool.opened, opened);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_253_connections_authenticate_again_during_maintenance() {
    let node = Node::start();
    let provider = CredentialsFn::new(|_| async {
        let credentials = Credentials::new("s3cret");
        std::io::Result::Ok(credentials.valid_for(Duration::from_millis(500)))
    });
    let main = node.config().attempt_timeout(LIMIT).credentials(provider);
    let (supervisor, main) = spawn(main).await;
    node.announce(&["FAILING_OVER", "1", "60"]);
    echo(&main, "a").await.expect("the announcement");
    node.slow_down(DELAY);
    let before = node.count("AUTH");
    let goes_on = || {
        assert_eq!(main.state(), HealthState::Healthy);
        node.count("AUTH") >= before + 4
    };
    eventually_async(SOON, "it authenticates again", goes_on).await;
    supervisor.shutdown(SOON).await;
}
