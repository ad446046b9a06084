//! Sentinels that are dead, hang, or come back.

use std::time::{Duration, Instant};

use redis::cmd;
use redis_steward::DatabaseConfig;

use crate::{
    SOON,
    common::{
        Sentinels, eventually_async, left_out_on_embedded, ports::free_port, sentinels::SERVICE,
        spawn,
    },
    fail_over, patient,
};

#[tokio::test]
async fn row_133_all_sentinels_are_away_and_come_back() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let (supervisor, main) = spawn(patient(site.url())).await;
    let mut events = supervisor.subscribe();
    for sentinel in &site.sentinels {
        sentinel.kill();
    }
    main.query::<()>(cmd("INCR").arg("a"))
        .await
        .expect("the present connection");
    let mut lease = main.lease().await.expect("another one to the same place");
    lease
        .query::<()>(cmd("INCR").arg("a"))
        .await
        .expect("a reply");
    drop(lease);
    for sentinel in &site.sentinels {
        sentinel.restart();
    }
    site.until_agreed();
    // They are listened to again, or one of them is asked within ten seconds.
    let count = fail_over(&site, &mut events, &main).await;
    assert_eq!(count, 3);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_133_without_sentinels_a_lost_primary_is_not_dialled_again() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let main = DatabaseConfig::from_url(site.url()).command_timeout(Duration::from_secs(4));
    let (supervisor, main) = spawn(main).await;
    for sentinel in &site.sentinels {
        sentinel.kill();
    }
    // It may be the primary of nothing by now.
    site.servers[0].restart();
    let told = async {
        loop {
            // The first may be lost with its connection.
            let result = main.query::<()>(cmd("GET").arg("a")).await;
            let error = result.expect_err("nobody knows the primary").to_string();
            if error.contains("none of 3 sentinels answers") {
                return error;
            }
        }
    };
    let told = tokio::time::timeout(2 * SOON, told).await;
    let error = told.expect("that is told");
    assert!(error.contains("redis+sentinel://127.0.0.1:"), "{error}");
    for sentinel in &site.sentinels {
        sentinel.restart();
    }
    supervisor.ready(SOON).await.expect("ready again");
    main.query::<()>(cmd("GET").arg("a"))
        .await
        .expect("a primary");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_134_a_first_sentinel_that_is_dead_or_hangs_does_not_delay() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let ports = |first| {
        let [_, second, third] = [0, 1, 2].map(|at: usize| site.sentinels[at].port);
        Sentinels::url_of([first, second, third], SERVICE)
    };
    site.sentinels[0].freeze();
    let connect_timeout = Duration::from_secs(20);
    for first in [free_port(), site.sentinels[0].port] {
        let main = DatabaseConfig::from_url(ports(first));
        let main = main
            .command_timeout(2 * connect_timeout)
            .connect_timeout(connect_timeout);
        let began = Instant::now();
        let (supervisor, main) = spawn(main).await;
        main.query::<()>(cmd("INCR").arg("a"))
            .await
            .expect("a reply");
        // A half of the timeout is what one sentinel may take.
        assert!(began.elapsed() < connect_timeout / 2);
        supervisor.shutdown(SOON).await;
    }
    // A database that knows no other waits for it, and finds the others later.
    let url = Sentinels::url_of([free_port(), site.sentinels[1].port], SERVICE);
    let (supervisor, _) = spawn(DatabaseConfig::from_url(url)).await;
    let third = &site.sentinels[2];
    eventually_async(SOON, "it listens to the third", || third.is_heard()).await;
    supervisor.shutdown(SOON).await;
}
