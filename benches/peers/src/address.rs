//! Where a client connects.

use std::sync::Arc;

use crate::authority::Authority;

#[derive(Clone)]
pub struct Address {
    /// On 127.0.0.1. Of a cluster, that of one of its nodes.
    pub port: u16,
    /// It connects over TLS, and verifies the server by this.
    pub authority: Option<Arc<Authority>>,
    /// The ports of all nodes, if it is a cluster.
    pub nodes: Option<Arc<[u16]>>,
    /// It reads through a near cache.
    pub is_near: bool,
}

impl Address {
    /// Of a server without TLS.
    pub fn of_server(port: u16) -> Self {
        Self {
            port,
            authority: None,
            nodes: None,
            is_near: false,
        }
    }

    pub fn of_cluster(nodes: Arc<[u16]>) -> Self {
        Self {
            nodes: Some(nodes.clone()),
            ..Self::of_server(nodes[0])
        }
    }

    /// The same, read through a near cache.
    pub fn near(self) -> Self {
        Self {
            is_near: true,
            ..self
        }
    }

    pub fn url(&self) -> String {
        if let Some(nodes) = &self.nodes {
            let places = nodes.iter().map(|port| format!("127.0.0.1:{port}"));
            let places: Vec<_> = places.collect();
            return format!("redis+cluster://{}", places.join(","));
        }
        let scheme = self.authority.as_ref().map_or("redis", |_| "rediss");
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A URL for each node, for the clients that take them one by one.
    pub fn node_urls(&self) -> Vec<String> {
        let nodes = self.nodes.iter().flat_map(|nodes| nodes.iter());
        nodes
            .map(|port| format!("redis://127.0.0.1:{port}"))
            .collect()
    }
}
