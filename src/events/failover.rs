//! A failover that sentinels have announced.

use std::{fmt, sync::Arc};

/// The primary of a database is another server from now on: its sentinels have said so.
///
/// `Display` gives one line, such as `failover from 10.0.0.1:6379 to 10.0.0.2:6379`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Failover {
    /// The address of the primary until now. Connections to it are ended.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub from: Arc<str>,
    /// The address of the new primary.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub to: Arc<str>,
}

impl Failover {
    pub(crate) fn new(from: Arc<str>, to: Arc<str>) -> Self {
        Self { from, to }
    }
}

impl fmt::Display for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failover from {} to {}", self.from, self.to)
    }
}

#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
