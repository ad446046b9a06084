//! The front: clients of Redis use the databases of a supervisor as if each were a server.
//!
//! - `builder`: the settings · `handle`: a front that runs · `listener`: where it listens · `error`: why it does
//!   not start · `multiplexed`: a client within the process
//! - `service`: what all clients share · `client`: the task of a client, `calls`: its calls · `session/`: what becomes of its requests ·
//!   `name`: commands about sessions · `transaction`: commands since MULTI · `subscription`: channels and patterns,
//!   `message`: what comes from them
//! - `answer`: replies as they are written · `shape`: their shapes in RESP2 and RESP3 · `failure`: errors

mod answer;
mod builder;
mod calls;
mod client;
mod error;
mod failure;
mod handle;
mod listener;
mod message;
mod multiplexed;
mod name;
mod service;
mod session;
mod shape;
mod subscription;
mod transaction;

pub use builder::FrontBuilder;
pub use error::FrontError;
pub use handle::Front;
