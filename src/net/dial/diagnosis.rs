//! What a peer speaks that has not understood us. It is asked on a connection that serves for nothing else.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::transport::Transport;

/// The beginning of TLS 1.2 without extensions (RFC 5246 section 7.4.1.2). A server answers it, if only with an alert.
#[rustfmt::skip]
const CLIENT_HELLO: [u8; 54] = [
    // A record of the handshake, with 49 bytes, and in it the message with 45.
    0x16, 3, 1, 0, 49, 1, 0, 0, 45, 3, 3,
    // Nothing is kept secret with this random number.
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    32,
    // No session, three cipher suites, and no compression.
    0, 0, 6, 0xc0, 0x2f, 0xc0, 0x2b, 0x13, 1, 1, 0,
];
/// The first bytes of records of the handshake and of alerts.
const TLS: [u8; 2] = [0x16, 0x15];

/// Whether the peer answers as a server without TLS does, if only with an error.
pub(super) async fn answers_plainly(transport: Box<dyn Transport>) -> bool {
    let answer = first_byte_after(transport, b"PING\r\n").await;
    answer.is_ok_and(|first| b"+-".contains(&first))
}

/// Whether the peer answers as a server with TLS does.
pub(super) async fn answers_with_tls(transport: Box<dyn Transport>) -> bool {
    let answer = first_byte_after(transport, &CLIENT_HELLO).await;
    answer.is_ok_and(|first| TLS.contains(&first))
}

async fn first_byte_after(mut transport: Box<dyn Transport>, question: &[u8]) -> io::Result<u8> {
    transport.write_all(question).await?;
    transport.flush().await?;
    transport.read_u8().await
}
