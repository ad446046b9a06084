//! A plain command that a front has handed over for a client. A client has many under way, and mostly the first
//! attempt succeeds, so that a future for each would cost more than the command.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use oneshot::AsyncReceiver;
use redis::{Cmd, Value};

use super::{
    CallEngine, CallOptions,
    attempts::Attempt,
    received,
    work::{Single, Work},
};
use crate::{
    backend::{Backend, Server},
    error::Error,
    net::Answer,
    policy::command::{Class, Place},
    state::clock,
};

/// A command whose first attempt is under way. Dropping it cancels the call.
pub(crate) struct Underway<B = Server> {
    engine: CallEngine<B>,
    command: Cmd,
    class: Class,
    options: CallOptions,
    attempt: Attempt,
    answer: AsyncReceiver<Answer>,
}

impl<B: Backend> CallEngine<B> {
    /// Hands a command over, if nothing stands in its way. Otherwise it comes back, and takes a call.
    pub(crate) fn begin(&self, command: Cmd, options: CallOptions) -> Result<Underway<B>, Cmd> {
        if options.is_in_cluster || options.remembers || options.is_to_be_traced() {
            return Err(command);
        }
        let class = self.class(&command);
        // Refusals are left to the call, which counts them.
        if class.place(options.allow_admin) != Place::Shared || !self.is_in_turn(class) {
            return Err(command);
        }
        let began = clock::now();
        let deadline = options.end(began);
        let Ok(admitted) = self.state.gate.try_enter() else {
            return Err(command);
        };
        let work = Single {
            command: &command,
            class,
        };
        let sent = self.send(
            work.pack(),
            work.may_be_large(),
            &options,
            (began, deadline),
            |request| self.backend.send(&self.state, request),
        );
        match sent {
            Ok(answer) => Ok(Underway {
                engine: self.clone(),
                command,
                class,
                options,
                attempt: Attempt {
                    admitted,
                    began,
                    deadline,
                },
                answer,
            }),
            // The call will say which limit it was.
            Err(_) => Err(command),
        }
    }
}

impl<B: Backend> Underway<B> {
    /// The reply, or the answer with which [`go_on`](Self::go_on) goes on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Value, Answer>> {
        Pin::new(&mut self.answer)
            .poll(cx)
            .map(|answer| match received(answer) {
                Ok(answered) if !answered.reply.has_error() => {
                    self.engine.succeeded(&self.attempt.admitted);
                    Ok(answered.reply.into_one())
                }
                answer => Err(answer),
            })
    }

    /// Classifies an answer that is no good reply, and makes more attempts where that is safe.
    pub(crate) async fn go_on(self, answer: Answer) -> Result<Value, Error> {
        let work = Single {
            command: &self.command,
            class: self.class,
        };
        let ended = self
            .engine
            .call_again(&work, &self.options, self.attempt, answer)
            .await;
        Ok(ended?.0.into_one())
    }
}
