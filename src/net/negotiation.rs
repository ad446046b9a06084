//! The handshake of TLS, where this crate is built with TLS.

use std::io;

use super::transport::Transport;
use crate::tls::TlsClient;

/// Does the handshake of TLS with a host. The caller bounds the time.
#[cfg(feature = "__tls")]
pub(super) async fn negotiate(
    transport: Box<dyn Transport>,
    tls: &TlsClient,
    host: &str,
) -> io::Result<Box<dyn Transport>> {
    let session = tls.session(host).await?;
    super::tls::secure(transport, session).await
}

#[cfg(not(feature = "__tls"))]
pub(super) async fn negotiate(
    _: Box<dyn Transport>,
    tls: &TlsClient,
    _: &str,
) -> io::Result<Box<dyn Transport>> {
    match *tls {}
}
