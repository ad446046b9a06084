//! The parameters of a URL.

use url::Url;

use super::{excerpt::quoted, percent::decode, protocol::Protocol};
use crate::tls::Tls;

/// The commands that a new connection does not send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Without {
    pub(super) hello: bool,
    pub(super) client_name: bool,
    pub(super) select: bool,
}

/// The decoded query parameters, each at most once. As in a form, a plus sign stands for a space.
pub(super) fn options(url: &Url, problems: &mut Vec<String>) -> Vec<(String, String)> {
    if url.fragment().is_some() {
        problems.push("has a part after #, which has no meaning here; write # as %23".into());
    }
    let mut options: Vec<(String, String)> = Vec::new();
    for pair in url
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(&name.replace('+', " "), "query parameter", problems);
        let value = decode(&value.replace('+', " "), "query parameter", problems);
        let (Some(name), Some(value)) = (name, value) else {
            continue;
        };
        if options.iter().any(|(known, _)| *known == name) {
            problems.push("gives a query parameter twice".into());
        }
        options.push((name, value));
    }
    options
}

/// The parameters that have the same meaning in every URL.
#[derive(Default)]
pub(super) struct Common {
    pub(super) protocol: Option<Protocol>,
    /// Only in a URL for TLS.
    pub(super) tls: Option<Tls>,
    pub(super) without: Without,
}

impl Common {
    pub(super) fn read(
        &mut self,
        name: &str,
        value: &str,
        after_password: bool,
        problems: &mut Vec<String>,
    ) {
        const HINT: &str = "write & in a password as %26, and use the setters for other settings";
        if let Some(tls) = &mut self.tls
            && let Some(read) = tls.read_option(name, value)
        {
            return problems.extend(read.err());
        }
        let left_out = match name {
            "protocol" => {
                self.protocol = Protocol::from_text(value);
                if self.protocol.is_none() {
                    let texts = Protocol::TEXTS;
                    problems.push(format!("has a `protocol` other than {texts}"));
                }
                return;
            }
            "without_hello" => &mut self.without.hello,
            "without_client_name" => &mut self.without.client_name,
            "without_select" => &mut self.without.select,
            _ if Tls::is_option(name) => {
                return problems.push(format!(
                    "has `{name}`, which is for URLs that begin with rediss://"
                ));
            }
            // The text after a password may be a piece of it, cut off by an unencoded &. A name with other
            // characters than those of options may be one as well.
            _ if !after_password && is_option_name(name) => {
                return problems.push(format!(
                    "has the unknown query parameter {}; {HINT}",
                    quoted(name)
                ));
            }
            _ => {
                return problems.push(format!(
                    "has an unknown query parameter, not named here as it could be secret; {HINT}"
                ));
            }
        };
        *left_out = true;
        if !value.is_empty() {
            problems.push(format!("has a value for `{name}`, which takes none"));
        }
    }
}

fn is_option_name(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphabetic() || b"_-".contains(&byte);
    name.len() <= 32 && name.bytes().all(is_usual)
}
