//! An opened connection.

use crate::net::{codec::Decoder, transport::Transport};

/// The state that a server reported in its greeting; `None` where it did not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServerInfo {
    pub(crate) is_replica: Option<bool>,
    pub(crate) cannot_save: Option<bool>,
}

/// A dialled connection, ready for requests.
pub(crate) struct Established {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) decoder: Decoder,
    pub(crate) seen: ServerInfo,
}
