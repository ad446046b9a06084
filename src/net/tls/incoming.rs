//! Bytes that were received and are not decrypted yet.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, BytesMut};
use tokio_util::io::poll_read_buf;

use crate::net::transport::Transport;

/// Hands out whole records, so that what is left here is all that was not decrypted.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    bytes: BytesMut,
    read_size: usize,
}

/// A record has up to 16 KiB of text, and up to 256 bytes around it (RFC 8446 section 5.2).
const HEADER: usize = 5;
const MIN_READ: usize = 4 * 1024;
const MAX_READ: usize = 64 * 1024;

impl Incoming {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The first record, if all of it is there. What is no record at all is handed out as it is, for an error.
    pub(super) fn record(&self) -> Option<&[u8]> {
        let [kind, major, _, long, short] = *self.bytes.first_chunk::<HEADER>()?;
        // The kinds from change_cipher_spec to heartbeat.
        if !(20..=24).contains(&kind) || major != 3 {
            return Some(&self.bytes);
        }
        let length = usize::from(u16::from_be_bytes([long, short]));
        self.bytes.get(..HEADER + length)
    }

    /// Drops what was taken from the front.
    pub(super) fn consume(&mut self, taken: usize) {
        self.bytes.advance(taken);
    }

    /// Reads once, and returns the number of bytes read; 0 at the end of the stream.
    pub(super) fn poll_fill(
        &mut self,
        transport: &mut dyn Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = self.make_room();
        let mut input = (&mut self.bytes).limit(room);
        let read = ready!(poll_read_buf(Pin::new(transport), cx, &mut input))?;
        self.has_read(read);
        Poll::Ready(Ok(read))
    }

    /// As [`poll_fill`](Self::poll_fill), of what the operating system has.
    pub(super) fn fill_now(&mut self, transport: &mut dyn Transport) -> io::Result<usize> {
        let room = self.make_room();
        let start = self.bytes.len();
        self.bytes.resize(start + room, 0);
        let read = transport.read_now(&mut self.bytes[start..]);
        self.bytes.truncate(start + read.as_ref().unwrap_or(&0));
        self.has_read(*read.as_ref().unwrap_or(&0));
        read
    }

    /// Frees an empty buffer, and begins again with small reads.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() {
            *self = Self::default();
        }
    }

    fn make_room(&mut self) -> usize {
        let room = self.read_size.clamp(MIN_READ, MAX_READ);
        self.bytes.reserve(room);
        room
    }

    /// A read that fills its room probably left more in the socket.
    fn has_read(&mut self, read: usize) {
        let room = self.read_size.clamp(MIN_READ, MAX_READ);
        if read == room {
            self.read_size = room * 2;
        }
    }
}
