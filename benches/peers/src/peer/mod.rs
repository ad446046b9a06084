//! The clients, each used as its documentation recommends for throughput, with its cheapest owned
//! type for replies. What was set on a client, and why, is said at the top of its file.

mod bb8;
mod commands;
mod deadpool;
mod fred;
mod glide;
mod glide_cluster;
mod observed;
mod redis_rs;
mod rustis;
mod rustis_near;
mod steward;
mod tower;
mod tower_cluster;
mod tower_near;

use std::{
    error::Error,
    fmt::{self, Debug},
    future::Future,
};

use anyhow::{Result, bail};
use bytes::Bytes;

use crate::address::Address;

pub use self::{
    bb8::Bb8,
    deadpool::Deadpool,
    fred::{Fred, FredPool},
    glide::{Glide, keep_log_out},
    glide_cluster::GlideCluster,
    observed::Observed,
    redis_rs::{Cluster as RedisRsCluster, Manager, Multiplexed, connection_info, with_nodelay},
    rustis::Rustis,
    rustis_near::RustisNear,
    steward::Steward,
    tower::Tower,
    tower_cluster::TowerCluster,
    tower_near::TowerNear,
};

/// Connections of each pool that lends them out.
const POOL: usize = 16;
/// Keys that each near cache has room for, so that none has to make room in a turn.
const NEAR_KEYS: usize = 1 << 20;

/// A client as its users see it: a handle that is cloned for each task. Calls are dispatched
/// statically, so that the bench adds no allocation to any of them.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Its cheapest owned type for a value.
    type Reply: AsRef<[u8]> + Send;

    fn connect(address: &Address) -> impl Future<Output = Result<Self>>;

    fn get(&mut self, key: &str) -> impl Future<Output = Result<Self::Reply>> + Send;

    /// Fails if the server says anything else than OK.
    fn set(&mut self, key: &str, value: &Bytes) -> impl Future<Output = Result<()>> + Send;

    fn incr(&mut self, key: &str) -> impl Future<Output = Result<i64>> + Send;

    /// A GET of each key, in one round trip.
    fn pipeline(
        &mut self,
        keys: &[String],
    ) -> impl Future<Output = Result<Vec<Self::Reply>>> + Send;

    /// One MGET of all keys. Asked only of those clients for which the keys may be in several slots of a cluster.
    fn mget(&mut self, _keys: &[String]) -> impl Future<Output = Result<Vec<Self::Reply>>> + Send {
        async { bail!("BUG: it cannot") }
    }

    /// Called on the last handle, after all calls.
    fn disconnect(self) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }
}

/// What a client gave its caller, and what it should have been: the end of the run.
#[derive(Debug)]
pub struct WrongReply {
    expected: String,
    got: String,
}

impl fmt::Display for WrongReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, got } = self;
        write!(
            f,
            "wrong reply: expected {}, got {}",
            cut(expected),
            cut(got)
        )
    }
}

impl Error for WrongReply {}

/// An error that shows both, unless they are the same.
pub fn expect<T: PartialEq + Debug>(expected: T, got: T) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(wrong(format!("{expected:?}"), format!("{got:?}")))
}

/// The same for values, which are shown as text.
pub fn expect_value(expected: &[u8], got: &[u8]) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    let shown = |value: &[u8]| value.escape_ascii().to_string();
    Err(wrong(shown(expected), shown(got)))
}

fn wrong(expected: String, got: String) -> anyhow::Error {
    WrongReply { expected, got }.into()
}

fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_reply_is_shown_beside_the_right_one() {
        assert!(expect(1, 1).is_ok());
        let error = expect_value(b"ours", &[b'x'; 16 * 1024]).expect_err("they differ");
        let text = error.to_string();
        assert!(
            text.starts_with("wrong reply: expected ours, got xxx"),
            "{text}"
        );
        assert!(text.ends_with("... (16384 bytes)"), "{text}");
        assert!(text.len() < 150, "{text}");
    }
}
