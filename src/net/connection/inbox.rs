//! Bytes that have come, and the replies in them.

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
        codec::{Decoder, ProtocolError},
        transport::Transport,
    },
    sanitize,
};

/// Reads as much at a time as the traffic is worth, and takes the replies off the front.
pub(crate) struct Inbox {
    input: BytesMut,
    /// The most that the present buffer has held. Its capacity does not tell: what was taken from its
    /// front does not count.
    most: usize,
    read_size: usize,
    decoder: Decoder,
}

const MIN_READ: usize = 4 * 1024;
/// Beyond this a read saves few calls, and what it read has left the cache when it is decoded.
const MAX_READ: usize = 32 * 1024;
/// A buffer that has held more is given back once it is empty, others when there is nothing to do.
const KEEP: usize = 1024 * 1024;

impl Inbox {
    pub(crate) fn new(decoder: Decoder) -> Self {
        Self {
            input: BytesMut::new(),
            most: 0,
            read_size: MIN_READ,
            decoder,
        }
    }

    /// Takes the next reply that has come completely. Texts of errors in it are harmless.
    pub(crate) fn next(&mut self) -> Result<Option<Value>, ProtocolError> {
        let Some(value) = self.decoder.decode(&mut self.input)? else {
            return Ok(None);
        };
        Ok(Some(match self.decoder.take_found_error() {
            true => sanitize::reply(value),
            false => value,
        }))
    }

    /// Whether nothing has come, not even a part of a reply, that was not taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_empty() && !self.decoder.is_within_reply()
    }

    /// Bytes that have come and wait to be decoded.
    pub(crate) fn len(&self) -> usize {
        self.input.len()
    }

    /// Gives back an empty buffer, and begins again with small reads.
    pub(crate) fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.most = 0;
            self.read_size = MIN_READ;
        }
    }

    /// Reads once, and returns how many bytes came; 0 at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        transport: &mut dyn Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = self.make_room();
        // The buffer may have more, from a large value that passed.
        let mut input = (&mut self.input).limit(room);
        let read = ready!(poll_read_buf(Pin::new(transport), cx, &mut input))?;
        self.most = self.most.max(self.input.len());
        // A read that fills its room says that more waits: take more at once.
        if read == room {
            self.read_size = (self.read_size * 2).min(MAX_READ);
        }
        Poll::Ready(Ok(read))
    }

    /// Returns how many bytes to read.
    fn make_room(&mut self) -> usize {
        if self.input.is_empty() && self.most > KEEP {
            self.input = BytesMut::new();
            self.most = 0;
        }
        // A large value doubles the buffer as it comes, whatever length was announced.
        let step = self.input.len().max(self.read_size);
        let room = self.decoder.needed().clamp(self.read_size, step);
        self.input.reserve(room);
        room
    }
}
