//! Reads the data of a database for comparisons, past the supervisor and past proxies.

use std::collections::BTreeMap;

use redis::{Connection, Value, cmd};

use crate::common::RedisServer;

/// In a cluster it follows redirects, from the node that has answered last.
pub(crate) struct Reader<'a> {
    servers: BTreeMap<u16, &'a RedisServer>,
    connections: BTreeMap<u16, Connection>,
    at: u16,
}

impl<'a> Reader<'a> {
    pub(crate) fn of(servers: Vec<&'a RedisServer>) -> Self {
        let at = servers.first().expect("a server").port();
        let by_port = servers.into_iter().map(|server| (server.port(), server));
        Self {
            servers: by_port.collect(),
            connections: BTreeMap::new(),
            at,
        }
    }

    /// The answer to a command about this key.
    pub(crate) fn read(&mut self, command: &str, key: &str, rest: &[&str]) -> Value {
        // A settled cluster redirects once.
        for _ in 0..2 {
            let url = self.servers[&self.at].url();
            let connection = self.connections.entry(self.at).or_insert_with(|| {
                let client = redis::Client::open(url).expect("a URL");
                client.get_connection().expect("a responsive server")
            });
            match cmd(command).arg(key).arg(rest).query(connection) {
                Ok(reply) => return reply,
                Err(error) => {
                    let told = error.redirect_node();
                    let (node, _) = told.unwrap_or_else(|| panic!("{command} {key}: {error}"));
                    let (_, port) = node.rsplit_once(':').expect("a port");
                    self.at = port.parse().expect("a number");
                }
            }
        }
        panic!("{command} {key} is redirected to and fro");
    }
}
