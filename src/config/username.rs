//! The user that a connection logs in as.

use std::fmt;

/// An ACL user. Half of a credential, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Username(pub(crate) String);

impl Username {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
