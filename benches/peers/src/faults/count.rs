//! The server's own word for what has run.

use anyhow::Result;

use super::load::Call;
use crate::server::Server;

/// How often the server has run each of so many calls.
pub fn runs(server: &Server, calls: usize) -> Result<Vec<u64>> {
    let mut connection = redis::Client::open(server.url())?.get_connection()?;
    let keys: Vec<_> = (0..calls).map(Call::key).collect();
    let counts: Vec<Option<u64>> = redis::cmd("MGET").arg(keys).query(&mut connection)?;
    Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
}
