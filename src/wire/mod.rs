//! The server's side of the wire, for the embedded server and for the front: `request` reads what clients send,
//! `reply` writes answers in the version of the protocol that a client has chosen, `number` reads and writes
//! numbers as Redis does.

pub(crate) mod number;
pub(crate) mod reply;
pub(crate) mod request;
