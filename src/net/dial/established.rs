//! An opened connection.

use std::sync::Arc;

use bytes::BytesMut;
use redis::Value;

use super::login_cell::LoginNote;
use crate::{
    config::Address,
    net::{codec::Decoder, transport::Transport},
};

/// The state that a server reported in its greeting; `None` where it did not.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerInfo {
    pub(crate) is_replica: Option<bool>,
    pub(crate) cannot_save: Option<bool>,
    pub(crate) program: Option<Arc<ServerProgram>>,
}

/// The program that a server says it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerProgram {
    /// `redis` or `valkey`, for instance.
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A dialled connection, ready for requests.
pub(crate) struct Established {
    /// Where the server was found.
    pub(crate) address: Address,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) decoder: Decoder,
    pub(crate) seen: ServerInfo,
    /// Bytes of pushes that came behind the last answer.
    pub(crate) input: BytesMut,
    /// Announcements that came between the answers.
    pub(crate) early: Vec<Value>,
    /// The server announces its maintenance on it.
    pub(crate) announces: bool,
    /// Which credentials it has, if they change.
    pub(crate) login: Option<LoginNote>,
}
