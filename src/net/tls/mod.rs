//! TLS over a transport.
//!
//! - this file: [`secure`], the handshake · `stream`: [`TlsStream`], the transport that it makes
//! - `incoming`: what was received and is not decrypted yet · `outgoing`: what was encrypted and is not sent yet

mod incoming;
#[cfg(test)]
mod moving_tests;
mod outgoing;
mod stream;
#[cfg(test)]
mod tests;

use std::{future::poll_fn, io};

use rustls::ClientConnection;

pub(crate) use self::stream::TlsStream;
use super::transport::Transport;

/// Does the handshake. The caller bounds the time.
///
/// # Errors
/// One of the transport, or a [`TlsError`](crate::tls::TlsError) within an error of kind `InvalidData`.
pub(crate) async fn secure(
    transport: Box<dyn Transport>,
    session: ClientConnection,
) -> io::Result<Box<dyn Transport>> {
    let mut stream = TlsStream::new(transport, session);
    poll_fn(|cx| stream.poll_handshake(cx)).await?;
    Ok(Box::new(stream))
}
