//! TLS between the transport and the greeting.

use std::{
    future::{Future, pending},
    io,
    pin::pin,
};

use futures_util::future::{Either, select};
use tokio::time::timeout_at;

use super::{
    Allowance,
    diagnosis::answers_plainly,
    error::{DialError, SECURING},
};
use crate::{
    config::{Address, DatabaseSettings},
    net::{
        negotiation::negotiate,
        transport::{Connector, Transport},
    },
    tls::TlsError,
};

/// The transport with TLS, where the settings ask for it. What is not TCP does not leave this machine.
pub(super) async fn secure(
    transport: Box<dyn Transport>,
    connector: &dyn Connector,
    address: &Address,
    settings: &DatabaseSettings,
    time: Allowance,
) -> Result<Box<dyn Transport>, DialError> {
    let (Some(tls), Address::Tcp { host, .. }) = (&settings.tls, address) else {
        return Ok(transport);
    };
    let mut negotiating = pin!(negotiate(transport, tls, host));
    let negotiated = match timeout_at(time.half_of_rest(), &mut negotiating).await {
        Ok(negotiated) => Ok(negotiated),
        Err(_) => {
            let again = connector.connect(address, settings);
            timeout_at(time.deadline, unless_plain(negotiating, again)).await
        }
    };
    match negotiated {
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(TlsError::Closed.into())
        }
        Ok(negotiated) => negotiated.map_err(|error| DialError::broken(SECURING, error)),
        Err(_) => Err(time.over(SECURING)),
    }
}

/// A server without TLS waits for the end of what it takes for a command. So a peer that is silent for long is asked
/// without TLS, on a connection that serves for nothing else.
async fn unless_plain<T>(
    negotiating: impl Future<Output = io::Result<T>> + Unpin,
    connecting: impl Future<Output = io::Result<Box<dyn Transport>>>,
) -> io::Result<T> {
    let asking = async {
        let is_plain = match connecting.await {
            Ok(transport) => answers_plainly(transport).await,
            Err(_) => false,
        };
        if !is_plain {
            pending::<()>().await;
        }
    };
    match select(negotiating, pin!(asking)).await {
        Either::Left((negotiated, _)) => negotiated,
        Either::Right(((), _)) => Err(TlsError::NotTls.into()),
    }
}
