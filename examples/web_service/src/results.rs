//! Results that are expensive, kept for a minute.

use actix_web::{
    HttpResponse,
    web::{Data, Path, block},
};
use redis_steward::{Database, Error, Supervisor};
use serde_json::json;

use crate::failure::Failure;

const SECONDS: u64 = 60;
const AT_MOST: u32 = 2_000_000;

/// `GET /primes/BELOW`: how many primes there are. The header `x-cache` tells where the answer is from; without Redis it is
/// computed each time.
pub async fn primes(
    supervisor: Data<Supervisor>,
    below: Path<u32>,
) -> Result<HttpResponse, Failure> {
    let below = below.into_inner().min(AT_MOST);
    let results = supervisor.database("results")?;
    let key = format!("web:primes:{below}");
    let kept: Result<Option<u64>, Error> = results.query(redis::cmd("GET").arg(&key)).await;
    let (primes, source) = match kept {
        Ok(Some(primes)) => (Some(primes), "hit"),
        Ok(None) => (keep(&results, &key, below).await, "miss"),
        Err(_) => (compute(below).await, "away"),
    };
    Ok(match primes {
        Some(primes) => HttpResponse::Ok()
            .insert_header(("x-cache", source))
            .json(json!({ "below": below, "primes": primes })),
        // The pool of threads is shutting down.
        None => HttpResponse::ServiceUnavailable().finish(),
    })
}

async fn keep(results: &Database, key: &str, below: u32) -> Option<u64> {
    let primes = compute(below).await?;
    let set = redis::cmd("SET")
        .arg(key)
        .arg(primes)
        .arg("EX")
        .arg(SECONDS)
        .take();
    // A result that could not be kept is an answer all the same, and the statistics have the failure.
    let _ = results.idempotent().query::<()>(set).await;
    Some(primes)
}

async fn compute(below: u32) -> Option<u64> {
    block(move || count_primes(below as usize)).await.ok()
}

/// The sieve of Eratosthenes.
fn count_primes(below: usize) -> u64 {
    let mut is_composite = vec![false; below];
    let mut primes = 0;
    for number in 2..below {
        if is_composite[number] {
            continue;
        }
        primes += 1;
        for multiple in (number * number..below).step_by(number) {
            is_composite[multiple] = true;
        }
    }
    primes
}
