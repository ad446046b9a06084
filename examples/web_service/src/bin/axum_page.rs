//! The status page in axum, below `/status`.
//!
//! `cargo run --bin axum_page` in `examples/web_service`, on a server inside the process, or on that of `REDIS_URL`. It
//! listens on `BIND`, `127.0.0.1:8081` by default.

use std::{env, error::Error};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header::HOST},
    response::Response,
    routing::any,
};
use redis_steward::{Config, StatusPage, StatusRequest, Supervisor};
use tokio::net::TcpListener;

/// Mount it behind the authentication of the service. This one has none, so it answers to its own names alone: another
/// one may be a name that a foreign site has pointed at this address.
async fn respond(State(page): State<StatusPage>, request: Request) -> Response {
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !["localhost", "127.0.0.1", "[::1]"].contains(&name) {
        let mut refused = Response::default();
        *refused.status_mut() = StatusCode::FORBIDDEN;
        return refused;
    }
    // Within `nest`, the path begins after `/status`.
    let mut parts = StatusRequest::new(request.method().as_str(), request.uri().path());
    parts = parts.query(request.uri().query().unwrap_or_default());
    for (name, value) in request.headers() {
        parts = parts.header(name.as_str(), value.as_bytes());
    }
    let response = page.respond(parts).await;
    let mut builder = Response::builder().status(response.status);
    for (name, value) in response.headers {
        builder = builder.header(name, value);
    }
    let built = builder.body(Body::from_stream(response.body));
    built.unwrap_or_else(|_| {
        let mut failed = Response::default();
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
        "memory://".into()
    });
    let supervisor = Supervisor::spawn(Config::single(url)).await?;
    let page = StatusPage::new(&supervisor);

    let below = Router::new()
        .fallback(any(respond))
        .with_state(page.clone());
    let app = Router::new().nest("/status", below);
    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:8081".into());
    let listener = TcpListener::bind(bind).await?;
    println!(
        "The status page is at http://{}/status",
        listener.local_addr()?
    );
    let ended = axum::serve(listener, app).with_graceful_shutdown(async move {
        // An error says that there are no signals; then nothing ends it.
        let _ = tokio::signal::ctrl_c().await;
        page.close_streams();
    });
    ended.await?;
    supervisor
        .shutdown(std::time::Duration::from_secs(10))
        .await;
    Ok(())
}
