//! An embedded connection manager for Redis and Valkey: named databases, supervised connections,
//! circuit breakers and health events, for programs that must go on when Redis does not.
//!
//! An application spawns a [`Supervisor`] at start-up, takes a [`Database`] handle for each database
//! that it has named, and sends commands. Handles never need to be replaced: they start to work
//! when the server does, fail in time and truthfully while it is away, and work again a moment after
//! its return: within 100 ms after a restart, and within about a hundredth of a longer outage,
//! where connections were refused meanwhile.
//!
//! ```no_run
//! use redis_steward::{Config, Supervisor};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let supervisor = Supervisor::spawn(Config::single("redis://localhost")).await?;
//!     let main = supervisor.database("main")?;
//!     let visits: i64 = main.query(redis::cmd("INCR").arg("visits")).await?;
//!     println!("visit number {visits}");
//!     Ok(())
//! }
//! ```
//!
//! # Layout
//!
//! - [`Config`], [`DatabaseConfig`]: what to connect to, and how
//! - [`Supervisor`]: spawn, handles, health, statistics, shutdown
//! - [`Database`]: the handle of one named database
//! - [`Lease`]: a connection that one caller has for a while; [`Loan`], in a transaction
//! - [`BlockingDatabase`], [`BlockingLease`]: the same for threads without a runtime
//! - [`HealthEvents`], [`HealthEvent`], [`HealthState`]: what becomes of it
//! - [`Error`]: why a command failed, and whether it may have run
//! - [`SupervisorStats`]: what happened so far
//! - [`Execute`], [`Subscribe`]: the same for other actix actors
//!
//! Inside, `policy` decides, `actors` sequence, `net` does; `ARCHITECTURE.md` has the picture.
//!
//! # Guarantees
//!
//! - A reply reaches the caller of its command or nobody. Commands that would break that on a shared
//!   connection are refused before a byte is written.
//! - Every command ends by its deadline, counted from the call, while the runtime that its
//!   connection runs on is driven. A blocking call ends a second later even if it is not.
//! - Every error tells whether the command may have run. Only what may run twice is ever run twice:
//!   see [`Database`].
//! - Dropping a future is safe at any point.
//! - Queues are bounded by number and by bytes; what does not fit is refused at once.
//! - No secret appears in an error, an event, a log line or a `Debug` text.

mod config;

mod blocking;
mod database;
mod lease;
mod loan;
mod supervisor;
mod transaction;

mod error;
mod events;
mod execution;
mod stats;

mod actors;
mod backend;
mod call;
mod lifeline;
mod messages;
mod net;
mod policy;
mod registry;
mod sanitize;
mod state;
mod thread;

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;

/// The README's examples are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// The fixtures are shared with the integration tests, which know this crate by its name.
#[cfg(test)]
extern crate self as redis_steward;

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;

pub use blocking::{BlockingDatabase, BlockingLease};
pub use config::{Config, ConfigError, DatabaseConfig, Io, Keepalive, Problem};
pub use database::Database;
pub use error::{Error, Limit, StartError};
pub use events::{CircuitState, HealthEvent, HealthEvents, HealthState, Reason};
pub use execution::{Execution, Stage};
pub use lease::Lease;
pub use lifeline::ShutdownReport;
pub use loan::Loan;
pub use messages::{Execute, Subscribe};
pub use policy::command::Refusal;
pub use stats::{DatabaseStats, Evictions, PoolStats, SupervisorStats, WaitHistogram};
pub use supervisor::Supervisor;

/// The `redis` crate, whose commands, pipelines, scripts and types work on a [`Database`].
pub use redis;
