//! A limit on the rate of each caller, kept by a script, so that count and time are one step.

use std::sync::LazyLock;

use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use redis::{RedisError, Script};
use redis_steward::Supervisor;
use serde_json::json;

const AT_MOST: u64 = 20;
const WINDOW_MS: u64 = 10_000;

/// Returns how many calls there were in the window, and for how many milliseconds it lasts.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local count = redis.call('INCR', KEYS[1])
         if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
         return {count, redis.call('PTTL', KEYS[1])}",
    )
});

/// Refuses a caller with more than 20 requests in 10 s. It fails open: while Redis is away, work matters more than the
/// limit.
pub async fn limit(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // Behind a proxy, all callers have its address: take the header that it sets.
    let caller = request.peer_addr().map(|peer| peer.ip().to_string());
    let counted = match (caller, request.app_data::<Data<Supervisor>>()) {
        (Some(caller), Some(supervisor)) => count(supervisor, &caller).await,
        _ => return next.call(request).await,
    };
    match counted {
        Ok((calls, left_ms)) if calls > AT_MOST => {
            let refused = HttpResponse::TooManyRequests()
                .insert_header(("retry-after", left_ms.div_ceil(1_000).to_string()))
                .json(json!({ "error": "too many requests" }));
            Ok(request.into_response(refused))
        }
        _ => next.call(request).await,
    }
}

async fn count(supervisor: &Supervisor, caller: &str) -> Result<(u64, u64), RedisError> {
    let mut limits = supervisor.database("limits")?;
    let key = format!("web:limit:{caller}");
    let mut call = COUNT.key(key);
    call.arg(WINDOW_MS).invoke_async(&mut limits).await
}
