//! Goal: libraries that name a connection of the redis crate work on a handle. Method: a queue that takes a
//! `MultiplexedConnection`, from `Database::multiplexed`; a pool that connects by itself, to a front.

use redis::AsyncCommands;
use rsmq_async::{Rsmq, RsmqConnection};

use crate::{
    common::eventually_async,
    site::{SOON, Site},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_rsmq_survives_an_outage_on_a_handle() {
    let site = Site::start().await;
    let connection = site.main.multiplexed().await.expect("a connection");
    let queue = Rsmq::new_with_connection(connection.clone(), false, None).await;
    let mut queue = queue.expect("a queue");
    queue
        .create_queue("jobs", None, None, None)
        .await
        .expect("created");
    for number in 0..10 {
        let text = format!("job {number}");
        queue.send_message("jobs", text, None).await.expect("sent");
    }
    site.server.cli(&["SAVE"]);
    site.server.kill();
    let refused = queue.send_message("jobs", "lost", None).await;
    assert!(refused.is_err());
    site.server.restart();
    site.supervisor
        .ready(SOON)
        .await
        .expect("the server is back");
    // The server has lost its scripts, which the library loads when a queue is made; the connection is the same.
    let queue = Rsmq::new_with_connection(connection, false, None).await;
    let mut queue = queue.expect("a queue");
    for number in 0..10 {
        let message = queue
            .pop_message::<String>("jobs")
            .await
            .expect("an answer");
        assert_eq!(message.expect("a job").message, format!("job {number}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_deadpool_works_over_the_front() {
    let mut site = Site::start().await;
    let config = deadpool_redis::Config::from_url(site.url());
    let pool = config
        .create_pool(Some(deadpool_redis::Runtime::Tokio1))
        .expect("a pool");
    for number in 0..20 {
        let mut connection = pool.get().await.expect("a connection");
        let () = connection.set("a", number).await.expect("OK");
    }
    site.restart_front().await;
    let again = async {
        loop {
            if let Ok(mut connection) = pool.get().await
                && connection.get::<_, i64>("a").await.is_ok()
            {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, again)
        .await
        .expect("it connects again");
    let is_idle = || site.supervisor.statistics().databases["main"].in_flight == 0;
    eventually_async(SOON, "nothing is left", is_idle).await;
}
