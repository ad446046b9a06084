//! Sockets that make the task of their connection panic.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    config::{Address, DatabaseSettings},
    net::{
        Connector, SocketConnector,
        transport::{Connecting, Transport},
    },
};

/// Opens sockets. When it is armed, the next write to any of them panics.
#[derive(Clone, Debug, Default)]
pub(super) struct PanickingConnector(Arc<AtomicBool>);

impl PanickingConnector {
    pub(super) fn arm(&self) {
        self.0.store(true, Relaxed);
    }
}

struct PanickingTransport {
    socket: Box<dyn Transport>,
    connector: PanickingConnector,
}

impl Connector for PanickingConnector {
    fn connect<'a>(
        &'a self,
        address: &'a Address,
        settings: &'a DatabaseSettings,
    ) -> Connecting<'a> {
        Box::pin(async move {
            let sockets = SocketConnector::default();
            let transport: Box<dyn Transport> = Box::new(PanickingTransport {
                socket: sockets.connect(address, settings).await?,
                connector: self.clone(),
            });
            Ok(transport)
        })
    }
}

impl Transport for PanickingTransport {
    fn has_input(&self) -> bool {
        self.socket.has_input()
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read_now(buffer)
    }
}

impl AsyncRead for PanickingTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PanickingTransport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!self.connector.0.swap(false, Relaxed), "told to panic");
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
