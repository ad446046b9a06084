//! An embedded connection manager for Redis and Valkey: named databases, supervised connections,
//! circuit breakers and health events, for programs that must go on during an outage of Redis.
//!
//! An application spawns a [`Supervisor`] from a [`Config`], takes a [`Database`] handle for each named
//! database, and sends commands. Handles never have to be replaced. They work as soon as the server does.
//! While the server is away, calls fail in time, and their errors tell whether the command may have run.
//! After a restart of the server, calls succeed again within 100 ms. After a longer outage, where
//! connections were refused, they do within about a hundredth of its duration, and within 2 s at most.
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
//! | type | purpose |
//! |---|---|
//! | [`Config`], [`DatabaseConfig`] | addresses, limits and timeouts, from code, a YAML file and the environment |
//! | [`RedisDatabase`], [`PresetDatabases`] | sixteen databases that have names already |
//! | [`ServiceRegistry`] | where servers are, asked at each dial |
//! | [`Applied`], [`ConfigWatch`] | changes of the configuration while everything runs |
//! | [`Supervisor`] | start, handles, health, statistics, shutdown |
//! | [`Database`] | commands and pipelines on one named database |
//! | [`Lease`] | a connection for one caller alone |
//! | [`Loan`] | the lease and the pipeline inside of a [`transaction`](Database::transaction) |
//! | [`BlockingDatabase`], [`BlockingLease`] | the same for threads without a runtime |
//! | [`Consumer`], [`ConsumerBuilder`] | a handler for each entry of a stream, at least once |
//! | [`Front`], [`FrontBuilder`] | databases for clients in any language |
//! | [`Fallback`], [`Source`] | a store in memory during an outage, and where a reply comes from |
//! | [`MemoryServer`] | a server inside the process, at `memory://`, with faults by remote control |
//! | [`Error`], [`Execution`] | the reason of a failure, and whether the command may have run |
//! | [`HealthEvents`], [`HealthEvent`], [`HealthState`] | changes of health, and their reasons |
//! | [`SupervisorStats`], [`DatabaseStats`], [`PoolStats`] | counters and connections |
//! | `StatusPage` (feature `status-page`) | a page for operators, in any web framework |
//! | [`Execute`], [`Subscribe`], [`HandleEntry`] | commands, health and entries of streams as messages of actix actors |
//!
//! Inside, `policy` decides, `actors` sequence, `net` does; `ARCHITECTURE.md` has the picture.
//!
//! # Guarantees
//!
//! - A reply reaches the caller of its command, or no caller. Commands that would break that on a shared
//!   connection are refused before a byte is written.
//! - Every command ends by its deadline, counted from the call, while the runtime of its connection is
//!   driven. A blocking call ends at most a second later, even if that runtime is not driven.
//! - Every error tells whether the command may have run. A command runs twice only if it is read-only or
//!   marked as idempotent: see [Retries](Database#retries).
//! - A future may be dropped at any point.
//! - Queues are bounded in number and bytes. Calls beyond a bound are refused at once.
//! - No secret appears in an error, an event, a log line or a `Debug` text.
//!
//! # Feature flags
//!
//! `tls` alone is on by default.
//! - `tls`: [`Tls`], by rustls and aws-lc. `tls-ring`: the same by rustls and ring, which is smaller; it is used where
//!   `tls` is off.
//! - `serde`: `Serialize` and `Deserialize` for [`Config`] and [`DatabaseConfig`], for configurations of
//!   applications in any format; `Serialize` for statistics and health checks.
//! - `metrics`: `Supervisor::metrics`, the statistics by the `metrics` facade.
//! - `status-page`: `StatusPage`, a page that shows every database live, with a JSON snapshot, a stream of events and
//!   buttons, for any web framework.
//! - `memory-lua`: scripts in the embedded server. It brings a C build of Lua 5.1.
//!
//! `internals` opens parts of the crate to its own benches and fuzz targets. It is
//! not part of the public API and changes without notice.

mod config;

mod blocking;
mod consumer;
mod database;
mod front;
mod lease;
mod loan;
mod name;
mod preset;
mod replica;
mod shared_lease;
mod supervisor;
mod transaction;

mod applied;
mod error;
mod events;
mod execution;
mod health_check;
mod identity;
mod stats;

mod actors;
mod backend;
mod call;
mod credentials;
mod lifeline;
mod log;
mod maintenance;
mod memory;
mod messages;
#[cfg(feature = "metrics")]
mod metrics;
mod near;
mod nearest;
mod net;
mod policy;
mod pubsub;
mod registry;
mod reply_code;
mod rounded;
mod sanitize;
mod scan;
mod span;
mod state;
#[cfg(feature = "status-page")]
mod status_page;
mod thread;
mod tls;
mod watching;
mod wire;

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

pub use applied::{Applied, DatabaseChange};
pub use blocking::{BlockingDatabase, BlockingLease, BlockingSubscription};
pub use config::{
    Config, ConfigError, ConfigNote, DatabaseConfig, EnvironmentRegistry, ExplainedSetting,
    Explanation, Fallback, FilePosition, Io, Keepalive, MaintenanceNotifications, OnRecovery,
    Problem, Protocol, Service, ServiceFuture, ServiceRegistry, StaticRegistry, WhenDown,
};
pub use consumer::{
    Consumer, ConsumerBuilder, ConsumerError, ConsumerStats, HandleEntry, StartFrom, StreamEntry,
};
pub use credentials::{Credentials, CredentialsFn, CredentialsFuture, CredentialsProvider};
pub use database::Database;
pub use error::{ApplyError, CallPart, Error, Limit, StartError};
pub use events::{
    CircuitState, EndCause, Failover, GapCause, Handoff, HealthEvent, HealthEvents, HealthState,
    PubSubEvent, Reason, Recovery, TimeInState, Topic, WhenFull,
};
pub use execution::{Execution, Source, Stage};
pub use front::{Front, FrontBuilder, FrontError};
pub use health_check::{HealthCheck, Replication, ServerHealth, SupervisorHealth};
pub use lease::Lease;
pub use lifeline::ShutdownReport;
pub use loan::Loan;
pub use memory::{EvictionPolicy, MemoryEntry, MemoryListener, MemoryServer, MemoryValue};
pub use messages::{Execute, Subscribe};
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use name::DatabaseName;
pub use policy::command::{KeySlot, Refusal};
pub use preset::{PresetDatabases, RedisDatabase, UnknownRedisDatabase};
pub use pubsub::{Subscription, SubscriptionBuilder};
pub use replica::{Replica, ReplicaStatus};
pub use scan::{InvalidScanCursor, Scan, ScanCursor};
pub use shared_lease::SharedLease;
pub use stats::{
    ConsumerTotals, DatabaseStats, DurationHistogram, Encryption, Evictions, FallbackStats,
    LastError, NearCacheStats, PoolStats, SubscriptionStats, SupervisorStats,
};
#[cfg(feature = "status-page")]
pub use status_page::{StatusBody, StatusEvents, StatusPage, StatusRequest, StatusResponse};
pub use supervisor::Supervisor;
pub use tls::Tls;
pub use watching::{ConfigReload, ConfigWatch};

/// The `redis` crate, whose commands, pipelines, scripts and types work on a [`Database`].
pub use redis;
