//! The seam between connections and the network: real sockets here, fakes in tests.

use std::{
    fmt,
    future::Future,
    io::{self, Read as _},
    mem::MaybeUninit,
    net::IpAddr,
    pin::Pin,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::{race::race, resolver::Resolver};
use crate::{
    config::{Address, DatabaseSettings, Keepalive},
    memory::MemoryStream,
};

/// A byte stream to a server.
///
/// After a write that was pending, the next one begins with the same bytes: a transport may have prepared them.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Whether the operating system holds unread bytes or the end of the stream. Unlike a read it asks the
    /// system itself, so it also notices input of which the runtime does not know yet. A read may find nothing
    /// for the reader in it.
    fn has_input(&self) -> bool;

    /// Reads what the operating system holds, and asks the system itself as [`has_input`](Self::has_input)
    /// does. It returns [`io::ErrorKind::WouldBlock`] if the system holds nothing.
    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// The IP address of the peer, where it has one.
    fn peer_ip(&self) -> Option<IpAddr> {
        None
    }

    /// Asks a silent peer for signs of life at these times, where the transport has keepalive.
    fn keep_alive(&self, _: &Keepalive) -> io::Result<()> {
        Ok(())
    }

    /// Whether a part of something has come, of which a read makes nothing before the rest is there.
    fn holds_a_part(&self) -> bool {
        false
    }

    /// Frees buffers that are empty.
    fn shrink(&mut self) {}
}

impl Transport for TcpStream {
    fn has_input(&self) -> bool {
        has_input(SockRef::from(self))
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(&*self)).read(buffer)
    }

    fn peer_ip(&self) -> Option<IpAddr> {
        Some(self.peer_addr().ok()?.ip())
    }

    fn keep_alive(&self, keepalive: &Keepalive) -> io::Result<()> {
        let keepalive = TcpKeepalive::new()
            .with_time(keepalive.idle)
            .with_interval(keepalive.interval)
            .with_retries(keepalive.count);
        SockRef::from(self).set_tcp_keepalive(&keepalive)
    }
}

impl Transport for UnixStream {
    fn has_input(&self) -> bool {
        has_input(SockRef::from(self))
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(&*self)).read(buffer)
    }
}

impl Transport for MemoryStream {
    fn has_input(&self) -> bool {
        self.has_input()
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read_now(self, buffer)
    }
}

fn has_input(socket: SockRef<'_>) -> bool {
    match socket.peek(&mut [MaybeUninit::uninit()]) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

pub(crate) type Connecting<'a> =
    Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send + 'a>>;

/// Opens transports. Every dial goes through one.
pub(crate) trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Opens a transport to an address by the settings of the database. The caller bounds the time.
    fn connect<'a>(
        &'a self,
        address: &'a Address,
        settings: &'a DatabaseSettings,
    ) -> Connecting<'a>;

    /// Whether the address is a name whose look-up is under way.
    fn is_looking_up(&self, _address: &Address) -> bool {
        false
    }
}

/// Opens TCP and Unix sockets, and streams to servers in this process.
#[derive(Debug)]
pub(crate) struct SocketConnector {
    pub(crate) resolver: Resolver,
}

impl Default for SocketConnector {
    fn default() -> Self {
        Self {
            resolver: Resolver::of_process(),
        }
    }
}

impl Connector for SocketConnector {
    fn connect<'a>(
        &'a self,
        address: &'a Address,
        settings: &'a DatabaseSettings,
    ) -> Connecting<'a> {
        Box::pin(async move {
            let transport: Box<dyn Transport> = match address {
                Address::Tcp { host, port } => {
                    Box::new(self.connect_tcp(host, *port, settings).await?)
                }
                Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
                Address::Memory(store) => Box::new(MemoryStream::connect(store)?),
                Address::Service(_) | Address::Sentinel(_) | Address::Cluster(_) => {
                    unreachable!("BUG: a service was not located")
                }
            };
            Ok(transport)
        })
    }

    fn is_looking_up(&self, address: &Address) -> bool {
        match address {
            Address::Tcp { host, .. } => self.resolver.is_looking_up(host),
            Address::Unix(_)
            | Address::Memory(_)
            | Address::Service(_)
            | Address::Sentinel(_)
            | Address::Cluster(_) => false,
        }
    }
}

impl SocketConnector {
    /// Looks up the name each time, because a failover may have changed its address.
    async fn connect_tcp(
        &self,
        host: &str,
        port: u16,
        settings: &DatabaseSettings,
    ) -> io::Result<TcpStream> {
        let addresses = self.resolver.resolve(host, port).await?;
        let stream = race(addresses, TcpStream::connect).await?;
        configure(&stream, settings)?;
        Ok(stream)
    }
}

/// Sets the options that detect a dead peer: keepalive while nothing is sent, the user timeout while sent
/// bytes stay unacknowledged.
fn configure(stream: &TcpStream, settings: &DatabaseSettings) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    if let Some(keepalive) = &settings.keepalive {
        stream.keep_alive(keepalive)?;
    }
    set_user_timeout(&socket, settings.tcp_user_timeout)
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
fn set_user_timeout(socket: &SockRef<'_>, timeout: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_user_timeout(timeout)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "fuchsia")))]
fn set_user_timeout(_: &SockRef<'_>, _: Option<Duration>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        iter,
        net::{SocketAddr, TcpListener},
        sync::{
            Arc,
            atomic::{AtomicU8, Ordering::Relaxed},
        },
        time::Instant,
    };

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::{
        config::{Config, DatabaseConfig, Keepalive, resolve},
        net::race::ATTEMPT_DELAY,
    };

    fn settings(configure: impl Fn(DatabaseConfig) -> DatabaseConfig) -> Arc<DatabaseSettings> {
        let config = Config::new().database("main", configure(DatabaseConfig::new()));
        let settings = resolve(config).expect("a valid configuration");
        settings.databases[0].clone()
    }

    /// A socket that was opened with this configuration.
    async fn opened(configure: impl Fn(DatabaseConfig) -> DatabaseConfig) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = port(&listener);
        let sockets = SocketConnector::default();
        let settings = settings(configure);
        let stream = sockets.connect_tcp("127.0.0.1", port, &settings).await;
        stream.expect("a connection")
    }

    fn port(listener: &TcpListener) -> u16 {
        listener.local_addr().expect("its address").port()
    }

    /// Two listeners on one port, at 127.0.0.2 and 127.0.0.3.
    fn two_listeners() -> (TcpListener, TcpListener) {
        let pair = || {
            let one = TcpListener::bind("127.0.0.2:0").expect("a free port");
            let other = TcpListener::bind(("127.0.0.3", port(&one)));
            other.ok().map(|other| (one, other))
        };
        // Another program may have the port at the second address.
        iter::from_fn(|| Some(pair()))
            .flatten()
            .next()
            .expect("it is endless")
    }

    fn addresses<const N: usize>(last_bytes: [u8; N]) -> Vec<SocketAddr> {
        last_bytes
            .map(|last| SocketAddr::from(([127, 0, 0, last], 0)))
            .into()
    }

    /// Fills the accept queue, so that the kernel drops further SYNs. The sockets keep it full.
    fn fill(listener: &TcpListener) -> Vec<Socket> {
        SockRef::from(listener).listen(0).expect("a shorter queue");
        let address = listener.local_addr().expect("its address").into();
        let connect = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            let opened = socket.connect_timeout(&address, Duration::from_millis(100));
            opened.is_ok().then_some(socket)
        };
        iter::from_fn(connect).collect()
    }

    #[tokio::test]
    async fn row_65_a_dead_first_address_costs_250_ms() {
        let (dead, alive) = two_listeners();
        let kept = fill(&dead);
        let resolver = Resolver::new(|_| Ok(addresses([2, 3])));
        let sockets = SocketConnector { resolver };
        let (port, settings) = (port(&alive), settings(|main| main));
        let began = Instant::now();
        let stream = sockets.connect_tcp("two.example", port, &settings).await;
        let stream = stream.expect("a connection");
        let took = began.elapsed();
        assert_eq!(stream.peer_addr().ok(), alive.local_addr().ok());
        assert!(took >= ATTEMPT_DELAY, "{took:?}");
        assert!(took < Duration::from_millis(750), "{took:?}");
        assert!(SockRef::from(&stream).tcp_nodelay().expect("nodelay"));
        drop(kept);
    }

    #[tokio::test]
    async fn row_46_an_address_that_changes_is_followed() {
        let (old, new) = two_listeners();
        let present = Arc::new(AtomicU8::new(2));
        let resolver = Resolver::new({
            let present = present.clone();
            move |_| Ok(addresses([present.load(Relaxed)]))
        });
        let sockets = SocketConnector { resolver };
        let (port, settings) = (port(&old), settings(|main| main));
        for (last_byte, listener) in [(2, &old), (3, &new)] {
            present.store(last_byte, Relaxed);
            let stream = sockets.connect_tcp("moves.example", port, &settings).await;
            let stream = stream.expect("a connection");
            assert_eq!(stream.peer_addr().ok(), listener.local_addr().ok());
        }
    }

    #[tokio::test]
    async fn the_defaults_reach_the_socket() {
        let stream = opened(|database| database).await;
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().expect("nodelay"));
        assert!(socket.keepalive().expect("keepalive"));
        assert_eq!(socket.tcp_keepalive_time().expect("idle").as_secs(), 600);
        assert_eq!(
            socket.tcp_keepalive_interval().expect("interval").as_secs(),
            60
        );
        assert_eq!(socket.tcp_keepalive_retries().expect("count"), 5);
        #[cfg(target_os = "linux")]
        assert_eq!(
            socket.tcp_user_timeout().expect("user timeout"),
            Some(Duration::from_secs(2))
        );
    }

    #[tokio::test]
    async fn configured_keepalive_and_user_timeout_reach_the_socket() {
        let keepalive = Keepalive::new()
            .idle(Duration::from_secs(11))
            .interval(Duration::from_secs(7))
            .count(3);
        let stream = opened(|database| {
            database
                .keepalive(keepalive)
                .tcp_user_timeout(Duration::from_millis(4_500))
        })
        .await;
        let socket = SockRef::from(&stream);
        assert_eq!(socket.tcp_keepalive_time().expect("idle").as_secs(), 11);
        assert_eq!(
            socket.tcp_keepalive_interval().expect("interval").as_secs(),
            7
        );
        assert_eq!(socket.tcp_keepalive_retries().expect("count"), 3);
        #[cfg(target_os = "linux")]
        assert_eq!(
            socket.tcp_user_timeout().expect("user timeout"),
            Some(Duration::from_millis(4_500))
        );
        let stream =
            opened(|database| database.without_keepalive().without_tcp_user_timeout()).await;
        let socket = SockRef::from(&stream);
        assert!(!socket.keepalive().expect("keepalive"));
        #[cfg(target_os = "linux")]
        assert!(
            socket
                .tcp_user_timeout()
                .expect("user timeout")
                .is_none_or(|timeout| timeout.is_zero())
        );
    }

    #[tokio::test]
    async fn input_is_noticed_before_the_runtime_knows_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let (peer, _) = listener.accept().expect("its other end");
        assert!(!stream.has_input());
        let mut buffer = [0; 8];
        let nothing = stream.read_now(&mut buffer).expect_err("no input");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        // No await from here on, so the runtime cannot notice the input.
        (&peer).write_all(b"input").expect("a write");
        assert!(stream.has_input());
        assert_eq!(stream.read_now(&mut buffer).expect("the input"), 5);
        drop(peer);
        assert!(stream.has_input());
        assert_eq!(stream.read_now(&mut buffer).expect("the end"), 0);
    }
}
