//! A server inside the process, so that time can be paused: nothing in it waits for the operating system.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
    },
    task::AbortHandle,
    time::Instant,
};

use crate::{
    common::resp::{bulk, read_command},
    config::{Address, DatabaseSettings},
    net::{
        Connector,
        transport::{Connecting, Transport},
    },
};

/// Larger than any command of a test and its reply.
const BUFFER: usize = 64 * 1024;

/// Accepts every connection, answers the handshake and `PING`, and replies `OK` to all other commands,
/// until it dies.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeServer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lifespans: Vec<Lifespan>,
    tasks: Vec<AbortHandle>,
    is_down: bool,
}

/// When a connection was opened, and when its client closed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifespan {
    pub(super) opened: Instant,
    pub(super) closed: Option<Instant>,
}

impl FakeServer {
    /// The lifespans of all connections, in the order in which they were opened.
    pub(super) fn lifespans(&self) -> Vec<Lifespan> {
        self.lock().lifespans.clone()
    }

    /// The number of connections that are open now.
    pub(super) fn open(&self) -> usize {
        let state = self.lock();
        state
            .lifespans
            .iter()
            .filter(|lifespan| lifespan.closed.is_none())
            .count()
    }

    /// Closes all connections, and refuses new ones.
    pub(super) fn die(&self) {
        let mut state = self.lock();
        state.is_down = true;
        for task in state.tasks.drain(..) {
            task.abort();
        }
        for lifespan in &mut state.lifespans {
            lifespan.closed.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn revive(&self) {
        self.lock().is_down = false;
    }

    fn accept(&self) -> io::Result<DuplexStream> {
        let mut state = self.lock();
        if state.is_down {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, server) = duplex(BUFFER);
        let number = state.lifespans.len();
        state.lifespans.push(Lifespan {
            opened: Instant::now(),
            closed: None,
        });
        let own = self.clone();
        let task = tokio::spawn(async move {
            // An error also means that the client has closed.
            let _ = serve(server).await;
            own.lock().lifespans[number].closed = Some(Instant::now());
        });
        state.tasks.push(task.abort_handle());
        Ok(client)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(mut client: DuplexStream) -> io::Result<()> {
    let mut input = Vec::new();
    while client.read_buf(&mut input).await? > 0 {
        let mut rest = &input[..];
        // An incomplete command is read again with the next bytes.
        while let Ok(Some(command)) = read_command(&mut rest) {
            let left = rest.len();
            client.write_all(&answer(&command)).await?;
            input.drain(..input.len() - left);
            rest = &input[..];
        }
    }
    Ok(())
}

fn answer(command: &[Vec<u8>]) -> Vec<u8> {
    match command {
        [name, ..] if name == b"HELLO" => b"%1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n".to_vec(),
        [name, nonce] if name == b"PING" => bulk(nonce),
        _ => b"+OK\r\n".to_vec(),
    }
}

impl Connector for FakeServer {
    fn connect<'a>(&'a self, _: &'a Address, _: &'a DatabaseSettings) -> Connecting<'a> {
        Box::pin(async move {
            let transport: Box<dyn Transport> = Box::new(Line(self.accept()?));
            Ok(transport)
        })
    }
}

struct Line(DuplexStream);

impl Transport for Line {
    /// The runtime knows of all input, because none comes from the operating system.
    fn has_input(&self) -> bool {
        false
    }

    fn read_now(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
