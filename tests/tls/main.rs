//! Goal: connections over TLS are verified, and behave as those without it. Method: a real server with certificates that
//! the test makes. With `REDIS_TESTS_OVER_TLS` set, the other tests run over TLS as well: see `scripts/test-tls`.

#[path = "../common/mod.rs"]
mod common;

mod handshake;
mod reload;
mod site;

use std::time::Duration;

/// The bound of every wait.
const SOON: Duration = Duration::from_secs(20);
