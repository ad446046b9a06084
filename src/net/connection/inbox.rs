//! The bytes received, and the replies in them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, BytesMut};
use redis::Value;
use tokio_util::io::poll_read_buf;

use crate::{
    net::{
        codec::{Decoded, Decoder, ProtocolError, ReplyLimit},
        transport::Transport,
    },
    sanitize,
};

/// Reads in steps that grow with the traffic, and takes the replies off the front.
pub(crate) struct Inbox {
    input: BytesMut,
    /// The most bytes that the present buffer has held. Its capacity does not tell, because it excludes the
    /// part that was taken off the front.
    peak: usize,
    read_size: usize,
    /// Bytes that were read since that was asked last.
    received: u64,
    decoder: Decoder,
}

const MIN_READ: usize = 4 * 1024;
/// Beyond this size a read saves few calls, and its bytes have left the cache when they are decoded.
const MAX_READ: usize = 32 * 1024;
/// A buffer that has held more is freed once it is empty; a smaller one when the connection is idle.
const MAX_KEPT: usize = 1024 * 1024;

impl Inbox {
    /// `input` has come already.
    pub(crate) fn new(decoder: Decoder, input: BytesMut) -> Self {
        Self {
            peak: input.len(),
            input,
            read_size: MIN_READ,
            received: 0,
            decoder,
        }
    }

    /// Takes the next complete reply. Error texts in it are sanitized, unless whoever awaits it `keeps_texts`, which
    /// is asked for an error alone.
    pub(crate) fn next(
        &mut self,
        keeps_texts: impl FnOnce() -> bool,
    ) -> Result<Option<Decoded>, ProtocolError> {
        let decoded = self.decoder.decode(&mut self.input)?;
        Ok(match decoded {
            Some(Decoded::Value(value)) if self.decoder.take_found_error() => {
                let is_push = matches!(value, Value::Push { .. });
                Some(Decoded::Value(if !is_push && keeps_texts() {
                    value
                } else {
                    sanitize::reply(value)
                }))
            }
            decoded => decoded,
        })
    }

    /// Whether all bytes received were taken, and no reply is incomplete.
    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_empty() && !self.decoder.is_within_reply()
    }

    /// Whether a push is incomplete, after all complete replies were taken. Its first byte tells.
    pub(crate) fn is_within_push(&self) -> bool {
        if self.decoder.is_within_reply() {
            self.decoder.is_within_push()
        } else {
            self.input.starts_with(b">")
        }
    }

    /// The number of bytes received of the incomplete reply, after all complete replies were taken.
    pub(crate) fn incomplete(&self) -> usize {
        self.decoder.taken() + self.input.len()
    }

    /// The limit that the reply under way exceeds, while it is read over.
    pub(crate) fn exceeded(&self) -> Option<ReplyLimit> {
        self.decoder.exceeded()
    }

    /// The number of bytes that were read since the last call of this.
    pub(crate) fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }

    /// Bytes that wait to be decoded.
    pub(crate) fn len(&self) -> usize {
        self.input.len()
    }

    /// Frees an empty buffer, and begins again with small reads.
    pub(crate) fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.peak = 0;
            self.read_size = MIN_READ;
        }
    }

    /// Reads once, and returns the number of bytes read; 0 at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        transport: &mut dyn Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = self.make_room();
        // The buffer may have more room, from an earlier large value.
        let mut input = (&mut self.input).limit(room);
        let read = ready!(poll_read_buf(Pin::new(transport), cx, &mut input))?;
        self.received += read as u64;
        self.peak = self.peak.max(self.input.len());
        // A read that fills its room probably left more in the socket: read more at once next time.
        if read == room {
            self.read_size = (self.read_size * 2).min(MAX_READ);
        }
        Poll::Ready(Ok(read))
    }

    /// Reads once what the operating system holds, also if the runtime does not know of it yet. `None` if
    /// it holds nothing; 0 at the end of the stream.
    pub(crate) fn read_now(&mut self, transport: &mut dyn Transport) -> io::Result<Option<usize>> {
        let start = self.input.len();
        self.input.resize(start + MAX_READ, 0);
        let read = transport.read_now(&mut self.input[start..]);
        let taken = *read.as_ref().unwrap_or(&0);
        self.input.truncate(start + taken);
        self.received += taken as u64;
        self.peak = self.peak.max(self.input.len());
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes room in the buffer, and returns the number of bytes to read.
    fn make_room(&mut self) -> usize {
        if self.input.is_empty() && self.peak > MAX_KEPT {
            self.input = BytesMut::new();
            self.peak = 0;
        }
        // A large value doubles the buffer as its bytes come, whatever length was announced.
        let step = self.input.len().max(self.read_size);
        let room = self.decoder.needed().clamp(self.read_size, step);
        self.input.reserve(room);
        room
    }
}
