//! How many GETs have reached the server.

use anyhow::{Context, Result};
use redis::{Connection, cmd};

use crate::address::Address;

pub struct Gets(Connection);

impl Gets {
    pub fn connect(address: &Address) -> Result<Self> {
        let client = redis::Client::open(address.url())?;
        let connection = client.get_connection();
        Ok(Self(connection.context("connecting to count the GETs")?))
    }

    /// Of all clients, since the server was started.
    pub fn count(&mut self) -> Result<usize> {
        let statistics: String = cmd("INFO").arg("commandstats").query(&mut self.0)?;
        parse(&statistics).context("INFO commandstats says something else than expected")
    }
}

fn parse(statistics: &str) -> Option<usize> {
    let start = "cmdstat_get:calls=";
    let mut lines = statistics.lines();
    let Some(line) = lines.find_map(|line| line.strip_prefix(start)) else {
        return statistics.starts_with("# Commandstats").then_some(0);
    };
    line.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_the_statistics() {
        let some = "# Commandstats\r\ncmdstat_getex:calls=3,usec=1\r\ncmdstat_get:calls=42,usec=7,rejected_calls=0\r\n";
        assert_eq!(parse(some), Some(42));
        assert_eq!(parse("# Commandstats\r\n"), Some(0));
        assert_eq!(parse("# Server\r\n"), None);
        assert_eq!(parse("# Commandstats\r\ncmdstat_get:calls=x\r\n"), None);
    }
}
