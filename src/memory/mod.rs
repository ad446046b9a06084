//! The embedded server: data and commands of Redis inside the process.
//!
//! - `server`, `remote_faults`: the handle that applications have · `operator`: its commands · `listener`, `pump`: sockets · `dump`: values as tests see them ·
//!   `store`: a server that its clients share · `engine`: the server as one value · `processing`: what it does with
//!   input · `local`: a client without a stream · `stream`: a client's end of a connection · `session`: a client ·
//!   `waiters`, `waits`: clients that wait for keys, or watch them · `trackers`, `tracking`, `invalidation`: clients
//!   that are told of changed keys · `channels`, `subscriptions`: subscribers · `message`: what they all are sent
//! - `glob`: patterns · `signature`, `command`: the table of commands · `categories`, `keys`: what else is known of them ·
//!   `check`: whether a command may run · `permission`: whether its user may run it · `acl/`: users and their rights ·
//!   `node`, `cluster`: a node of a cluster, and what it refuses · `context`: what a command sees · `arguments`: the words of a command · `commands/`: the
//!   commands, by family
//! - `scripts/`: scripts in Lua, with the feature `memory-lua` · `evaluation`: a script that runs
//! - `keyspace/`: the data · `hyperloglog`: estimates of counts · `settings`, `output_limits`, `statistics`, `faults`, `clock`,
//!   `client_info`

mod acl;
mod arguments;
mod categories;
mod channels;
mod check;
mod client_info;
mod clock;
mod cluster;
mod command;
mod commands;
mod context;
mod dump;
mod engine;
#[cfg(feature = "memory-lua")]
mod evaluation;
mod extended;
mod faults;
mod glob;
mod halt;
mod hyperloglog;
mod invalidation;
mod keys;
mod keyspace;
mod listener;
mod local;
mod message;
mod node;
mod operator;
mod output_limits;
mod permission;
mod processing;
mod pump;
mod remote_faults;
#[cfg(feature = "memory-lua")]
mod scripts;
mod server;
mod session;
mod settings;
mod signature;
mod statistics;
mod store;
mod stream;
mod subscriptions;
mod trackers;
mod tracking;
mod waiters;
mod waits;

// The modules here name these as their own.
use crate::wire::{number, reply, request};

pub use dump::{MemoryEntry, MemoryValue};
pub use listener::MemoryListener;
pub(crate) use local::{Held, LocalClient};
pub use server::{EvictionPolicy, MemoryServer};
pub(crate) use store::{Mode, Store};
pub(crate) use stream::MemoryStream;

#[cfg(test)]
mod tests;
