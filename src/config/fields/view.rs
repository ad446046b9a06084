//! The table as data: for each setting its key, unit, range, default and variable.

use std::time::Duration;

use secrecy::SecretString;

use crate::config::{Fallback, Keepalive, Protocol, WhenDown, url::SecretUrl, username::Username};

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Field {
    /// The name in messages.
    pub(crate) key: &'static str,
    /// The unit of a value without one.
    pub(crate) unit: &'static str,
    pub(crate) range: &'static str,
    pub(crate) default: &'static str,
    pub(crate) variable: Option<&'static str>,
    /// The meaning in a sentence.
    pub(crate) sentence: &'static str,
}

/// A type of setting, with the unit of its values.
pub(crate) trait Typed {
    const UNIT: &'static str;
}

macro_rules! units {
    ($($type:ty: $unit:literal;)+) => {
        $(impl Typed for $type { const UNIT: &'static str = $unit; })+
    };
}

units! {
    Duration: "seconds";
    usize: "whole number";
    u32: "whole number";
    bool: "true or false";
    Option<i64>: "whole number";
    Option<String>: "text";
    Option<Username>: "text";
    Option<SecretString>: "text";
    Option<Protocol>: "protocol version";
    SecretUrl: "URL";
    WhenDown: "choice";
    Keepalive: "idle, interval and count";
    Fallback: "bounds of a store";
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
