//! The state of a database that callers and actors share.

pub(crate) mod settings;
