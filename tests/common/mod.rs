//! Fixtures shared by the integration tests: a real server, two faulty peers, and counts of this
//! process. Each test starts its own fixtures.
//!
//! - [`server`]: a real redis-server as a child process; [`launch`] starts it,
//!   [`inspect`] asks it about itself and its clients
//! - [`proxy`]: a TCP proxy that delays, cuts and swallows on command, in front
//!   of such a server; [`relay`] and [`pump`] are its parts
//! - [`scripted`]: a peer that plays a [`script`] of the test
//! - [`sentinels`]: a service of Redis Sentinel: a primary, two replicas and three sentinels
//! - [`cluster`]: a Redis Cluster of such servers; [`resharding`] moves its
//!   slots, [`forwarding`] puts proxies in front of its nodes, and
//!   [`cluster_view`] is what a node says of it
//! - [`steward`]: a supervisor under test
//! - [`certificates`]: certificates that a test makes; [`over_tls`] uses them for servers of all tests
//! - [`resp`]: RESP for the fixtures
//! - [`embedded`]: the tests that are left out on the embedded server
//! - [`impatient_caller`]: a caller that cancels some of its calls
//! - [`ports`]: TCP ports that stay free while their server is down
//! - [`log_capture`]: the log of the crate
//! - [`proc`]: threads, sockets and memory of this process
//! - [`version`]: the version of the server, and features that an older one lacks
//! - [`wait`]: waiting for a condition, the only place that sleeps

// Every test binary compiles this module and uses a part of it. Nothing is exported, so `pub` means:
// for the tests.
#![allow(dead_code, unused_imports, unreachable_pub)]

pub mod certificates;
pub mod cluster;
pub mod cluster_view;
pub mod embedded;
mod forwarding;
pub mod impatient_caller;
pub mod inspect;
pub mod launch;
pub mod log_capture;
pub mod over_tls;
pub mod ports;
pub mod proc;
pub mod proxy;
mod pump;
mod relay;
mod resharding;
pub mod resp;
pub mod script;
pub mod scripted;
pub mod sentinels;
pub mod server;
pub mod steward;
pub mod version;
pub mod wait;

pub use cluster::Cluster;
pub use impatient_caller::ImpatientCaller;
pub use log_capture::{LogCapture, LogEvent};
pub use proxy::{FaultProxy, Mode};
pub use resp::Reply;
pub use script::Script;
pub use scripted::ScriptedServer;
pub use sentinels::Sentinels;
pub use server::RedisServer;
pub use steward::{Rig, spawn, words};
pub use version::{left_out_on_embedded, older_than, silent_while_loading, skip_notice, version};
pub use wait::{eventually, eventually_asked, eventually_async};
