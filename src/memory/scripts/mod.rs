//! Scripts of clients, in Lua 5.1.
//!
//! - `cache`: the scripts that the server knows · `shebang`: their first lines · `host`: the server, as scripts
//!   see it
//! - `sandbox`, `prelude.lua`: what scripts see of Lua, and how long they may run · `api`: the table `redis` ·
//!   `raised`: errors on their way through Lua · `values`: replies and values of Lua
//! - `json`: the table `cjson` · `random`: `math.random`

mod api;
mod cache;
mod host;
mod json;
mod raised;
mod random;
mod sandbox;
mod shebang;
mod values;

#[cfg(test)]
pub(super) use api::digest;
pub(super) use cache::Scripts;
pub(super) use host::Host;

#[cfg(test)]
mod tests;
