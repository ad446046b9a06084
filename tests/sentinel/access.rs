//! Sentinels that do not serve this client.

use std::time::Duration;

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, Supervisor};

use crate::{
    SOON,
    common::{Sentinels, left_out_on_embedded, spawn},
    fail_over, patient,
};

/// What a call says that cannot be served, while the circuit is closed or open.
pub(crate) async fn reason(main: DatabaseConfig) -> String {
    let main = main.command_timeout(Duration::from_secs(2));
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let main = supervisor.database("main").expect("main");
    let result = main.query::<()>(cmd("PING")).await;
    let text = result.expect_err("no primary").to_string();
    supervisor.shutdown(SOON).await;
    text
}

#[tokio::test]
async fn row_135_a_service_that_no_sentinel_knows() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let ports = site.sentinels.iter().map(|sentinel| sentinel.port);
    let text = reason(DatabaseConfig::from_url(Sentinels::url_of(ports, "other"))).await;
    let expected = "no service named other is known to 3 sentinels";
    assert!(text.contains(expected), "{text}");

    let server = Sentinels::url_of([site.servers[0].port()], "main");
    let text = reason(DatabaseConfig::from_url(server)).await;
    assert!(text.contains("it is no sentinel"), "{text}");
}

#[tokio::test]
async fn row_140_sentinels_that_permit_no_subscription() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    for sentinel in &site.sentinels {
        let forbid = ["ACL", "SETUSER", "default", "-subscribe"];
        assert_eq!(sentinel.cli(&forbid), "OK");
    }
    let (supervisor, main) = spawn(patient(site.url())).await;
    let mut events = supervisor.subscribe();
    // The question of every ten seconds finds it out, or the demotion of the old one, which drops its clients.
    let count = fail_over(&site, &mut events, &main).await;
    assert_eq!(count, 1);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_136_sentinels_with_passwords() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::with_password(Some("canary"));
    let text = reason(DatabaseConfig::from_url(site.url())).await;
    assert!(text.contains("NOAUTH"), "{text}");
    let wrong = DatabaseConfig::from_url(site.url()).sentinel_password("kanarie");
    let text = reason(wrong).await;
    assert!(
        text.contains("it refuses AUTH") && text.contains("WRONGPASS"),
        "{text}"
    );
    assert!(!text.contains("kanarie"), "{text}");

    let (supervisor, main) = spawn(patient(site.url()).sentinel_password("canary")).await;
    let mut events = supervisor.subscribe();
    main.query::<()>(cmd("INCR").arg("a"))
        .await
        .expect("a reply");
    site.until_replicated();
    let count = fail_over(&site, &mut events, &main).await;
    assert_eq!(count, 2);
    assert!(!format!("{supervisor:?} {main:?}").contains("canary"));
    supervisor.shutdown(SOON).await;
}
