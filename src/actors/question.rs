//! A question of this crate's own to the server of a database, over a connection that is open.

use std::time::Duration;

use redis::Cmd;
use tokio::time::Instant;

use crate::{
    net::{Expected, Reply, Request, Responder},
    state::DatabaseState,
};

/// The answer within so long; `None` if there is none, or no connection. It takes no room from callers, and is not
/// counted.
pub(super) async fn put(
    database: &DatabaseState,
    question: &Cmd,
    within: Duration,
) -> Option<Reply> {
    let (responder, answer) = Responder::own();
    let deadline = Instant::now() + within;
    let bytes = question.get_packed_command();
    let request = Request::new(bytes, Expected::One, deadline, responder);
    match &*database.parking.routes() {
        Some(routes) => routes.least_loaded().mailbox.send(request).ok()?,
        None => return None,
    }
    Some(answer.await.ok()?.ok()?.reply)
}
