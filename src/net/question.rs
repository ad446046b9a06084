//! A question of this crate's own, over a connection that is open.

use redis::Cmd;
use tokio::time::Instant;

use super::request::{Answer, Expected, Mailbox, Request, Responder};

/// The answer until this deadline; `None` if the connection has ended. It takes no room from callers, and is not counted.
pub(crate) async fn put_question(
    mailbox: &Mailbox,
    question: &Cmd,
    deadline: Instant,
) -> Option<Answer> {
    let (responder, answer) = Responder::own();
    let bytes = question.get_packed_command();
    let request = Request::new(bytes, Expected::One, deadline, responder);
    mailbox.send(request).ok()?;
    answer.await.ok()
}
