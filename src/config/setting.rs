//! Settings as text: as variables and files hold them, and as people read them.

use std::time::Duration;

use secrecy::SecretString;

use crate::config::{
    MaintenanceNotifications, Protocol, WhenDown,
    address::Host,
    excerpt::shown,
    quantity::{self, Measure, Quantity},
    url::SecretUrl,
    username::Username,
};
use crate::credentials::CredentialsSource;

/// A type of setting that can be written as text.
pub(in crate::config) trait Setting: Sized {
    /// The values as the reference of the configuration names them.
    const KIND: &'static str;
    /// The type of the values in a JSON Schema.
    const SCHEMA: Schema = Schema::Text;

    /// Reads a value, or tells what is wrong with the text. Spaces around it have been removed, but for secrets.
    fn read(text: &str) -> Result<Self, String>;

    /// The value as a person may see it: with its unit, and with secrets masked.
    fn shown(&self) -> String;

    /// Adds the value as a file holds it: text that can be read again, under its key or those of its parts.
    /// A value that holds a secret is left out.
    #[cfg(feature = "serde")]
    fn write(&self, key: &'static str, texts: &mut Vec<(&'static str, String)>) {
        texts.push((key, self.shown()));
    }
}

/// A type of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Schema {
    Text,
    Seconds,
    Whole,
    Truth,
    Choices(&'static [&'static str]),
    /// A number, or a text such as `2` or `resp3`.
    Version,
    /// A map of parts, or one of these texts.
    Parts(&'static [&'static str]),
}

/// Texts that switch something off.
const OFF: [&str; 4] = ["off", "none", "false", "no"];

/// Whether a text switches an optional setting off.
pub(in crate::config) fn is_off(text: &str) -> bool {
    OFF.contains(&text.to_ascii_lowercase().as_str())
}

/// Whether a text switches something on; else it is not of that kind.
pub(in crate::config) fn check_on(text: &str, kind: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(()),
        _ => Err(not(text, kind)),
    }
}

/// Parts with their keys, as a person may see them: `idle 600 s, count 5`.
pub(in crate::config) fn shown_parts(parts: &[(&'static str, String)]) -> String {
    let part = |(key, value): &(&str, String)| {
        let name = key.split_once('.').map_or(*key, |(_, name)| name);
        format!("{name} {value}")
    };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn quantity<Q: Quantity>(text: &str) -> Result<Q, String> {
    match Q::Measure::read(text) {
        Some(read) => read.map(Q::of),
        None => Err(not(text, Q::Measure::KIND)),
    }
}

pub(in crate::config) fn not(text: &str, kind: &str) -> String {
    format!("{} is not {kind}", shown(text))
}

macro_rules! quantities {
    ($($type:ty: $kind:literal, $schema:expr;)+) => {$(
        impl Setting for $type {
            const KIND: &'static str = $kind;
            const SCHEMA: Schema = $schema;

            fn read(text: &str) -> Result<Self, String> {
                quantity(text)
            }

            fn shown(&self) -> String {
                self.measure().shown()
            }
        }
    )+};
}

quantities! {
    Duration: "seconds", Schema::Seconds;
    usize: "whole number", Schema::Whole;
    u32: "whole number", Schema::Whole;
}

impl Setting for bool {
    const KIND: &'static str = "true or false";
    const SCHEMA: Schema = Schema::Truth;

    fn read(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(not(text, "true or false")),
        }
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

/// The number of a database.
impl Setting for i64 {
    const KIND: &'static str = "whole number";
    const SCHEMA: Schema = Schema::Whole;

    fn read(text: &str) -> Result<Self, String> {
        // Not quoted: a variable such as REDIS_DB_PASSWORD may be meant for something else.
        let number = text.parse().map_err(|_| "is not a database number")?;
        quantity::number(number)
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

/// A port.
impl Setting for u16 {
    const KIND: &'static str = "whole number";
    const SCHEMA: Schema = Schema::Whole;

    fn read(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(port) if port > 0 => Ok(port),
            // The variable that Kubernetes sets for a service, see
            // <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
            _ if text.starts_with("tcp://") => Err(
                "is not a port from 1 to 65535, but the address that Kubernetes sets for a service named redis; set \
                 REDIS_URL, or enableServiceLinks: false"
                    .into(),
            ),
            _ => Err(not(text, "a port from 1 to 65535")),
        }
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Setting for Host {
    const KIND: &'static str = "text";

    fn read(text: &str) -> Result<Self, String> {
        let host = Self::new(text);
        host.check().map(|()| host)
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn shown(&self) -> String {
        self.clone()
    }
}

/// What explanations show of a secret.
const MASKED: &str = "***";

impl Setting for Username {
    const KIND: &'static str = "text";

    fn read(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }

    fn shown(&self) -> String {
        MASKED.into()
    }

    #[cfg(feature = "serde")]
    fn write(&self, _: &'static str, _: &mut Vec<(&'static str, String)>) {}
}

impl Setting for SecretString {
    const KIND: &'static str = "text";

    fn read(text: &str) -> Result<Self, String> {
        Ok(Self::from(text.to_owned()))
    }

    fn shown(&self) -> String {
        MASKED.into()
    }

    #[cfg(feature = "serde")]
    fn write(&self, _: &'static str, _: &mut Vec<(&'static str, String)>) {}
}

impl Setting for SecretUrl {
    const KIND: &'static str = "URL";

    fn read(text: &str) -> Result<Self, String> {
        let url = Self::new(text);
        match url.parse() {
            Ok(location) => match location.number.map(quantity::number) {
                Some(Err(message)) => Err(message),
                Some(Ok(_)) | None => Ok(url),
            },
            Err(messages) => Err(messages.join("; ")),
        }
    }

    /// Without the login.
    fn shown(&self) -> String {
        match self.parse() {
            Ok(location) => location.shown(),
            Err(_) => "(not readable)".into(),
        }
    }

    /// Without the login, so that the same place is refused, and no other one is used.
    #[cfg(feature = "serde")]
    fn write(&self, key: &'static str, texts: &mut Vec<(&'static str, String)>) {
        let text = match self.parse() {
            Ok(location) if location.is_public() => self.exposed().trim().to_owned(),
            Ok(location) => location.shown(),
            Err(_) => return,
        };
        texts.push((key, text));
    }
}

impl Setting for Protocol {
    const KIND: &'static str = "2, 3, resp2 or resp3";
    const SCHEMA: Schema = Schema::Version;

    fn read(text: &str) -> Result<Self, String> {
        Self::from_text(text).ok_or_else(|| not(text, Self::TEXTS))
    }

    fn shown(&self) -> String {
        match self {
            Self::Resp2 => "resp2".into(),
            Self::Resp3 => "resp3".into(),
        }
    }
}

impl Setting for WhenDown {
    const KIND: &'static str = "refuse or wait";
    const SCHEMA: Schema = Schema::Choices(&["refuse", "wait"]);

    fn read(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "refuse" => Ok(Self::Refuse),
            "wait" => Ok(Self::Wait),
            _ => Err(not(text, Self::KIND)),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Refuse => "refuse".into(),
            Self::Wait => "wait".into(),
        }
    }
}

impl Setting for MaintenanceNotifications {
    const KIND: &'static str =
        "auto, off, internal-ip, internal-fqdn, external-ip, external-fqdn or no-address";
    const SCHEMA: Schema = Schema::Choices(&[
        "auto",
        "off",
        "internal-ip",
        "internal-fqdn",
        "external-ip",
        "external-fqdn",
        "no-address",
    ]);

    fn read(text: &str) -> Result<Self, String> {
        Self::from_text(&text.to_ascii_lowercase()).ok_or_else(|| not(text, Self::KIND))
    }

    fn shown(&self) -> String {
        self.text().into()
    }
}

/// A file or a command; a provider is given in code.
impl Setting for CredentialsSource {
    const KIND: &'static str = "file: and a path, or command: and a command";

    fn read(text: &str) -> Result<Self, String> {
        let part = |prefix| text.strip_prefix(prefix).map(str::trim);
        match (part("file:"), part("command:")) {
            (Some(path), _) if !path.is_empty() => Ok(Self::file(path)),
            (_, Some(command)) if !command.is_empty() => Ok(Self::command(command)),
            // Not quoted: it may be a password.
            _ => Err(format!("is not {}", Self::KIND)),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::File(path) => format!("file:{}", path.display()),
            // It may hold a secret.
            Self::Command(_) => format!("command:{MASKED}"),
            Self::Provider(_) => "a provider".into(),
        }
    }

    #[cfg(feature = "serde")]
    fn write(&self, key: &'static str, texts: &mut Vec<(&'static str, String)>) {
        if let Self::File(_) = self {
            texts.push((key, self.shown()));
        }
    }
}

/// A setting that may be left out.
impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    const SCHEMA: Schema = T::SCHEMA;

    fn read(text: &str) -> Result<Self, String> {
        T::read(text).map(Some)
    }

    fn shown(&self) -> String {
        self.as_ref().map_or("none".into(), T::shown)
    }

    #[cfg(feature = "serde")]
    fn write(&self, key: &'static str, texts: &mut Vec<(&'static str, String)>) {
        match self {
            Some(value) => value.write(key, texts),
            None => texts.push((key, "none".into())),
        }
    }
}
