//! A transport that encrypts.

use std::{
    io::{self, BufRead as _, IoSlice, Write as _},
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use rustls::ClientConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{incoming::Incoming, outgoing::Outgoing};
use crate::{config::Keepalive, net::transport::Transport, tls::TlsError};

/// TLS over another transport.
///
/// Text counts as written once the other transport has taken the last byte of its record. What is encrypted and not
/// taken was provably not received, and a connection that breaks can send it again elsewhere. Therefore a write that
/// was `Pending` has encrypted the beginning of its bytes, and the next one has to begin with the same.
pub(crate) struct TlsStream {
    inner: Box<dyn Transport>,
    session: ClientConnection,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Bytes at the beginning of the next write that are encrypted.
    sealed: usize,
    /// The part of them that was sent, and not reported to the writer yet.
    sent: usize,
    has_text: bool,
    has_ended: bool,
    failed: Option<TlsError>,
}

/// The most text in a record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;
/// Encrypted bytes that wait for the socket: enough for one system call to take many records.
const SEAL_AHEAD: usize = 64 * 1024;

impl TlsStream {
    pub(super) fn new(inner: Box<dyn Transport>, mut session: ClientConnection) -> Self {
        // Its bound is here, where it is known what the socket has taken.
        session.set_buffer_limit(None);
        Self {
            inner,
            session,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            sealed: 0,
            sent: 0,
            has_text: false,
            has_ended: false,
            failed: None,
        }
    }

    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.outgoing.collect(&mut self.session, 0)?;
            ready!(self.poll_drain(cx))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.decrypt(cx)? {
                continue;
            }
            if ready!(self.incoming.poll_fill(&mut *self.inner, cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Decrypts a record, if all of it is there.
    fn decrypt(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone().into());
        }
        let Some(mut record) = self.incoming.record() else {
            return Ok(false);
        };
        let length = record.len();
        while !record.is_empty() && self.failed.is_none() {
            self.session.read_tls(&mut record)?;
            self.failed = self.session.process_new_packets().err().map(Into::into);
        }
        self.incoming.consume(length);
        // The protocol may have an answer, such as an alert. Behind text that is not sent it waits for the next write.
        self.outgoing.collect(&mut self.session, 0)?;
        if self.sealed == 0 {
            let _ = self.poll_drain(cx)?;
        }
        match &self.failed {
            Some(failed) => Err(failed.clone().into()),
            None => Ok(true),
        }
    }

    /// Sends what is encrypted.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            self.sent += ready!(self.outgoing.poll_send(&mut *self.inner, cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Moves decrypted text, as much as there is room for. Tells whether it was the last before the end.
    fn take_text(&mut self, mut put: impl FnMut(&[u8]) -> usize) -> io::Result<bool> {
        loop {
            let mut reader = self.session.reader();
            let text = match reader.fill_buf() {
                Ok([]) => return Ok(true),
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.has_text = false;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            let (taken, length) = (put(text), text.len());
            reader.consume(taken);
            if taken < length {
                self.has_text = true;
                return Ok(false);
            }
        }
    }

    /// Encrypts the beginning of these bytes, behind what is encrypted of them.
    fn seal(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<()> {
        let mut skipped = self.sealed;
        let mut record: [IoSlice<'_>; 16] = [IoSlice::new(&[]); 16];
        let (mut slices, mut length) = (0, 0);
        for mut slice in bytes.iter().map(|slice| &slice[..]) {
            let skips = skipped.min(slice.len());
            skipped -= skips;
            slice = &slice[skips..];
            while !slice.is_empty() {
                if self.outgoing.len() + length >= SEAL_AHEAD {
                    return self.seal_record(&record[..slices], length);
                }
                let (part, rest) = slice.split_at(slice.len().min(RECORD - length));
                record[slices] = IoSlice::new(part);
                (slices, length, slice) = (slices + 1, length + part.len(), rest);
                if length == RECORD || slices == record.len() {
                    self.seal_record(&record[..slices], length)?;
                    (slices, length) = (0, 0);
                }
            }
        }
        self.seal_record(&record[..slices], length)
    }

    fn seal_record(&mut self, parts: &[IoSlice<'_>], length: usize) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let sealed = self.session.writer().write_vectored(parts)?;
        self.sealed += sealed;
        self.outgoing.collect(&mut self.session, sealed)
    }

    fn poll_write_slices(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.outgoing.len() < SEAL_AHEAD {
            self.seal(bytes)?;
        }
        while self.sent == 0 && !self.outgoing.is_empty() {
            self.sent += ready!(self.outgoing.poll_send(&mut *self.inner, cx))?;
        }
        let sent = std::mem::take(&mut self.sent);
        self.sealed -= sent;
        Poll::Ready(Ok(sent))
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        loop {
            let has_ended = this.take_text(|text| {
                let taken = text.len().min(buffer.remaining());
                buffer.put_slice(&text[..taken]);
                taken
            })?;
            this.has_ended |= has_ended;
            if this.has_text || this.has_ended {
                return Poll::Ready(Ok(()));
            }
            let has_some = buffer.filled().len() > before;
            match this.decrypt(cx) {
                Ok(true) => {}
                Ok(false) if has_some => return Poll::Ready(Ok(())),
                Ok(false) => {
                    let read = ready!(this.incoming.poll_fill(&mut *this.inner, cx))?;
                    // Many servers close without a word. A reply that is cut short is noticed by its reader.
                    this.has_ended = read == 0;
                }
                // It is told at the next read.
                Err(_) if has_some => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_slices(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_slices(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut *this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.send_close_notify();
        this.outgoing.collect(&mut this.session, 0)?;
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut *this.inner).poll_shutdown(cx)
    }
}

impl Transport for TlsStream {
    /// Also true for the beginning of a record, and for tickets of the session, which are no input for the reader.
    fn has_input(&self) -> bool {
        self.has_text || !self.incoming.is_empty() || self.inner.has_input()
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut filled = 0;
        loop {
            let has_ended = self.take_text(|text| {
                let taken = text.len().min(buffer.len() - filled);
                buffer[filled..filled + taken].copy_from_slice(&text[..taken]);
                filled += taken;
                taken
            })?;
            self.has_ended |= has_ended;
            if self.has_ended || filled > 0 {
                return Ok(filled);
            }
            if !self.decrypt(&mut cx)? && self.incoming.fill_now(&mut *self.inner)? == 0 {
                self.has_ended = true;
            }
        }
    }

    fn holds_a_part(&self) -> bool {
        !self.incoming.is_empty()
    }

    fn peer_ip(&self) -> Option<IpAddr> {
        self.inner.peer_ip()
    }

    fn keep_alive(&self, keepalive: &Keepalive) -> io::Result<()> {
        self.inner.keep_alive(keepalive)
    }

    fn shrink(&mut self) {
        self.incoming.shrink();
        self.outgoing.shrink();
        self.inner.shrink();
    }
}

/// Takes leave, if that can be done at once. What is encrypted and not sent must not be sent any more: its commands are
/// told to be unsent.
impl Drop for TlsStream {
    fn drop(&mut self) {
        if !self.outgoing.is_empty() {
            return;
        }
        self.session.send_close_notify();
        if self.outgoing.collect(&mut self.session, 0).is_ok() && !self.outgoing.is_empty() {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = self.outgoing.poll_send(&mut *self.inner, &mut cx);
        }
    }
}
