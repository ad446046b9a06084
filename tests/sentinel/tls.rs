//! Sentinels and servers that are reached by TLS.

use redis::cmd;
use redis_steward::DatabaseConfig;

use crate::{
    SOON,
    access::reason,
    common::{RedisServer, left_out_on_embedded, sentinels::Sentinel, spawn, version::lacks_tls},
    patient,
};

#[tokio::test]
async fn row_141_sentinels_and_server_over_tls() {
    if left_out_on_embedded() {
        return;
    }
    if lacks_tls() {
        return;
    }
    let server = RedisServer::builder().tls().start();
    let sentinel = Sentinel::over_tls(&server);
    let (supervisor, main) = spawn(patient(sentinel.tls_url())).await;
    main.query::<()>(cmd("INCR").arg("a"))
        .await
        .expect("a reply");
    assert_eq!(server.cli(&["GET", "a"]), "1");
    supervisor.shutdown(SOON).await;

    let url = sentinel.tls_url();
    let (without_ca, _) = url.split_once('?').expect("an authority");
    let text = reason(DatabaseConfig::from_url(without_ca)).await;
    assert!(
        text.contains("does not answer") && text.contains("certificate"),
        "{text}"
    );
}
