//! Sources of a configuration other than the setters.
//!
//! - `environment`: [`Config::from_env`](super::Config::from_env) · `variables`: reading single
//!   variables

mod environment;
mod variables;

pub(super) use variables::{Lookup, Variables};
