//! Where a front listens, and how it accepts clients.

use std::{
    fmt, fs, io,
    net::{self, SocketAddr},
    os::unix::{fs::FileTypeExt, net as unix},
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    time::sleep,
};

use super::error::FrontError;

/// An address of a front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A socket that listens, and that no runtime drives yet.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) endpoint: Endpoint,
    /// The number of the database in which its clients begin.
    pub(super) start: i64,
    socket: Socket,
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    Tcp(net::TcpListener),
    Unix(unix::UnixListener),
}

/// The file of a Unix socket, which is removed with the value.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}

impl Opened {
    pub(super) fn open(endpoint: Endpoint, start: i64) -> Result<Self, FrontError> {
        let failed = |error| FrontError::Listen {
            address: endpoint.to_string().into(),
            error,
        };
        match &endpoint {
            Endpoint::Tcp(address) => {
                let socket = open_tcp(*address).map_err(failed)?;
                Ok(Self {
                    endpoint: Endpoint::Tcp(socket.local_addr().map_err(failed)?),
                    start,
                    socket: Socket::Tcp(socket),
                    _file: None,
                })
            }
            Endpoint::Unix(path) => {
                let socket = open_unix(path).map_err(failed)?;
                let file = SocketFile(path.clone());
                Ok(Self {
                    endpoint,
                    start,
                    socket: Socket::Unix(socket),
                    _file: Some(file),
                })
            }
        }
    }

    /// Hands the socket to the present runtime.
    pub(super) fn drive(self) -> io::Result<Listener> {
        let socket = match self.socket {
            Socket::Tcp(socket) => Driven::Tcp(TcpListener::from_std(socket)?),
            Socket::Unix(socket) => Driven::Unix(UnixListener::from_std(socket)?),
        };
        Ok(Listener {
            endpoint: self.endpoint,
            start: self.start,
            socket,
            _file: self._file,
        })
    }
}

fn open_tcp(address: SocketAddr) -> io::Result<net::TcpListener> {
    let socket = net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn open_unix(path: &Path) -> io::Result<unix::UnixListener> {
    let socket = match unix::UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            fs::remove_file(path)?;
            unix::UnixListener::bind(path)?
        }
        bound => bound?,
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether this is a socket on which nobody listens, as a process leaves it that was killed.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refuses = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && unix::UnixStream::connect(path).is_err_and(refuses)
}

/// A socket that accepts clients.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) endpoint: Endpoint,
    pub(super) start: i64,
    socket: Driven,
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Driven {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The stream of a client.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// A client whose machine has gone is found after six to seven minutes, so that its subscriptions end. A server asks
/// after the same time.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(300))
        .with_interval(Duration::from_secs(30))
        .with_retries(3)
}

/// Without files or memory the system accepts nobody for a while.
const PAUSE: Duration = Duration::from_millis(50);

impl Listener {
    /// The next client, and its address.
    pub(super) async fn accept(&self) -> (Box<dyn Stream>, String) {
        loop {
            let accepted: io::Result<(Box<dyn Stream>, String)> = match &self.socket {
                Driven::Tcp(socket) => socket.accept().await.and_then(|(stream, address)| {
                    stream.set_nodelay(true)?;
                    SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
                    Ok((Box::new(stream) as _, address.to_string()))
                }),
                Driven::Unix(socket) => {
                    let accepted = socket.accept().await;
                    accepted
                        .map(|(stream, _)| (Box::new(stream) as _, format!("{}:0", self.endpoint)))
                }
            };
            match accepted {
                Ok(client) => return client,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
