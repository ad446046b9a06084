//! Health, for an orchestrator and for people.

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use redis_steward::{HealthState, Supervisor};
use serde_json::json;

/// The time that servers have to answer a health check.
const WITHIN: Duration = Duration::from_secs(2);

/// Whether this process works. A server that is away is no reason to restart it, so no server is asked.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "live": true }))
}

/// Whether requests can be expected to succeed, by what is known already: it costs no round trip. Without results or
/// limits they still do, so only the sessions matter.
pub async fn ready(supervisor: Data<Supervisor>) -> HttpResponse {
    let states = supervisor.states();
    let state = &states["sessions"];
    let is_ready = matches!(state, HealthState::Healthy | HealthState::Degraded { .. });
    answer(is_ready).json(json!({ "ready": is_ready, "sessions": state.to_string() }))
}

/// All databases, whose servers are asked now.
pub async fn redis(supervisor: Data<Supervisor>) -> HttpResponse {
    let health = supervisor.health(WITHIN).await;
    answer(health.is_ready()).json(health)
}

fn answer(is_ready: bool) -> actix_web::HttpResponseBuilder {
    if is_ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    }
}
