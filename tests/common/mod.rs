//! What the integration tests share: a real server, two peers that misbehave,
//! and eyes on this process. Each test starts its own; nothing is global.
//!
//! - [`server`]: a real redis-server as a child process; [`launch`] starts it,
//!   [`inspect`] asks it about itself and its clients
//! - [`proxy`]: a TCP proxy that delays, cuts and swallows on command, in front
//!   of such a server; [`relay`] and [`pump`] are its inside
//! - [`scripted`]: a peer that says what a test's [`script`] tells it to say
//! - [`steward`]: a supervisor under test
//! - [`resp`]: just enough RESP for the fixtures themselves
//! - [`patience`]: callers that give up
//! - [`ports`]: TCP ports that nobody takes while their server is down
//! - [`said`]: what the crate says in its log
//! - [`proc`]: threads, sockets and memory of this process
//! - [`version`]: which server this is, and what a test cannot ask of an older one
//! - [`wait`]: waiting for a condition, the only place that sleeps

// Every test binary compiles all of this and uses a part of it; and as it
// exports nothing, `pub` here can only mean: for the tests.
#![allow(dead_code, unused_imports, unreachable_pub)]

pub mod inspect;
pub mod launch;
pub mod patience;
pub mod ports;
pub mod proc;
pub mod proxy;
mod pump;
mod relay;
pub mod resp;
pub mod said;
pub mod script;
pub mod scripted;
pub mod server;
pub mod steward;
pub mod version;
pub mod wait;

pub use patience::Patience;
pub use proxy::{FaultProxy, Mode};
pub use resp::Reply;
pub use said::Said;
pub use script::Script;
pub use scripted::ScriptedServer;
pub use server::RedisServer;
pub use steward::{Rig, spawn, words};
pub use version::{older_than, silent_while_loading, skip_notice, version};
pub use wait::{eventually, eventually_async};
