//! TLS: what the configuration says of it, and what a connection needs to do it.
//!
//! - `settings`: [`Tls`] · `client`: [`TlsClient`], which makes sessions and reads changed files again · `material`:
//!   certificates and keys · `verifier`: what a server's certificate is held against · `error`: [`TlsError`] ·
//!   `explanation`: what an error of rustls means
//! - `absent`: the stand-in of `client` in a build without TLS

#[cfg(not(feature = "__tls"))]
mod absent;
#[cfg(feature = "__tls")]
mod client;
mod error;
#[cfg(feature = "__tls")]
mod explanation;
#[cfg(feature = "__tls")]
mod material;
mod settings;
#[cfg(feature = "__tls")]
mod verifier;

#[cfg(not(feature = "__tls"))]
pub(crate) use absent::TlsClient;
#[cfg(feature = "__tls")]
pub(crate) use client::TlsClient;
pub(crate) use error::{TlsError, Unusable};
pub(crate) use settings::Pem;
pub use settings::Tls;
