//! A server of rustls at the other end of a transport that takes so many bytes and then breaks.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, Read as _, Write as _},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::tls::{Tls, TlsClient};

/// Both directions, and how much the socket still takes.
struct Wire {
    to_server: Vec<u8>,
    to_client: VecDeque<u8>,
    /// Bytes until it takes no more for now.
    room: usize,
    is_broken: bool,
}

#[derive(Clone)]
struct Socket(Arc<Mutex<Wire>>);

impl Socket {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Wire {
            to_server: Vec::new(),
            to_client: VecDeque::new(),
            room: usize::MAX,
            is_broken: false,
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Wire) -> T) -> T {
        look(&mut self.0.lock().expect("no test panics here"))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.read_now(buffer.initialize_unfilled());
        match read {
            Ok(read) => {
                buffer.advance(read);
                Poll::Ready(Ok(()))
            }
            Err(_) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|wire| {
            let taken = bytes.len().min(wire.room);
            if taken == 0 && wire.is_broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if taken == 0 {
                return Poll::Pending;
            }
            wire.room -= taken;
            wire.to_server.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Socket {
    fn has_input(&self) -> bool {
        self.with(|wire| !wire.to_client.is_empty())
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|wire| match wire.to_client.read(buffer) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            read => read,
        })
    }
}

struct Server {
    session: ServerConnection,
    socket: Socket,
    received: Vec<u8>,
}

impl Server {
    /// Takes what has come, and answers as the protocol demands.
    fn advance(&mut self) {
        let bytes = self.socket.with(|wire| std::mem::take(&mut wire.to_server));
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            self.session.read_tls(&mut bytes).expect("room");
            self.session.process_new_packets().expect("records");
            let _ = self.session.reader().read_to_end(&mut self.received);
        }
        self.send();
    }

    fn say(&mut self, text: &[u8]) {
        for part in text.chunks(16 * 1024) {
            self.session.writer().write_all(part).expect("room");
            self.send();
        }
    }

    fn send(&mut self) {
        let mut bytes = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut bytes).expect("memory");
        }
        self.socket.with(|wire| wire.to_client.extend(bytes));
    }
}

/// Both ends after the handshake.
fn connected() -> (TlsStream, Server) {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["server".into()]).expect("a name");
    let certificate = certificate.self_signed(&key).expect("a certificate");
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .expect("a certificate");
    let socket = Socket::new();
    let session = ServerConnection::new(Arc::new(config)).expect("a session");
    let mut server = Server {
        session,
        socket: socket.clone(),
        received: Vec::new(),
    };
    let tls = Tls::new().ca_pem(certificate.pem());
    let client = TlsClient::open(&tls).expect("an authority");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let session = runtime.block_on(client.session("server")).expect("a name");
    let mut stream = TlsStream::new(Box::new(socket), session);
    let mut cx = Context::from_waker(Waker::noop());
    while stream.poll_handshake(&mut cx).is_pending() {
        server.advance();
    }
    server.advance();
    (stream, server)
}

fn read(stream: &mut TlsStream, room: usize) -> Poll<io::Result<Vec<u8>>> {
    let mut bytes = vec![0; room];
    let mut buffer = ReadBuf::new(&mut bytes);
    let mut cx = Context::from_waker(Waker::noop());
    let polled = Pin::new(stream).poll_read(&mut cx, &mut buffer);
    polled.map_ok(|()| buffer.filled().to_vec())
}

fn write(stream: &mut TlsStream, parts: &[&[u8]]) -> Poll<io::Result<usize>> {
    let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(stream).poll_write_vectored(&mut cx, &slices)
}

/// The bytes that a text of this length has, each of them another one than its neighbours.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What was told to be written is what the server can decrypt, wherever the connection breaks.
    #[test]
    fn written_is_what_the_server_has_received(
        length in 1_usize..200_000,
        at in 0_usize..250_000,
        steps in prop::collection::vec(1_usize..60_000, 1..8),
        splits in prop::collection::vec(0_usize..200_000, 0..4),
    ) {
        let (mut stream, mut server) = connected();
        let sent = text(length);
        let mut written = 0;
        let mut left = at;
        for step in steps.into_iter().cycle() {
            let step = step.min(left);
            left -= step;
            stream_room(&server.socket, step, left == 0);
            loop {
                let mut bounds: Vec<_> = splits.iter().map(|split| (*split).clamp(written, length)).collect();
                bounds.extend([written, length]);
                bounds.sort_unstable();
                let parts: Vec<_> = bounds.windows(2).map(|pair| &sent[pair[0]..pair[1]]).collect();
                match write(&mut stream, &parts) {
                    Poll::Ready(Ok(0)) | Poll::Pending => break,
                    Poll::Ready(Ok(taken)) => written += taken,
                    Poll::Ready(Err(_)) => {
                        left = 0;
                        break;
                    }
                }
            }
            if left == 0 || written == length {
                break;
            }
        }
        drop(stream);
        server.advance();
        prop_assert_eq!(&server.received[..], &sent[..written]);
    }
}

/// Lets the socket take so much more, after which it is broken if this is the end.
fn stream_room(socket: &Socket, more: usize, is_the_end: bool) {
    socket.with(|wire| {
        wire.room = more;
        wire.is_broken = is_the_end;
    });
}

#[test]
fn texts_of_all_sizes_arrive() {
    let (mut stream, mut server) = connected();
    for length in [1, 16, 16_384, 16_385, 300_000] {
        let sent = text(length);
        server.say(&sent);
        let mut received = Vec::new();
        while let Poll::Ready(read) = read(&mut stream, 7_000) {
            received.extend(read.expect("text"));
        }
        assert_eq!(received, sent);
        assert!(!stream.has_input());
    }
}

#[test]
fn input_is_noticed_and_read_though_the_runtime_does_not_know_of_it() {
    let (mut stream, mut server) = connected();
    // The tickets of the session are input, and nothing for the reader.
    let mut buffer = [0; 64];
    let nothing = stream.read_now(&mut buffer).expect_err("no text");
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    assert!(!stream.has_input());
    server.say(b"reply");
    assert!(stream.has_input());
    assert_eq!(stream.read_now(&mut buffer).expect("text"), 5);
    assert_eq!(&buffer[..5], b"reply");
    assert!(!stream.has_input());
    // A part of a record is input, too: its rest would be taken for the next reply.
    server.say(b"a longer reply");
    let rest = server.socket.with(|wire| wire.to_client.split_off(10));
    assert!(read(&mut stream, 64).is_pending());
    assert!(stream.has_input());
    server.socket.with(|wire| wire.to_client.extend(rest));
    assert_eq!(stream.read_now(&mut buffer).expect("text"), 14);
}

#[test]
fn the_end_is_the_end_with_and_without_a_farewell() {
    let (mut stream, mut server) = connected();
    server.say(b"last");
    server.session.send_close_notify();
    server.send();
    let Poll::Ready(Ok(last)) = read(&mut stream, 64) else {
        panic!("the last text");
    };
    assert_eq!(last, b"last");
    assert!(matches!(read(&mut stream, 64), Poll::Ready(Ok(nothing)) if nothing.is_empty()));
    // A client that goes takes leave.
    let (stream, mut server) = connected();
    drop(stream);
    server.advance();
    let end = server.session.reader().read(&mut [0; 8]);
    assert_eq!(end.expect("a farewell"), 0);
}

#[test]
fn what_is_no_record_is_an_error_that_stays() {
    let (mut stream, server) = connected();
    server
        .socket
        .with(|wire| wire.to_client.extend(*b"-ERR unknown command"));
    for _ in 0..2 {
        let Poll::Ready(Err(error)) = read(&mut stream, 64) else {
            panic!("an error");
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
