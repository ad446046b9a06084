//! The status page in actix-web. Mount it behind the authentication of the service.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use redis_steward::{StatusPage, StatusRequest};

/// Answers all requests below the page's path, which is `/` here. Below another one, pass what follows it.
pub async fn respond(page: Data<StatusPage>, request: HttpRequest) -> HttpResponse {
    let mut parts = StatusRequest::new(request.method().as_str(), request.path());
    parts = parts.query(request.query_string());
    for (name, value) in request.headers() {
        parts = parts.header(name.as_str(), value.as_bytes());
    }
    let response = page.respond(parts).await;
    let status = StatusCode::from_u16(response.status);
    let mut builder = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for header in response.headers {
        builder.insert_header(header);
    }
    builder.streaming(response.body)
}
