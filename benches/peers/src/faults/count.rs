//! The server's own word for what has run.

use anyhow::Result;

use crate::server::Server;

/// How often the server has run each of the calls that count in these keys.
pub fn runs(server: &Server, keys: impl Iterator<Item = String>) -> Result<Vec<u64>> {
    let mut connection = server.connect()?;
    let keys: Vec<_> = keys.collect();
    let counts: Vec<Option<u64>> = redis::cmd("MGET").arg(keys).query(&mut connection)?;
    Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
}
