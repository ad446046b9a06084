//! All code that touches sockets. It knows no actor, and decides nothing about retries, circuits or pools:
//! it reads settings and reports results.

pub(crate) mod codec;
pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod executor;
pub(crate) mod in_flight;
pub(crate) mod locate;
pub(crate) mod redirects;
mod reply;
mod request;
pub(crate) mod resolver;
pub(crate) mod sentinel;
pub(crate) mod subscriber;
pub(crate) mod transport;

mod client_id;
mod close;
mod cluster;
mod confirmation;
#[cfg(test)]
pub(crate) mod hanging_names;
mod negotiation;
mod nodes;
mod question;
mod race;
#[cfg(feature = "__tls")]
mod tls;

pub(crate) use client_id::ClientId;
pub(crate) use close::CloseReason;
pub(crate) use cluster::{has_primary, read_epoch, read_slots};
pub(crate) use confirmation::Confirmation;
pub(crate) use connection::{
    Activity, Connection, ConnectionExit, Latencies, Link, PushInlet, PushSink, PushSlot, Tally,
    TallySink, UnsentSink,
};
pub(crate) use dial::{
    DialError, Dialler, Established, LoginNote, ServerInfo, ServerProgram, WhileLoading,
    WhileMoving,
};
pub(crate) use executor::Executor;
pub(crate) use in_flight::{AtLimit, Full, InFlight, OfNode};
#[cfg(any(test, feature = "internals"))]
pub(crate) use locate::FixedAddress;
pub(crate) use locate::Services;
pub(crate) use question::put_question;
pub(crate) use redirects::{Redirected, Redirects};
pub(crate) use reply::Reply;
pub(crate) use request::{
    Answer, Answered, Expected, Failure, Mailbox, Origin, Request, Responder,
};
pub(crate) use sentinel::{Service as SentinelService, follow as follow_service};
pub(crate) use subscriber::{Heard, SubscriberConnection};
pub(crate) use transport::{Connector, SocketConnector};
