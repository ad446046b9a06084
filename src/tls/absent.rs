//! A build without TLS.

use super::{Tls, Unusable};

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum TlsClient {}

impl TlsClient {
    pub(crate) fn open(_: &Tls) -> Result<Self, Unusable> {
        let message = "needs TLS, which this program was built without; switch on the feature `tls` of redis-steward";
        Err(Unusable::new(None, message))
    }

    pub(crate) fn settings(&self) -> &Tls {
        match *self {}
    }

    pub(crate) fn take_complaint(&self) -> Option<String> {
        match *self {}
    }
}
