//! A database that gets sentinels while it runs, and loses them again.

use redis_steward::Config;

use crate::{
    SOON, address,
    common::{Sentinels, eventually_async, left_out_on_embedded, spawn},
    failover, patient,
    writers::Writers,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moves_to_sentinels_and_back_under_load() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let old = &site.servers[0];
    let (supervisor, main) = spawn(patient(old.url())).await;
    let mut events = supervisor.subscribe();
    let writers = Writers::on(&main);
    writers.go_on().await;
    let apply = async |url: String| {
        let config = Config::new().database("main", patient(url));
        let applied = supervisor.apply(config).await.expect("a valid change");
        assert_eq!(applied.databases.len(), 1);
    };
    apply(site.url()).await;
    writers.go_on().await;
    for sentinel in &site.sentinels {
        let is_heard = || sentinel.is_heard();
        eventually_async(SOON, "it is listened to", is_heard).await;
    }
    site.fail_over();
    let told = failover(&mut events).await;
    writers.go_on().await;
    let new = site.primary_after(old.port());
    assert_eq!(*told.to, address(new.port()));
    apply(new.url()).await;
    writers.go_on().await;
    for sentinel in &site.sentinels {
        let is_left = || !sentinel.is_heard();
        eventually_async(SOON, "nobody listens", is_left).await;
    }
    assert_eq!(writers.end().await.refusals, Vec::<String>::new());
    supervisor.shutdown(SOON).await;
}
