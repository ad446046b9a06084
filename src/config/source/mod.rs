//! Where a configuration comes from, apart from the setters.
//!
//! - `environment`: [`Config::from_env`](super::Config::from_env) · `variables`: reading single
//!   variables

mod environment;
mod variables;
