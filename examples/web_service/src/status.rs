//! The status page in actix-web.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::HOST},
    web::Data,
};
use redis_steward::{StatusPage, StatusRequest};

/// Answers all requests below the page's path, which is `/` here. Below another one, pass what follows it.
pub async fn respond(page: Data<StatusPage>, request: HttpRequest) -> HttpResponse {
    if !is_permitted(&request) {
        return HttpResponse::Forbidden().finish();
    }
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

/// Stands for the authentication of a service, which this one has not: the page is for browsers on this machine, that ask
/// for it by one of its own names. Another name may be one that a foreign site has pointed at this address.
fn is_permitted(request: &HttpRequest) -> bool {
    let is_local = request
        .peer_addr()
        .is_some_and(|peer| peer.ip().is_loopback());
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    is_local && ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}
