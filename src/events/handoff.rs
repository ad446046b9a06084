//! A move that a server has announced.

use std::{fmt, sync::Arc};

/// Connections lead to another place from now on: the server has announced that it moves there.
///
/// The first connection to that place is open, and the present ones end when their last replies have come. See
/// [`MaintenanceNotifications`](crate::MaintenanceNotifications).
///
/// `Display` gives one line, such as `handoff from 10.0.0.1:6379 to 10.0.0.2:6379`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Handoff {
    /// The address until now, which is that of the settings.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub from: Arc<str>,
    /// The address from now on. It is the same one if the server has told none: that leads elsewhere from now on.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub to: Arc<str>,
}

impl Handoff {
    pub(crate) fn new(from: Arc<str>, to: Arc<str>) -> Self {
        Self { from, to }
    }
}

impl fmt::Display for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handoff from {} to {}", self.from, self.to)
    }
}

#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
