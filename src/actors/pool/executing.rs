//! Commands that other actors send as messages.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use actix::{
    Context, Handler,
    dev::{MessageResponse, OneshotSender},
};
use redis::Value;

use super::PoolActor;
use crate::{
    call::{CallEngine, Overrides},
    error::Error,
    messages::Execute,
};

type Outcome = Result<Value, Error>;

/// A command under way. Unlike with a `ResponseFuture`, it is given up when the sender has gone, as a
/// call of a handle is when its future is dropped: one that blocks would otherwise keep its connection.
pub(crate) struct Executing(Pin<Box<dyn Future<Output = Outcome>>>);

impl MessageResponse<PoolActor, Execute> for Executing {
    fn handle(self, _: &mut Context<PoolActor>, sender: Option<OneshotSender<Outcome>>) {
        actix_rt::spawn(async move {
            let mut call = self.0;
            let Some(mut sender) = sender else {
                // Sent with `do_send`: the command is run, and its reply dropped.
                call.await.ok();
                return;
            };
            let outcome = poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => sender.poll_closed(cx).map(|()| None),
            });
            if let Some(outcome) = outcome.await {
                // The sender may have gone by now.
                let _ = sender.send(outcome);
            }
        });
    }
}

impl Handler<Execute> for PoolActor {
    type Result = Executing;

    fn handle(&mut self, execute: Execute, _: &mut Self::Context) -> Self::Result {
        let engine = CallEngine::new(self.state.clone());
        Executing(Box::pin(async move {
            let mut overrides = Overrides::default().with_idempotence(execute.idempotence);
            if let Some(timeout) = execute.timeout {
                overrides = overrides.with_timeout(timeout);
            }
            let options = engine.options(overrides);
            engine.execute(&execute.command, options).await
        }))
    }
}
