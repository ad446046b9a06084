//! Files that change while connections use them.

use std::fs;

use redis::cmd;

use crate::{
    SOON,
    common::{
        certificates::{Authority, replace, replace_file},
        eventually_async,
        log_capture::LogCapture,
        version::lacks_tls,
    },
    site::{Site, echo, open},
};

#[tokio::test]
async fn a_new_authority_is_trusted_by_new_connections() {
    if lacks_tls() {
        return;
    }
    let site = Site::new();
    let (supervisor, main) = open(site.database().failure_threshold(100)).await;
    echo(&main).await.expect("verified");
    let renewed = Authority::new();
    let files = renewed.issue("server", &["127.0.0.1"]);
    replace(&site.files, &files);
    replace_file(&site.authority.file(), renewed.pem().as_bytes());
    site.server.restart();
    let is_back = || main.state() == redis_steward::HealthState::Healthy;
    eventually_async(SOON, "it is verified by the new one", is_back).await;
    echo(&main).await.expect("verified");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told_once_and_the_former_ones_stay() {
    if lacks_tls() {
        return;
    }
    LogCapture::start();
    let authority = Authority::new();
    let files = authority.issue("server", &["127.0.0.1"]);
    let client = authority.issue("client", &["client.internal"]);
    let next = authority.issue("next", &["client.internal"]);
    let site = Site::with(authority, files, |server| server);
    let tls = site
        .tls()
        .client_certificate_files(&client.certificate, &client.key);
    let database = site.database().tls(tls);
    let config = redis_steward::Config::new().database("renewed", database);
    let supervisor = redis_steward::Supervisor::spawn(config)
        .await
        .expect("valid");
    let main = supervisor.database("renewed").expect("it is there");
    echo(&main).await.expect("known");

    // Tools replace one file after the other.
    replace_file(
        &client.certificate,
        &fs::read(&next.certificate).expect("a file"),
    );
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(main.lease().await.expect("the former pair is used"));
    }
    let told = || LogCapture::events("renewed", "changed certificates are not used");
    eventually_async(SOON, "it is told", || told().len() == 1).await;
    assert!(
        told()[0]
            .get("message")
            .contains("the key is not that of the certificate"),
        "{:?}",
        told()
    );

    replace_file(&client.key, &fs::read(&next.key).expect("a file"));
    let mut lease = main.lease().await.expect("the new pair is used");
    lease.query::<()>(cmd("PING")).await.expect("it works");
    drop((lease, leases));
    assert_eq!(told().len(), 1, "{:?}", told());
    supervisor.shutdown(SOON).await;
}
