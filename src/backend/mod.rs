//! The seam between a call and its server.
//!
//! A backend takes a request, which is a whole command or pipeline, and ensures that it is answered.
//! Calls admit, classify and retry above it; nothing above it knows of routes, pools or sockets.

mod server;

pub(crate) use server::Server;

use std::{fmt, time::Duration};

use crate::{
    messages::Waiting,
    net::{Origin, Request},
    state::DatabaseState,
};

/// Answers the requests of a database. If a backend drops a request, the request's responder answers.
pub(crate) trait Backend: Clone + fmt::Debug + Send + Sync + 'static {
    /// Takes a request, to be answered as soon as possible.
    fn send(&self, state: &DatabaseState, request: Request);

    /// Takes a request to be sent after a pause, unless the circuit is open by then.
    fn send_later(&self, state: &DatabaseState, request: Request, pause: Duration);

    /// Stops using the origin of a reply, which leads to the wrong server or to one that is not ready, and takes
    /// a request to be sent when that is done.
    fn send_elsewhere(&self, state: &DatabaseState, request: Request, origin: Origin);

    /// Lends an exclusive connection as soon as there is one.
    fn lend(&self, state: &DatabaseState, waiting: Waiting);
}
