//! The front of redis-steward, used by clients and libraries that know nothing of it.

#[path = "../../../../tests/common/mod.rs"]
mod common;

mod fred_client;
mod libraries;
mod redis_crate;
mod rustis_client;
mod site;
