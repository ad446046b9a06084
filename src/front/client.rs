//! The task of one client: bytes in, bytes out, and the order between.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Sleep, sleep_until},
};
use tokio_util::io::poll_read_buf;

use super::{
    answer::Answer,
    calls::{Calls, State},
    service::Limits,
    session::{Alone, Session, Step},
};
use crate::{
    state::clock,
    wire::{
        reply::{Protocol, Reply},
        request::Decoder,
    },
};

const READ: usize = 16 * 1024;
/// With so much input that waits for its turn, no more is read.
const READ_AHEAD: usize = 64 * 1024;
/// A buffer that has held more is freed once it is empty.
const MAX_KEPT: usize = 256 * 1024;

/// A client and its stream. As a future it ends with the connection.
///
/// Requests begin in their order, and many are under way at once; answers are written in the order of the
/// requests. Work that has to run alone waits for all earlier requests, and later ones wait for it.
pub(super) struct Client<S> {
    stream: S,
    limits: Limits,
    session: Session,
    decoder: Decoder,
    input: BytesMut,
    /// The decoder has found no complete request in the input.
    needs_input: bool,
    /// The client sends no more.
    has_ended: bool,
    calls: Calls,
    /// Work that runs alone as soon as the calls have ended.
    alone: Option<Alone>,
    output: BytesMut,
    /// Ends the connection if the client takes nothing until then.
    stall: Option<Pin<Box<Sleep>>>,
    /// Ends the transaction of the client if it sends nothing until then.
    silence: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) fn new(stream: S, session: Session) -> Self {
        let limits = session.service.limits;
        Self {
            stream,
            limits,
            session,
            decoder: Decoder::with_limit(limits.request_bytes),
            input: BytesMut::new(),
            needs_input: true,
            has_ended: false,
            calls: Calls::default(),
            alone: None,
            output: BytesMut::new(),
            stall: None,
            silence: None,
        }
    }

    /// Does what can be done now. The connection has ended after an error, and after `false`.
    fn advance(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        loop {
            let mut has_advanced = self.poll_messages(cx)?;
            has_advanced |= self.take_requests();
            has_advanced |= self.poll_answers(cx);
            has_advanced |= self.poll_write(cx)?;
            if self.is_over() {
                return Ok(false);
            }
            has_advanced |= self.poll_read(cx)?;
            has_advanced |= self.poll_silence(cx);
            if !has_advanced {
                // Where there is room for its answer, the first one was polled above.
                let polled = usize::from(self.has_room());
                self.calls.poll_others(polled, cx);
                return Ok(true);
            }
        }
    }

    /// Whether nothing is left to do for the client.
    fn is_over(&self) -> bool {
        let is_idle = self.calls.is_empty() && self.alone.is_none() && self.output.is_empty();
        is_idle && (self.session.is_closing || self.has_ended && self.needs_input)
    }

    /// Whether there is room for answers and messages.
    fn has_room(&self) -> bool {
        self.output.len() < self.limits.output_bytes
    }

    /// Takes the messages of subscriptions, while there is room.
    fn poll_messages(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut has_advanced = false;
        if let Some(subscription) = &self.session.subscription
            && subscription.poll_overflow(cx)
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        while let Some(subscription) = &mut self.session.subscription {
            if self.output.len() >= self.limits.output_bytes {
                break;
            }
            match subscription.poll_next(cx) {
                Poll::Ready(Some(message)) => {
                    message.write(self.session.protocol, &mut self.output);
                    has_advanced = true;
                }
                Poll::Ready(None) => {
                    self.session.lose_subscription();
                    has_advanced = true;
                }
                Poll::Pending if subscription.is_over() || self.has_ended && self.needs_input => {
                    self.session.subscription = None;
                    has_advanced = true;
                }
                Poll::Pending => break,
            }
        }
        Ok(has_advanced)
    }

    /// Begins the requests that are complete, as far as the limits permit.
    fn take_requests(&mut self) -> bool {
        let mut has_advanced = false;
        let mut is_behind = None;
        while !self.session.is_closing
            && self.alone.is_none()
            && self.calls.len() < self.limits.outstanding
            && self.has_room()
        {
            let is_logged_in = self.session.is_logged_in();
            let step = match self.decoder.next(&mut self.input, is_logged_in) {
                Ok(Some(request)) => {
                    let is_behind = is_behind.get_or_insert_with(|| self.calls.has_running());
                    let step = self.session.take(&request, *is_behind);
                    *is_behind |= matches!(step, Step::Call(State::Running(_)));
                    step
                }
                Ok(None) => {
                    self.needs_input = true;
                    break;
                }
                Err(malformed) => {
                    self.session.is_closing = true;
                    Step::Answered(Answer::error(format!("ERR {}", malformed.0)))
                }
            };
            has_advanced = true;
            self.silence = None;
            self.needs_input = false;
            self.begin(step);
        }
        has_advanced
    }

    fn begin(&mut self, step: Step) {
        let protocol = self.session.protocol;
        match step {
            Step::Answered(answer) if self.calls.is_empty() => {
                answer.write(protocol, &mut self.output);
            }
            Step::Answered(answer) => self.calls.push(State::Answered(answer), protocol),
            Step::Call(call) => self.calls.push(call, protocol),
            Step::Alone(alone) => self.alone = Some(alone),
        }
    }

    /// Takes the answers whose turn it is.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_advanced = false;
        while self.has_room()
            && let Poll::Ready(Some((answer, protocol))) = self.calls.poll_next(cx)
        {
            answer.write(protocol, &mut self.output);
            has_advanced = true;
        }
        if self.calls.is_empty()
            && let Some(alone) = &mut self.alone
            && let Poll::Ready(ended) = alone.run.as_mut().poll(cx)
        {
            self.alone = None;
            self.session.take_back(ended.left);
            ended.answer.write(self.session.protocol, &mut self.output);
            has_advanced = true;
        }
        has_advanced
    }

    /// Ends the transaction of a client that keeps it waiting and sends nothing, because it may hold a connection.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> bool {
        let is_waiting = self.calls.is_empty() && self.alone.is_none();
        if !is_waiting || !self.session.holds_transaction() {
            self.silence = None;
            return false;
        }
        let limit = self.limits.transaction;
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(sleep_until(clock::now() + limit)));
        let is_over = silence.as_mut().poll(cx).is_ready();
        if is_over {
            self.session.give_up_transaction();
        }
        is_over
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut has_advanced = false;
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => {
                    self.output.advance(written?);
                    self.stall = None;
                    has_advanced = true;
                }
                Poll::Pending => {
                    self.check_stall(cx)?;
                    return Ok(has_advanced);
                }
            }
        }
        if self.output.capacity() > MAX_KEPT {
            self.output = BytesMut::new();
        }
        Ok(has_advanced)
    }

    fn check_stall(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let until = clock::now() + self.limits.stall;
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Reads while there is room. It goes on while work runs, so that the end of the client is noticed.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let has_room = self.needs_input || self.input.len() < READ_AHEAD;
        if self.has_ended || self.session.is_closing || !has_room {
            return Ok(false);
        }
        if self.input.is_empty() && self.input.capacity() > MAX_KEPT {
            self.input = BytesMut::new();
        }
        // A large value doubles the buffer as its bytes come, whatever length was announced.
        self.input.reserve(READ.max(self.input.len().min(MAX_KEPT)));
        match poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input) {
            Poll::Pending => Ok(false),
            Poll::Ready(read) => {
                if read? == 0 {
                    self.end_input();
                } else {
                    // It may be a part of a large request.
                    self.silence = None;
                }
                Ok(true)
            }
        }
    }

    /// The client sends no more. What it has sent runs and is answered, but nobody waits for what may never come.
    fn end_input(&mut self) {
        self.has_ended = true;
        if self.alone.as_ref().is_some_and(|alone| alone.blocks) {
            self.alone = None;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Client<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let client = &mut *self;
        match client.advance(cx) {
            Ok(true) => Poll::Pending,
            // The other end finds the connection closed, and needs no reason.
            Err(_) => Poll::Ready(()),
            // Its failure changes nothing: the connection ends.
            Ok(false) => {
                let _ = ready!(Pin::new(&mut client.stream).poll_shutdown(cx));
                Poll::Ready(())
            }
        }
    }
}

/// The reply to a client for which there is no room.
pub(super) fn too_many() -> BytesMut {
    let mut out = BytesMut::new();
    Reply::error("ERR max number of clients reached").write(Protocol::Resp2, &mut out);
    out
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
