//! Bytes that wait to be written, in order.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};

use crate::net::transport::Transport;

/// Small requests are copied together, so that one system call takes many. Large requests keep their own
/// allocation, because copying them would cost more than another slice.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    // Closed chunks come first, then the tail that small requests are appended to.
    chunks: VecDeque<Bytes>,
    chunk_bytes: usize,
    tail: BytesMut,
    /// The most bytes that the present tail has held. Its capacity does not tell, because it excludes the
    /// part that was written from the front.
    peak: usize,
    written: u64,
    needs_flush: bool,
}

const LARGE: usize = 16 * 1024;
const SLICES: usize = 16;
/// A tail that has held more is freed once it is empty; a smaller one when the connection is idle.
const MAX_KEPT: usize = 256 * 1024;

impl Outbox {
    /// Bytes that wait to be written.
    pub(crate) fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing waits, also in the buffers of the transport.
    pub(crate) fn is_flushed(&self) -> bool {
        self.is_empty() && !self.needs_flush
    }

    /// Bytes that the transport has taken since the connection was opened.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The offset of the next byte pushed, counted since the connection was opened.
    pub(crate) fn end(&self) -> u64 {
        self.written + self.len() as u64
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        if bytes.len() < LARGE {
            self.tail.extend_from_slice(&bytes);
            self.peak = self.peak.max(self.tail.len());
            return;
        }
        self.close_tail();
        self.chunk_bytes += bytes.len();
        self.chunks.push_back(bytes.into());
    }

    /// Frees an empty buffer.
    pub(crate) fn shrink(&mut self) {
        if self.tail.is_empty() {
            self.tail = BytesMut::new();
            self.peak = 0;
        }
        self.chunks.shrink_to_fit();
    }

    /// Writes and flushes as much as the transport takes.
    pub(crate) fn poll_write(
        &mut self,
        transport: &mut dyn Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let taken = ready!(self.poll_write_once(transport, cx))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(taken);
        }
        if self.needs_flush {
            ready!(Pin::new(transport).poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The offset of the first unwritten byte, and all unwritten bytes in one piece.
    pub(crate) fn into_unwritten(mut self) -> (u64, Bytes) {
        let written = self.written;
        self.close_tail();
        let mut all = BytesMut::with_capacity(self.chunk_bytes);
        for chunk in self.chunks {
            all.extend_from_slice(&chunk);
        }
        (written, all.freeze())
    }

    fn poll_write_once(
        &mut self,
        transport: &mut dyn Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.chunks.is_empty() {
            return Pin::new(transport).poll_write(cx, &self.tail);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let waiting = self.chunks.iter().map(|chunk| &chunk[..]);
        let mut used = 0;
        for (slice, bytes) in slices.iter_mut().zip(waiting.chain([&self.tail[..]])) {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        Pin::new(transport).poll_write_vectored(cx, &slices[..used])
    }

    fn advance(&mut self, mut taken: usize) {
        self.written += taken as u64;
        self.needs_flush = true;
        while taken > 0 {
            let Some(chunk) = self.chunks.front_mut() else {
                self.tail.advance(taken);
                break;
            };
            let part = taken.min(chunk.len());
            chunk.advance(part);
            self.chunk_bytes -= part;
            taken -= part;
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        if self.tail.is_empty() && self.peak > MAX_KEPT {
            self.tail = BytesMut::new();
            self.peak = 0;
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunk_bytes += self.tail.len();
            self.chunks.push_back(self.tail.split().freeze());
        }
    }
}
