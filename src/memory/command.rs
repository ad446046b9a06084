//! A command of the server: its signature, and the function that runs it.

use bytes::Bytes;

pub(super) use super::signature::flags;
use super::{context::Context, halt::Outcome, signature::Signature};

/// Runs a command. The first argument is its name.
pub(super) type Handler = fn(&mut Context<'_>, &[Bytes]) -> Outcome;

pub(super) struct Command {
    pub(super) signature: Signature,
    pub(super) handler: Handler,
}

impl Command {
    pub(super) const fn new(
        name: &'static str,
        arity: i32,
        flags: u32,
        keys: (i32, i32, i32),
        handler: Handler,
    ) -> Self {
        let signature = Signature {
            name,
            arity,
            flags,
            keys,
            number: 0,
            is_container: false,
        };
        Self { signature, handler }
    }
}
