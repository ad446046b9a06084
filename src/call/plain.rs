//! Plain commands, which most are: nothing has to be waited for before the hand-over, and the first attempt succeeds. Their
//! future is small, because each call moves it, and most callers have it in a box of its own.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use oneshot::AsyncReceiver;
use redis::{Cmd, Value};

use super::{CallEngine, CallOptions, attempts::Attempt, received, work::Single};
use crate::{
    backend::Backend,
    error::Error,
    execution::Source,
    net::Answer,
    policy::command::{Class, Place},
    state::clock,
};

/// A request that was handed over.
pub(super) struct Sent<B> {
    /// The node of a cluster that it was handed to.
    node: Option<CallEngine<B>>,
    /// What is known of commands that are on no list may be forgotten before the answer comes.
    class: Class,
    attempt: Attempt,
    answer: AsyncReceiver<Answer>,
}

impl<B: Backend> Sent<B> {
    /// The same, which was handed to this node of a cluster.
    pub(super) fn by(self, node: CallEngine<B>) -> Self {
        Self {
            node: Some(node),
            ..self
        }
    }

    /// The reply, or the answer with which [`go_on`](CallEngine::go_on) goes on.
    #[inline]
    pub(super) fn poll(
        &mut self,
        engine: &CallEngine<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Value, Answer>> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(match received(answer) {
            Ok(answered) if !answered.reply.has_error() => {
                let engine = self.node.as_ref().unwrap_or(engine);
                engine.succeeded(&self.attempt.admitted);
                Ok(answered.reply.into_one())
            }
            answer => Err(answer),
        })
    }
}

impl<B: Backend> CallEngine<B> {
    /// Runs one command, and tells where its reply comes from.
    pub(crate) async fn execute_from(
        &self,
        command: &Cmd,
        options: &CallOptions,
    ) -> Result<(Value, Source), Error> {
        let Some(mut sent) = self.begin(command, self.class(command), options) else {
            return Box::pin(self.execute_otherwise(command, *options)).await;
        };
        match poll_fn(|cx| sent.poll(self, cx)).await {
            Ok(reply) => Ok((reply, Source::Redis)),
            Err(answer) => Box::pin(self.go_on(command, options, sent, answer)).await,
        }
    }

    /// Hands over a plain command. `None` if it is none, or if it has to wait or to be refused.
    pub(super) fn begin(
        &self,
        command: &Cmd,
        class: Class,
        options: &CallOptions,
    ) -> Option<Sent<B>> {
        if options.has_near_cache
            || options.is_to_be_traced()
            || options.is_to_be_watched()
            || command.is_no_response()
        {
            return None;
        }
        if class == Class::Unknown
            || class.place(options.allow_admin) != Place::Shared
            || class.looks_back()
        {
            return None;
        }
        let work = Single { command, class };
        if options.is_in_cluster {
            return self.begin_at_node(&work, options);
        }
        self.hand_first(&work, options)
    }

    /// Makes the first attempt, if the gate is open and there is room.
    #[inline]
    pub(super) fn hand_first(&self, work: &Single<'_>, options: &CallOptions) -> Option<Sent<B>> {
        let began = options.began.unwrap_or_else(clock::now);
        let deadline = options.end(began);
        let admitted = self.state.gate.try_enter().ok()?;
        let answer = self.hand(work, options, (began, deadline)).ok()?;
        Some(Sent {
            node: None,
            class: work.class,
            attempt: Attempt {
                admitted,
                began,
                deadline,
            },
            answer,
        })
    }

    /// Goes on with a plain command whose first attempt has not succeeded.
    pub(super) async fn go_on(
        &self,
        command: &Cmd,
        options: &CallOptions,
        sent: Sent<B>,
        answer: Answer,
    ) -> Result<(Value, Source), Error> {
        let Sent {
            node,
            class,
            attempt,
            ..
        } = sent;
        let work = Single { command, class };
        let Some(node) = node else {
            let (reply, attempts) = self.call_again(&work, options, attempt, answer).await?;
            return Ok((reply.into_one(), attempts.source));
        };
        let options = options.beginning(attempt.began);
        let at_node = options.at_node();
        match node.call_again(&work, &at_node, attempt, answer).await {
            Ok((reply, attempts)) => Ok((reply.into_one(), attempts.source)),
            Err(error) => self.lead_on(&work, options, node, error).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::super::{Overrides, tests::Script};

    /// By way of the `redis` crate it is in a box of its own, which allocators keep ready up to about 1 KiB.
    #[tokio::test]
    async fn the_future_of_a_command_is_small() {
        let (_, engine) = Script::of([]);
        let command = cmd("GET").arg("key").take();
        let options = engine.options(Overrides::default());
        let future = engine.execute(&command, &options);
        assert!(size_of_val(&future) <= 512, "{}", size_of_val(&future));
    }
}
