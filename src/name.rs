//! The name of a database, as callers give it.

use std::{borrow::Cow, fmt, sync::Arc};

/// The name of a database, made from a text or from a [`RedisDatabase`](crate::RedisDatabase).
///
/// Methods that want a name take anything that converts into this, so that an application with names of its own can
/// implement `From` for them:
///
/// ```
/// use redis_steward::DatabaseName;
///
/// #[derive(Clone, Copy)]
/// enum Store { Carts, Prices }
///
/// impl From<Store> for DatabaseName<'_> {
///     fn from(store: Store) -> Self {
///         match store {
///             Store::Carts => "carts".into(),
///             Store::Prices => "prices".into(),
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatabaseName<'a>(Cow<'a, str>);

impl DatabaseName<'_> {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'a> From<&'a str> for DatabaseName<'a> {
    fn from(name: &'a str) -> Self {
        Self(name.into())
    }
}

impl<'a> From<&'a String> for DatabaseName<'a> {
    fn from(name: &'a String) -> Self {
        Self(name.as_str().into())
    }
}

impl From<String> for DatabaseName<'_> {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl<'a> From<&'a Arc<str>> for DatabaseName<'a> {
    fn from(name: &'a Arc<str>) -> Self {
        Self((**name).into())
    }
}

impl<'a> From<&DatabaseName<'a>> for DatabaseName<'a> {
    fn from(name: &DatabaseName<'a>) -> Self {
        name.clone()
    }
}
