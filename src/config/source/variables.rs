//! Reading environment variables, and collecting what is wrong with them.

use std::{ffi::OsString, net::Ipv6Addr, str::FromStr, time::Duration};

use crate::config::{
    Problem,
    address::{Address, is_host_name},
    error::quoted,
    limits,
};

/// Finds the value of a variable.
pub(super) trait Lookup: Fn(&str) -> Option<OsString> {}

impl<F: Fn(&str) -> Option<OsString>> Lookup for F {}

/// The variables, and the problems found while reading them.
pub(super) struct Environment<L> {
    lookup: L,
    pub(super) problems: Vec<Problem>,
}

impl<L: Lookup> Environment<L> {
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

    /// A value exactly as it stands, since a space can be part of a password.
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

    /// A value that is parsed, then checked.
    pub(super) fn read<T: FromStr>(
        &mut self,
        variable: &str,
        example: &str,
        kind: &str,
        check: impl FnOnce(T) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(variable)?;
        let checked = match text.parse() {
            Ok(value) => check(value),
            Err(_) => Err(format!("{} is not {kind}", shown(&text))),
        };
        checked
            .map_err(|message| {
                self.problem(variable, format!("{message}, as in {variable}={example}"))
            })
            .ok()
    }

    pub(super) fn seconds(&mut self, variable: &str, example: &str) -> Option<Duration> {
        let check = |seconds: f64| match Duration::try_from_secs_f64(seconds) {
            Ok(duration) => limits::duration(duration, &limits::DURATION).map(|_| seconds),
            Err(_) => Err(format!("{seconds} is not a usable number of seconds")),
        };
        self.read(variable, example, "a number of seconds", check)
            .map(Duration::from_secs_f64)
    }

    /// The host as it stands in a URL; `None` if it is unusable.
    pub(super) fn host(&mut self) -> Option<String> {
        const VARIABLE: &str = "REDIS_HOST";
        let Some(host) = self.text(VARIABLE) else {
            // Not UTF-8 is not the same as not there, but has been reported.
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
        // Not quoted: people put whole URLs here, with passwords.
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
            // What Kubernetes sets for a service, see
            // <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
            _ if text.starts_with("tcp://") => self.problem(
                VARIABLE,
                "is not a port from 1 to 65535, as in REDIS_PORT=6379, but what Kubernetes sets \
                 for a service named redis; set REDIS_URL, or enableServiceLinks: false",
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

/// A value as a message may show it. One with an @ may be a URL with a password, put into the wrong
/// variable.
fn shown(value: &str) -> String {
    if value.contains('@') {
        "the value (not shown, it may hold a password)".into()
    } else {
        quoted(value)
    }
}
