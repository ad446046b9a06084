//! Records that were encrypted and are not sent yet.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, BytesMut};
use rustls::ClientConnection;

use crate::net::transport::Transport;

/// Knows which text is in which record. A peer can decrypt a record only once it has all of it, so the text of one of
/// which the socket has not taken the last byte was provably not received.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: BytesMut,
    records: VecDeque<Record>,
}

#[derive(Debug)]
struct Record {
    /// Bytes of it that the socket has not taken.
    left: usize,
    /// The length of its text.
    text: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes that wait for the socket.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes over what the session has to send: so much text in one record, and what the protocol itself adds.
    pub(super) fn collect(
        &mut self,
        session: &mut ClientConnection,
        text: usize,
    ) -> io::Result<()> {
        let before = self.bytes.len();
        while session.wants_write() {
            session.write_tls(&mut (&mut self.bytes).writer())?;
        }
        let left = self.bytes.len() - before;
        if left > 0 {
            self.records.push_back(Record { left, text });
        }
        Ok(())
    }

    /// Writes once. Returns the length of the text in the records that are sent now.
    pub(super) fn poll_send(
        &mut self,
        transport: &mut dyn Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(transport).poll_write(cx, &self.bytes))?;
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.bytes.advance(taken);
        Poll::Ready(Ok(self.take_sent(taken)))
    }

    /// Frees an empty buffer.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    fn take_sent(&mut self, mut taken: usize) -> usize {
        let mut text = 0;
        while let Some(record) = self.records.front_mut()
            && taken > 0
        {
            let part = taken.min(record.left);
            record.left -= part;
            taken -= part;
            if record.left == 0 {
                text += record.text;
                self.records.pop_front();
            }
        }
        text
    }
}
