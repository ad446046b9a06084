//! The stream between a client in this process and a server.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep_until},
};

use super::{engine::Engine, keyspace::Millis, session::ClientId, store::Store};

/// A write takes no more at once, so that a long pipeline lets other tasks run.
const WRITE_AT_ONCE: usize = 64 * 1024;

/// The client's end of a connection. The server runs within it: a write executes the commands that it
/// completes, and a read takes their replies.
#[derive(Debug)]
pub(crate) struct MemoryStream {
    store: Store,
    id: ClientId,
    /// Fires when something happens on the server without anybody's doing, such as the end of BLPOP.
    timer: Option<(Millis, Pin<Box<Sleep>>)>,
}

impl MemoryStream {
    /// Connects a client of this process.
    pub(crate) fn connect(store: &Store) -> io::Result<Self> {
        Self::accept(store, store.to_string(), None)
    }

    /// Connects a client that comes from this address, by a port if it has come by TCP.
    pub(super) fn accept(store: &Store, address: String, port: Option<u16>) -> io::Result<Self> {
        // Asked under the lock: a stop closes the door before it disconnects all that are inside.
        let id =
            store.with(|engine| (*store.openness().borrow()).then(|| engine.accept(address, port)));
        Ok(Self {
            store: store.clone(),
            id: id.ok_or(io::ErrorKind::ConnectionRefused)?,
            timer: None,
        })
    }

    /// Whether there is something to read, be it the end of the stream.
    pub(crate) fn has_input(&self) -> bool {
        self.store.with(|engine| {
            let session = engine.sessions.get(&self.id);
            session.is_none_or(|session| session.has_output() || session.is_closing)
        })
    }

    /// Reads what there is.
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.store
            .with(|engine| match read(engine, self.id, buffer.len()) {
                Some(bytes) => {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    Ok(bytes.len())
                }
                None => Err(io::ErrorKind::WouldBlock.into()),
            })
    }

    /// Whether the time has come that the timer is set to, after setting it.
    fn is_due(&mut self, next: Option<Millis>, cx: &mut Context<'_>) -> bool {
        let Some(next) = next else {
            self.timer = None;
            return false;
        };
        if self.timer.as_ref().is_none_or(|(at, _)| *at != next) {
            let at = self.store.with(|engine| engine.clock.instant(next));
            self.timer = Some((next, Box::pin(sleep_until(at))));
        }
        let Some((_, timer)) = &mut self.timer else {
            return false;
        };
        let is_due = timer.as_mut().poll(cx).is_ready();
        if is_due {
            self.timer = None;
        }
        is_due
    }
}

/// Takes output; nothing at the end of the stream, `None` if there may be some later.
fn read(engine: &mut Engine, id: ClientId, most: usize) -> Option<bytes::BytesMut> {
    let Some(session) = engine.sessions.get_mut(&id) else {
        return Some(bytes::BytesMut::new());
    };
    if session.has_output() {
        let was_full = session.is_full();
        let bytes = session.read(most);
        if was_full && !session.is_full() {
            engine.tick(id);
        }
        return Some(bytes);
    }
    session.has_ended().then(bytes::BytesMut::new)
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let id = self.id;
        loop {
            let next = self.store.with(|engine| {
                if let Some(bytes) = read(engine, id, buffer.remaining()) {
                    buffer.put_slice(&bytes);
                    return Err(());
                }
                if let Some(session) = engine.sessions.get_mut(&id) {
                    session.set_reader(cx.waker());
                }
                Ok(engine.next_time(id))
            });
            let Ok(next) = next else {
                return Poll::Ready(Ok(()));
            };
            if !self.is_due(next, cx) {
                return Poll::Pending;
            }
            self.store.with(|engine| engine.tick(id));
        }
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.store.with(|engine| {
            let Some(session) = engine
                .sessions
                .get_mut(&self.id)
                .filter(|session| !session.is_closing)
            else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            if session.is_stuffed() {
                session.set_writer(cx.waker());
                return Poll::Pending;
            }
            let taken = bytes.len().min(WRITE_AT_ONCE);
            engine.receive(self.id, &bytes[..taken]);
            Poll::Ready(Ok(taken))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// As in Redis, a client that says that it sends no more is disconnected. It can read the replies that it has got.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.store.with(|engine| engine.kill(self.id));
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.store.with(|engine| engine.disconnect(self.id));
    }
}
