//! Reading environment variables, and collecting their problems.

use std::{ffi::OsString, net::Ipv6Addr, ops::RangeInclusive};

use crate::config::{
    Problem, Protocol,
    address::{Address, is_host_name},
    error::quoted,
    quantity::{self, Measure, Quantity, within},
};

/// Finds the value of a variable.
pub(in crate::config) trait Lookup: Fn(&str) -> Option<OsString> {}

impl<F: Fn(&str) -> Option<OsString>> Lookup for F {}

/// The variables, and the problems found in them.
pub(in crate::config) struct Variables<L> {
    lookup: L,
    pub(super) problems: Vec<Problem>,
}

impl<L: Lookup> Variables<L> {
    /// The variables that `lookup` finds.
    pub(super) fn new(lookup: L) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, variable: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(None, variable, message));
    }

    pub(super) fn is_unset(&self, variable: &str) -> bool {
        (self.lookup)(variable).is_none_or(|value| value.is_empty())
    }

    /// A value as it stands, since a space can be part of a password.
    pub(super) fn exact(&mut self, variable: &str) -> Option<String> {
        let value = (self.lookup)(variable)
            .filter(|value| !value.is_empty())?
            .into_string();
        if value.is_err() {
            self.problem(variable, "is not UTF-8 text");
        }
        value.ok()
    }

    /// A value without the spaces and line ends around it, which files of variables often leave
    /// there.
    pub(super) fn text(&mut self, variable: &str) -> Option<String> {
        let value = self.exact(variable)?.trim().to_owned();
        Some(value).filter(|value| !value.is_empty())
    }

    /// A quantity within its range.
    pub(in crate::config) fn quantity<Q: Quantity>(
        &mut self,
        variable: &str,
        example: Q,
        range: &RangeInclusive<Q::Measure>,
    ) -> Option<Q> {
        let text = self.text(variable)?;
        let read = match Q::Measure::read(&text) {
            Some(read) => read.and_then(|value| within(value, range)),
            None => Err(format!("{} is not {}", shown(&text), Q::Measure::KIND)),
        };
        self.or_problem(variable, &example.measure().bare(), read)
            .map(Q::of)
    }

    /// A database number.
    pub(super) fn number(&mut self, variable: &str) -> Option<i64> {
        let text = self.text(variable)?;
        let read = match text.parse() {
            Ok(number) => quantity::number(number),
            Err(_) => Err(format!("{} is not a database number", shown(&text))),
        };
        self.or_problem(variable, "0", read)
    }

    /// A version of the protocol.
    pub(super) fn protocol(&mut self, variable: &str) -> Option<Protocol> {
        let text = self.text(variable)?;
        let read = Protocol::read(&text).ok_or_else(|| {
            let texts = Protocol::TEXTS;
            format!("{} is not {texts}", shown(&text))
        });
        self.or_problem(variable, "3", read)
    }

    fn or_problem<T>(
        &mut self,
        variable: &str,
        example: &str,
        read: Result<T, String>,
    ) -> Option<T> {
        read.map_err(|message| {
            self.problem(variable, format!("{message}, as in {variable}={example}"));
        })
        .ok()
    }

    /// The host as it stands in a URL; `None` if it is unusable.
    pub(super) fn host(&mut self) -> Option<String> {
        const VARIABLE: &str = "REDIS_HOST";
        let Some(host) = self.text(VARIABLE) else {
            // Text that is not UTF-8 has been reported.
            return Some("localhost".into());
        };
        if is_host_name(&host) {
            return Some(host);
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&host);
        if let Ok(address) = bare.parse::<Ipv6Addr>() {
            return Some(format!("[{address}]"));
        }
        // Not quoted, since whole URLs with passwords are put here by mistake.
        self.problem(
            VARIABLE,
            "is neither a host name nor an IP address, as in REDIS_HOST=localhost; URLs and socket \
             paths go to REDIS_URL",
        );
        None
    }

    /// The port; `None` if it is unusable.
    pub(super) fn port(&mut self) -> Option<u16> {
        const VARIABLE: &str = "REDIS_PORT";
        let Some(text) = self.text(VARIABLE) else {
            return Some(Address::DEFAULT_PORT);
        };
        match text.parse() {
            Ok(port) if port > 0 => return Some(port),
            // The variable that Kubernetes sets for a service, see
            // <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
            _ if text.starts_with("tcp://") => self.problem(
                VARIABLE,
                "is not a port from 1 to 65535, as in REDIS_PORT=6379, but the address that \
                 Kubernetes sets for a service named redis; set REDIS_URL, or \
                 enableServiceLinks: false",
            ),
            _ => self.problem(
                VARIABLE,
                format!(
                    "{} is not a port from 1 to 65535, as in REDIS_PORT=6379",
                    shown(&text)
                ),
            ),
        }
        None
    }
}

/// A value as a message may show it. One with an @ may be a URL with a password, in the wrong
/// variable.
fn shown(value: &str) -> String {
    if value.contains('@') {
        "the value (not shown, it may hold a password)".into()
    } else {
        quoted(value)
    }
}
