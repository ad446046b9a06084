//! A question of this crate's own to the server of a database, over a connection that is open.

use std::time::Duration;

use redis::Cmd;
use tokio::time::Instant;

use crate::{
    net::{Reply, put_question},
    state::DatabaseState,
};

/// The answer within so long; `None` if there is none, or no connection. It takes no room from callers, and is not
/// counted.
pub(super) async fn put(
    database: &DatabaseState,
    question: &Cmd,
    within: Duration,
) -> Option<Reply> {
    let mailbox = {
        let routes = database.parking.routes();
        routes.as_ref()?.least_loaded().mailbox.clone()
    };
    let answer = put_question(&mailbox, question, Instant::now() + within).await;
    Some(answer?.ok()?.reply)
}
