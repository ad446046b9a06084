//! What a server replies to a request.

use redis::Value;

/// The replies to a request, in the shape that it expected.
#[derive(Debug)]
pub(crate) enum Reply {
    One(Value),
    Many(Vec<Value>),
}

impl Reply {
    /// The reply to one command.
    ///
    /// # Panics
    ///
    /// When many replies were expected, which is a bug.
    pub(crate) fn into_one(self) -> Value {
        match self {
            Self::One(value) => value,
            Self::Many(_) => unreachable!("BUG: one reply was expected and many came"),
        }
    }

    /// The replies of a pipeline.
    ///
    /// # Panics
    ///
    /// When one reply was expected, which is a bug.
    pub(crate) fn into_many(self) -> Vec<Value> {
        match self {
            Self::Many(values) => values,
            Self::One(_) => unreachable!("BUG: many replies were expected and one came"),
        }
    }

    /// Whether it is an error, or a pipeline's replies with an error among them.
    pub(crate) fn has_error(&self) -> bool {
        let is_error = |value: &Value| matches!(value, Value::ServerError(_));
        match self {
            Self::One(value) => is_error(value),
            Self::Many(values) => values.iter().any(is_error),
        }
    }
}
