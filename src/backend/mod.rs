//! The seam between a call and what answers it.
//!
//! A backend takes a request, which is a whole command or pipeline, and sees that it is answered. Calls
//! above it admit, classify and retry; nothing above it knows of routes, pools or sockets.

mod server;

pub(crate) use server::Server;

use std::{fmt, time::Duration};

use crate::{
    messages::Waiting,
    net::{Origin, Request},
    state::DatabaseState,
};

/// Answers the requests of a database. A request that a backend drops is answered by its responder.
pub(crate) trait Backend: Clone + fmt::Debug + Send + Sync + 'static {
    /// Takes a request, to be answered as soon as possible.
    fn send(&self, state: &DatabaseState, request: Request);

    /// Takes a request after a pause, behind what was told to it before.
    fn send_later(&self, state: &DatabaseState, request: Request, after: Duration);

    /// Lends a connection of one's own as soon as there is one.
    fn lend(&self, state: &DatabaseState, waiting: Waiting);

    /// The origin of a reply leads to the wrong server, or to one that is not ready.
    fn distrust(&self, state: &DatabaseState, origin: Origin);
}
