//! Where a client connects.

use std::sync::Arc;

use crate::authority::Authority;

#[derive(Clone)]
pub struct Address {
    /// On 127.0.0.1.
    pub port: u16,
    /// It connects over TLS, and verifies the server by this.
    pub authority: Option<Arc<Authority>>,
}

impl Address {
    pub fn url(&self) -> String {
        let scheme = self.authority.as_ref().map_or("redis", |_| "rediss");
        format!("{scheme}://127.0.0.1:{}", self.port)
    }
}
