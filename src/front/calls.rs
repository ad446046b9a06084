//! The calls of a client that are under way.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use super::{answer::Answer, shape::Shape};
use crate::{call::Underway, wire::reply::Protocol};

/// Calls in the order of their requests, in which they are answered.
#[derive(Default)]
pub(super) struct Calls(VecDeque<Call>);

struct Call {
    /// The version of the protocol in which it is answered.
    protocol: Protocol,
    state: State,
}

/// A call that takes a future.
pub(super) type Running = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What a call is doing.
pub(super) enum State {
    /// It has its answer, and waits for its turn.
    Answered(Answer),
    /// A plain command that was handed over. Nearly all are.
    Underway(Underway, Shape),
    Running(Running),
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a call may not be sent yet. A later one that is handed over at once would overtake it.
    pub(super) fn has_running(&self) -> bool {
        let is_running = |call: &Call| matches!(call.state, State::Running(_));
        self.0.iter().any(is_running)
    }

    pub(super) fn push(&mut self, state: State, protocol: Protocol) {
        self.0.push_back(Call { protocol, state });
    }

    /// The next answer, and the version of the protocol for it; `None` if there are no calls.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Answer, Protocol)>> {
        let Some(first) = self.0.front_mut() else {
            return Poll::Ready(None);
        };
        first.state.advance(cx);
        if !matches!(first.state, State::Answered(_)) {
            return Poll::Pending;
        }
        let Some(Call {
            protocol,
            state: State::Answered(answer),
        }) = self.0.pop_front()
        else {
            unreachable!("BUG: the first call was answered");
        };
        Poll::Ready(Some((answer, protocol)))
    }

    /// Lets the calls go on behind those that were polled already: one of them may have to be tried again. They all have to
    /// be polled before their task sleeps.
    pub(super) fn poll_others(&mut self, polled: usize, cx: &mut Context<'_>) {
        for call in self.0.iter_mut().skip(polled) {
            call.state.advance(cx);
        }
    }
}

impl State {
    /// Goes on as far as it can now.
    fn advance(&mut self, cx: &mut Context<'_>) {
        if let Self::Underway(underway, shape) = self
            && let Poll::Ready(result) = underway.poll(cx)
        {
            let shape = *shape;
            match result {
                Ok(value) => *self = Self::Answered(Answer::Command(Ok(value), shape)),
                Err(answer) => {
                    let state = std::mem::replace(self, Self::Answered(Answer::Confirmed));
                    if let Self::Underway(underway, _) = state {
                        *self = Self::Running(Box::pin(async move {
                            Answer::Command(underway.go_on(answer).await, shape)
                        }));
                    }
                }
            }
        }
        if let Self::Running(running) = self
            && let Poll::Ready(answer) = running.as_mut().poll(cx)
        {
            *self = Self::Answered(answer);
        }
    }
}
