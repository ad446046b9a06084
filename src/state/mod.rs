//! What the actors and the callers of one database share: the only atomics and locks.

pub(crate) mod permits;
