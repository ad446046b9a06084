//! Listening sockets of an embedded server.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream, lookup_host},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::{
    pump::pump,
    store::{Mode, Store},
    stream::MemoryStream,
};

/// The pause after a failure to accept, for example for want of file descriptors, and between attempts to listen
/// again after [`MemoryServer::start`](crate::MemoryServer::start).
const PAUSE: Duration = Duration::from_millis(20);

/// A socket on which a [`MemoryServer`](crate::MemoryServer) accepts clients. Dropping it closes the socket and the
/// connections that came through it.
#[derive(Debug)]
pub struct MemoryListener {
    store: Store,
    endpoint: Endpoint,
    task: AbortHandle,
}

#[derive(Clone, Debug)]
enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl MemoryListener {
    pub(super) async fn open(store: &Store, address: &str) -> io::Result<Self> {
        let mut endpoint = Endpoint::of(address, store).await?;
        let socket = Socket::bind(&endpoint).await?;
        if let Socket::Tcp(listener) = &socket {
            // The port may have been 0.
            let address = listener.local_addr()?;
            endpoint = Endpoint::Tcp(address);
            store.with(|engine| engine.settings.port = address.port());
        }
        let task = tokio::spawn(serve(store.clone(), endpoint.clone(), socket));
        Ok(Self {
            store: store.clone(),
            endpoint,
            task: task.abort_handle(),
        })
    }

    /// The URL of the socket, such as `redis://127.0.0.1:6379` or `unix:///tmp/redis.sock`, without a password. That of a
    /// [cluster](crate::MemoryServer::new_cluster) on TCP begins with `redis+cluster://`.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.endpoint {
            Endpoint::Tcp(address) if self.store.mode() == Mode::Cluster => {
                format!("redis+cluster://{address}")
            }
            Endpoint::Tcp(address) => format!("redis://{address}"),
            Endpoint::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// The address and port of a TCP socket; `None` for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.endpoint.tcp()
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.task.abort();
        match &self.endpoint {
            Endpoint::Tcp(address) => self.store.with(|engine| {
                if engine.settings.port == address.port() {
                    engine.settings.port = 0;
                }
            }),
            Endpoint::Unix(path) => {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

impl Endpoint {
    fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Reads an address. Without a password, only programs of this machine may be let in.
    async fn of(address: &str, store: &Store) -> io::Result<Self> {
        let path = address.strip_prefix("unix:").map(unslashed);
        if let Some(path) = path.or(address.starts_with('/').then_some(address)) {
            return Ok(Self::Unix(path.into()));
        }
        let mut found = lookup_host(address).await.map_err(|error| {
            let text = format!(
                "{address:?} is no address ({error}); write it as 127.0.0.1:6379, 127.0.0.1:0 or \
                 unix:///tmp/redis.sock"
            );
            io::Error::new(error.kind(), text)
        })?;
        let found = found.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        if !found.ip().is_loopback() && store.with(|engine| engine.users.takes_any_password()) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{address:?} can be reached from other machines; set a password by `set_password` before, or \
                     listen on 127.0.0.1"
                ),
            ));
        }
        Ok(Self::Tcp(found))
    }
}

/// `///path` as in a URL is `/path`.
fn unslashed(path: &str) -> &str {
    path.strip_prefix("//").unwrap_or(path)
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Socket {
    async fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Endpoint::Unix(path) => bind_unix(path).await.map(Self::Unix),
        }
    }

    /// A client, and the address from which it comes.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Stream>, String)>> {
        Poll::Ready(match self {
            Self::Tcp(listener) => match std::task::ready!(listener.poll_accept(cx)) {
                Ok((stream, address)) => {
                    // A reply is a packet of its own. Without it, replies come late.
                    let _ = stream.set_nodelay(true);
                    Ok((Box::new(stream), address.to_string()))
                }
                Err(error) => Err(error),
            },
            Self::Unix(listener) => match std::task::ready!(listener.poll_accept(cx)) {
                Ok((stream, _)) => Ok((Box::new(stream), "unix".into())),
                Err(error) => Err(error),
            },
        })
    }
}

/// Listens at a path, also where a process that has ended left its socket.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_alive = UnixStream::connect(path).await;
            let is_left =
                is_alive.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
            if !is_left {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// Accepts clients, while the server is not stopped.
async fn serve(store: Store, endpoint: Endpoint, socket: Socket) {
    let port = endpoint.tcp().map(|address| address.port());
    let mut clients = JoinSet::new();
    let mut is_open = store.openness();
    let mut socket = Some(socket);
    loop {
        let listening = match socket.take() {
            Some(socket) => socket,
            None => bind_again(&endpoint).await,
        };
        accept_while_open(&store, port, &listening, &mut clients, &mut is_open).await;
        drop(listening);
        // It cannot fail: the store has the other end.
        let _ = is_open.wait_for(|is_open| *is_open).await;
    }
}

async fn accept_while_open(
    store: &Store,
    port: Option<u16>,
    socket: &Socket,
    clients: &mut JoinSet<()>,
    is_open: &mut watch::Receiver<bool>,
) {
    let mut stopped = pin!(is_open.wait_for(|is_open| !is_open));
    loop {
        match next(socket, clients, stopped.as_mut()).await {
            Event::Client(stream, address) => {
                if let Ok(server) = MemoryStream::accept(store, address, port) {
                    clients.spawn(pump(stream, server));
                }
            }
            Event::Failure => sleep(PAUSE).await,
            Event::Stop => return,
        }
    }
}

async fn bind_again(endpoint: &Endpoint) -> Socket {
    loop {
        match Socket::bind(endpoint).await {
            Ok(socket) => return socket,
            // Another program may have taken the port.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

enum Event {
    Client(Box<dyn Stream>, String),
    Failure,
    Stop,
}

/// The next event. Clients that have gone are forgotten meanwhile.
async fn next<T>(
    socket: &Socket,
    clients: &mut JoinSet<()>,
    mut stopped: Pin<&mut impl Future<Output = T>>,
) -> Event {
    poll_fn(|cx| {
        while let Poll::Ready(Some(_)) = clients.poll_join_next(cx) {}
        if stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Event::Stop);
        }
        socket.poll_accept(cx).map(|accepted| match accepted {
            Ok((stream, address)) => Event::Client(stream, address),
            Err(_) => Event::Failure,
        })
    })
    .await
}
