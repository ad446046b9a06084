//! Who is let in, and what everybody else is told.

use std::time::{Duration, Instant};

use redis_steward::{Config, DatabaseConfig, Encryption, HealthState, Reason, Supervisor, Tls};

use crate::{
    SOON,
    common::{
        FaultProxy, Mode, RedisServer, certificates::Authority, eventually_async,
        version::lacks_tls,
    },
    site::{Site, echo, open, without_client_certificates},
};

/// A connection cannot be opened: the reason, and parts of what is told.
async fn fails(database: DatabaseConfig, reason: Reason, says: &[&str]) {
    let database = database.connect_timeout(Duration::from_secs(2));
    let supervisor = Supervisor::spawn(Config::new().database("main", database)).await;
    let supervisor = supervisor.expect("a valid configuration");
    let main = supervisor.database("main").expect("it is there");
    let error = main
        .with_timeout(Duration::from_secs(3))
        .query::<()>(redis::cmd("PING"))
        .await
        .expect_err("no connection");
    let is_known = || main.state().reason() == Some(reason);
    eventually_async(SOON, "the reason is known", is_known).await;
    let stats = supervisor.statistics().databases["main"].clone();
    let cause = stats.cause.expect("a cause").to_string();
    for part in says {
        assert!(
            cause.contains(part),
            "{part:?} is not in {cause:?}; {error}"
        );
    }
    let is_down = || matches!(main.state(), HealthState::Down { .. });
    eventually_async(SOON, "the circuit opens", is_down).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_good_certificate_is_accepted_in_both_versions() {
    if lacks_tls() {
        return;
    }
    for version in ["TLSv1.2", "TLSv1.3"] {
        let authority = Authority::new();
        let files = authority.issue("server", &["127.0.0.1"]);
        let site = Site::with(authority, files, |server| {
            without_client_certificates(server).arg("tls-protocols", version)
        });
        let (supervisor, main) = open(site.database()).await;
        assert_eq!(echo(&main).await.expect(version), "hello");
        let stats = &supervisor.statistics().databases["main"];
        assert_eq!(stats.encryption, Encryption::Verified);
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn a_name_and_an_authority_in_the_program_are_used() {
    if lacks_tls() {
        return;
    }
    let site = Site::new();
    let tls = Tls::new()
        .ca_pem(site.authority.pem())
        .server_name("localhost");
    let (supervisor, main) = open(DatabaseConfig::from_url(site.url()).tls(tls)).await;
    echo(&main).await.expect("it is verified");
    supervisor.shutdown(SOON).await;
    let ca = site.authority.file();
    let url = format!(
        "{}?ssl_ca_certs={}&server_name=localhost",
        site.url(),
        ca.display()
    );
    let (supervisor, main) = open(DatabaseConfig::from_url(url)).await;
    echo(&main).await.expect("it is verified");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_110_another_authority_is_not_trusted() {
    if lacks_tls() {
        return;
    }
    let site = Site::new();
    let foreign = Authority::new();
    let trusts_other = Tls::new().ca_file(foreign.file());
    let says = [
        "certificate is not accepted",
        "issuer is not known",
        "tls.ca_file",
    ];
    fails(site.database().tls(trusts_other), Reason::TlsFailed, &says).await;
    // The roots of the system do not know it either.
    fails(
        DatabaseConfig::from_url(site.url()),
        Reason::TlsFailed,
        &says[..1],
    )
    .await;
}

#[tokio::test]
async fn row_111_a_certificate_for_another_host_is_not_accepted() {
    if lacks_tls() {
        return;
    }
    let site = Site::new();
    let says = [
        "it is for 127.0.0.1, localhost, and not for cache.internal",
        "tls.server_name",
    ];
    let tls = site.tls().server_name("cache.internal");
    fails(site.database().tls(tls), Reason::TlsFailed, &says).await;
}

#[tokio::test]
async fn row_112_expired_and_self_signed_certificates_are_not_accepted() {
    if lacks_tls() {
        return;
    }
    let authority = Authority::new();
    let files = authority.issue_expired("server");
    let site = Site::with(authority, files, without_client_certificates);
    fails(site.database(), Reason::TlsFailed, &["it has expired"]).await;
    let authority = Authority::new();
    let files = authority.self_signed("server");
    let site = Site::with(authority, files, without_client_certificates);
    fails(site.database(), Reason::TlsFailed, &["issuer is not known"]).await;
}

#[tokio::test]
async fn row_113_a_server_may_ask_for_a_certificate_of_the_client() {
    if lacks_tls() {
        return;
    }
    for version in ["TLSv1.2", "TLSv1.3"] {
        let authority = Authority::new();
        let files = authority.issue("server", &["127.0.0.1"]);
        let client = authority.issue("client", &["client.internal"]);
        let site = Site::with(authority, files, |server| {
            server.arg("tls-protocols", version)
        });
        let foreign = Authority::new();
        let unknown = foreign.issue("client", &["client.internal"]);
        let unknown = site
            .tls()
            .client_certificate_files(unknown.certificate, unknown.key);
        fails(
            site.database().tls(unknown),
            Reason::Rejected,
            &["does not accept this client"],
        )
        .await;
        if version == "TLSv1.3" {
            let says = ["does not accept this client", "tls.cert_file"];
            fails(site.database(), Reason::Rejected, &says).await;
        }
        let tls = site
            .tls()
            .client_certificate_files(client.certificate, client.key);
        let (supervisor, main) = open(site.database().tls(tls)).await;
        echo(&main).await.expect("it is known");
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn row_116_tls_to_a_plain_port_and_the_reverse() {
    if lacks_tls() {
        return;
    }
    let site = Site::new();
    let plain = format!("rediss://127.0.0.1:{}", site.server.port());
    let database = DatabaseConfig::from_url(plain).tls(site.tls());
    fails(database, Reason::TlsFailed, &["does not speak TLS"]).await;
    let reverse = format!("redis://127.0.0.1:{}", site.port);
    let database = DatabaseConfig::from_url(reverse);
    fails(database, Reason::NotRedis, &["expects TLS"]).await;
}

#[tokio::test]
async fn row_114_a_handshake_that_stalls_ends_with_the_connect_timeout() {
    if lacks_tls() {
        return;
    }
    let site = Site::new();
    let proxy = FaultProxy::start(site.port);
    proxy.set(Mode::BlackHole);
    let url = format!("rediss://127.0.0.1:{}", proxy.port());
    let database = DatabaseConfig::from_url(url)
        .tls(site.tls())
        .failure_threshold(1);
    let began = Instant::now();
    fails(database, Reason::Unresponsive, &["negotiating TLS"]).await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn any_certificate_is_accepted_where_that_is_asked_for_and_shown_as_dangerous() {
    if lacks_tls() {
        return;
    }
    let authority = Authority::new();
    let files = authority.self_signed("server");
    let site = Site::with(authority, files, without_client_certificates);
    let tls = Tls::new().dangerous_accept_invalid_certificates();
    let (supervisor, main) = open(DatabaseConfig::from_url(site.url()).tls(tls)).await;
    echo(&main).await.expect("anything goes");
    let stats = supervisor.statistics();
    assert_eq!(stats.databases["main"].encryption, Encryption::Unverified);
    assert!(
        stats.to_string().contains("WITHOUT VERIFICATION"),
        "{stats}"
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn unix_sockets_and_embedded_servers_do_without() {
    let server = RedisServer::builder().unix().start();
    for url in [server.url(), "memory://".into()] {
        let database = DatabaseConfig::from_url(url).tls(Tls::new());
        let (supervisor, main) = open(database).await;
        echo(&main).await.expect("no TLS is needed");
        let stats = &supervisor.statistics().databases["main"];
        assert_eq!(stats.encryption, Encryption::Off);
        supervisor.shutdown(SOON).await;
    }
}
