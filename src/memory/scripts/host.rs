//! The server, as a script sees it.

use bytes::Bytes;

use crate::memory::reply::{Protocol, Reply};

pub(in crate::memory) trait Host {
    /// Runs a command. An error is a reply as well.
    fn call(&mut self, request: Vec<Bytes>) -> Reply;

    /// Whether the user may run a command; `None` if there is no such command.
    fn may_run(&self, request: &[Bytes]) -> Option<bool>;

    /// The protocol whose types the script gets and returns.
    fn protocol(&mut self) -> Protocol;

    fn set_protocol(&mut self, protocol: Protocol);
}
