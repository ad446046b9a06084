//! A web service on redis-steward.
//!
//! `cargo run` in `examples/web_service`, on a server inside the process, or on that of `REDIS_URL`. It listens on
//! `BIND`, `127.0.0.1:8080` by default. Keys begin with `web:` and expire.
//!
//! | request | answer |
//! |---|---|
//! | `POST /sessions` with `{"user": "ada"}`, `GET` and `DELETE /sessions/ID` | a session, which ends half an hour after its last use |
//! | `GET /primes/1000` | a result that is computed once in a minute; the rate of callers is limited |
//! | `GET /updates`, `POST /updates/5` | a WebSocket that follows an experiment, and its next step |
//! | `GET /live`, `/ready`, `/health/redis` | for an orchestrator, and for people |
//! | `GET /metrics` | the statistics, for Prometheus |
//! | `GET /` | the status page |

mod exporter;
mod failure;
mod health;
mod rate_limit;
mod results;
mod sessions;
mod shutdown;
mod status;
mod updates;

use std::{env, error::Error, net::TcpListener, time::Duration};

use actix_web::{App, HttpServer, middleware::from_fn, web};
use redis_steward::{Config, DatabaseConfig, StatusPage, Supervisor};

/// Databases of one server, which have limits, circuits and statistics of their own.
fn config() -> Config {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
        "memory://web-service".into()
    });
    let database = || DatabaseConfig::from_url(url.clone()).command_timeout(Duration::from_secs(1));
    Config::new()
        .database("sessions", database())
        .database("updates", database())
        // These may fail soon: the answer is computed, or the caller let through.
        .database("results", database().failure_threshold(3))
        .database("limits", database().failure_threshold(3))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let supervisor = Supervisor::spawn(config()).await?;
    let listener = TcpListener::bind(env::var("BIND").as_deref().unwrap_or("127.0.0.1:8080"))?;
    let address = listener.local_addr()?;
    let page = StatusPage::new(&supervisor);
    let exporter = exporter::Exporter::install(&supervisor)?;
    actix_web::rt::spawn(exporter.clone().run());

    let viewers = web::Data::new(updates::Viewers::new());

    let (state, shown, followed) = (supervisor.clone(), page.clone(), viewers.clone());
    let server = HttpServer::new(move || {
        let limited = web::scope("/primes")
            .wrap(from_fn(rate_limit::limit))
            .route("/{below}", web::get().to(results::primes));
        App::new()
            .app_data(web::Data::new(state.clone()))
            .app_data(web::Data::new(shown.clone()))
            .app_data(web::Data::new(exporter.clone()))
            .app_data(followed.clone())
            .route("/live", web::get().to(health::live))
            .route("/ready", web::get().to(health::ready))
            .route("/health/redis", web::get().to(health::redis))
            .route("/metrics", web::get().to(exporter::metrics))
            .route("/sessions", web::post().to(sessions::open))
            .route("/sessions/{id}", web::get().to(sessions::read))
            .route("/sessions/{id}", web::delete().to(sessions::close))
            .route("/updates", web::get().to(updates::follow))
            .route("/updates/{step}", web::post().to(updates::publish))
            .service(limited)
            // All else is below the path of the status page.
            .default_service(web::to(status::respond))
    });
    // The end of the program is in `shutdown`.
    let server = server.disable_signals().listen(listener)?.run();
    println!("The status page is at http://{address}/");
    shutdown::run(server, page, viewers, supervisor).await
}
