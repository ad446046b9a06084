//! Faults that retries or circuit breakers could make worse.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use redis::cmd;
use redis_steward::{CircuitState, DatabaseConfig, Error};

use crate::{
    SOON,
    common::{RedisServer, Script, ScriptedServer, eventually_async, spawn},
    stats, until_open,
};

#[tokio::test]
async fn row_48_retry_storm() {
    let server = ScriptedServer::start([Script::answering(|_| b"-TRYAGAIN never\r\n".to_vec())]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let start = Instant::now();
    let calls = 2_000;
    for _ in 0..calls {
        let result = main.query::<()>(cmd("GET").arg("k")).await;
        assert_eq!(result.expect_err("refused").code(), Some("TRYAGAIN"));
    }
    let attempts = server.count("GET") as f64;
    let bound = 1.2 * f64::from(calls) + 10.0 * (start.elapsed().as_secs_f64() + 1.0);
    assert!(attempts <= bound, "{attempts} attempts, {bound} permitted");
    assert!(attempts >= 1.15 * f64::from(calls), "the budget is used");
    let stats = stats(&supervisor);
    assert!(stats.retries_denied > 0);
    assert_eq!(stats.commands(), calls as u64);
    supervisor.shutdown(SOON).await;
}

/// Cancelled trial calls must neither close the circuit nor keep it half-open.
#[tokio::test]
async fn row_49_stuck_half_open() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url()).failure_threshold(1);
    let (supervisor, main) = spawn(main).await;
    let get = cmd("GET").arg("k").take();
    for _ in 0..5 {
        server.kill();
        until_open(&supervisor).await;
        server.restart();
        // From here on every call that the circuit admits is cancelled.
        let is_closed = || stats(&supervisor).circuit == CircuitState::Closed;
        let calls_and_looks = || {
            let call = Box::pin(main.query::<Option<String>>(&get)).now_or_never();
            if let Some(Err(error)) = call {
                assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
            }
            is_closed()
        };
        eventually_async(SOON, "it closes", calls_and_looks).await;
        let value: Option<String> = main.query(&get).await.expect("it works");
        assert_eq!(value, None);
    }
    let is_settled = || stats(&supervisor).in_flight == 0;
    eventually_async(Duration::from_secs(10), "nothing is in flight", is_settled).await;
    supervisor.shutdown(SOON).await;
}
