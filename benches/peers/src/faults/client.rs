//! A client as its caller sees it under a fault: a call succeeds or fails, and may say more.

use std::{error::Error, future::Future, time::Duration};

use anyhow::Result;
use redis_steward::Execution;

/// A handle that is cloned for each call.
pub trait Client: Clone + Send + Sync + 'static {
    const PROMISES: Promises = Promises {
        deadline: None,
        tells_execution: false,
    };

    fn increment(&self, key: &str) -> impl Future<Output = Result<i64, Failure>> + Send;

    /// Called on the last handle, after all calls.
    fn disconnect(self) -> impl Future<Output = ()> {
        async {}
    }
}

/// One that a URL leads to its server.
pub trait Connect: Client {
    fn connect(url: &str) -> impl Future<Output = Result<Self>>;
}

/// What a client with its default settings can be held to.
#[derive(Clone, Copy, Debug)]
pub struct Promises {
    /// How long a call takes at most, from when it is made.
    pub deadline: Option<Duration>,
    /// Errors tell whether the call ran.
    pub tells_execution: bool,
}

/// Why a call failed, and whether it ran, where the client tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub cause: String,
    pub execution: Option<Execution>,
}

impl Failure {
    pub fn told(error: &redis_steward::Error) -> Self {
        Self {
            cause: error.to_string(),
            execution: Some(error.execution()),
        }
    }
}

/// The other clients' errors do not tell whether a call ran.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            cause: error.to_string(),
            execution: None,
        }
    }
}
