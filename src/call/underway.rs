//! A plain command that a front has handed over for a client. A client has many under way, and mostly the first
//! attempt succeeds, so that a future for each would cost more than the command.

use std::task::{Context, Poll};

use redis::{Cmd, Value};

use super::{CallEngine, CallOptions, plain::Sent};
use crate::{
    backend::{Backend, Server},
    error::Error,
    net::Answer,
};

/// A command whose first attempt is under way. Dropping it cancels the call.
pub(crate) struct Underway<B = Server> {
    engine: CallEngine<B>,
    command: Cmd,
    options: CallOptions,
    sent: Sent<B>,
}

impl<B: Backend> CallEngine<B> {
    /// Hands a command over, if nothing stands in its way. Otherwise it comes back, and takes a call.
    pub(crate) fn underway(&self, command: Cmd, options: CallOptions) -> Result<Underway<B>, Cmd> {
        let class = self.class(&command);
        if options.is_in_cluster || !self.is_in_turn(class) {
            return Err(command);
        }
        match self.begin(&command, class, &options) {
            Some(sent) => Ok(Underway {
                engine: self.clone(),
                command,
                options,
                sent,
            }),
            None => Err(command),
        }
    }
}

impl<B: Backend> Underway<B> {
    /// The reply, or the answer with which [`go_on`](Self::go_on) goes on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Value, Answer>> {
        self.sent.poll(&self.engine, cx)
    }

    /// Classifies an answer that is no good reply, and makes more attempts where that is safe.
    pub(crate) async fn go_on(self, answer: Answer) -> Result<Value, Error> {
        let Self {
            engine,
            command,
            options,
            sent,
        } = self;
        let ended = engine.go_on(&command, &options, sent, answer).await;
        Ok(ended?.0)
    }
}
