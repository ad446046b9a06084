//! Everything that touches a socket. It knows no actor, and decides nothing about retries,
//! circuits or pools: it reads settings, and reports what happened.

pub(crate) mod codec;
pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod executor;
pub(crate) mod load;
pub(crate) mod loss;
pub(crate) mod request;
pub(crate) mod transport;

mod activity;
mod alarm;
mod awaiting;
mod handshake;
mod inbox;
mod outbox;
mod pressure;
mod silence;
mod tally;

pub(crate) use activity::Activity;
pub(crate) use connection::{Connection, Established};
pub(crate) use dial::{DialError, Seen, WhileLoading, check_endpoint, dial};
pub(crate) use executor::Executor;
pub(crate) use load::{Full, Load};
pub(crate) use loss::{Ended, Loss};
pub(crate) use request::{Answer, Expected, Failure, Mailbox, Reply, Request, Responder};
pub(crate) use transport::{Connector, SocketConnector};
