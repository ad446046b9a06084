//! TCP ports for servers that die and come back on the same port.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use socket2::{Domain, Socket, Type};

/// Below the range from which Linux and macOS take the local ports of outgoing
/// connections. A port of that range (port 0 gives one) may be taken while its
/// server is down, and a client that redials it may even connect to itself.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

/// A port of 127.0.0.1 that is free now and not given out twice by this process.
pub fn free_port() -> u16 {
    // Concurrent test binaries start at different ports. The factor is the golden section of the
    // range, which keeps neighbouring process ids furthest apart.
    static NEXT: LazyLock<AtomicU32> =
        LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(13_597)));

    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .map(|port| u16::try_from(port).expect("BUG: FIRST + COUNT fits in 16 bits"))
        .find(|&port| is_free(port))
        .expect("every port is taken")
}

/// Binds without listening: a test that starts a server at this moment makes
/// its child hold a copy of our sockets until it is another program, and a
/// listener would keep the port taken for that long.
fn is_free(port: u16) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())
        .is_ok()
}
