//! The settings of TLS: their keys and texts, and what a URL adds.

use super::{
    field::Field,
    layer::{Layered, Origin},
    setting::{Schema, Setting, not, shown_parts},
};
use crate::tls::{Pem, Tls};

/// From the rows of the table: the reading of each part from text, the parts as text, and the table as data.
macro_rules! parts {
    ($(
        #[doc = $sentence:literal]
        $key:literal: $type:ty, default($default:literal), range($range:literal), example($example:literal)
            $(, variable($variable:literal))? $(, names($($names:literal),+))?,
            |$tls:ident| $place:expr, $put:expr, $shown:expr;
    )+) => {
        impl Tls {
            /// Sets a part from text. The key is one of the table.
            pub(super) fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $($key => {
                        let value = <$type as Setting>::read(text)?;
                        let $tls = self;
                        $place = ($put)(value);
                    })+
                    _ => unreachable!("BUG: {key} is no part of tls"),
                }
                Ok(())
            }

            /// The parts that are given, as text, each with its key. Certificates and keys in the program are left out.
            fn parts(&self) -> Vec<(&'static str, String)> {
                let mut parts = Vec::new();
                $({
                    let $tls = self;
                    let shown: Option<String> = ($shown)(&$place);
                    parts.extend(shown.map(|shown| ($key, shown)));
                })+
                parts
            }

            /// The table as data.
            pub(super) const FIELDS: &'static [Field] = &[$(Field {
                key: $key,
                names: &[$($($names),+)?],
                #[cfg(test)]
                unit: <$type as Setting>::KIND,
                schema: <$type as Setting>::SCHEMA,
                #[cfg(test)]
                range: $range,
                #[cfg(test)]
                default: $default,
                example: $example,
                variable: variable!($($variable)?),
                #[cfg(test)]
                sentence: $sentence,
            },)+];
        }
    };
}

parts! {
    /// Whether TLS is used.
    "tls.enabled": bool, default("as the URL says; on if another part is given"), range("true or false"),
        example("true"), variable("REDIS_SSL"),
        |tls| tls.enabled, Some, |given: &Option<bool>| given.map(|on| on.to_string());

    /// The file with the certificates of the authorities to trust, instead of those of the operating system.
    "tls.ca_file": String, default("those of the operating system"), range("the path of a file in PEM form"),
        example("/etc/redis/ca.pem"), variable("REDIS_SSL_CA_CERTS"),
        names("tls.ca_certs", "tls.ca_path"),
        |tls| tls.ca, file, path;

    /// The file with the certificate of this client.
    "tls.cert_file": String, default("none"), range("the path of a file in PEM form"),
        example("/etc/redis/client.pem"), variable("REDIS_SSL_CERTFILE"),
        names("tls.certfile", "tls.cert_path"),
        |tls| tls.certificate, file, path;

    /// The file with the private key of this client.
    "tls.key_file": String, default("none"), range("the path of a file in PEM form"),
        example("/etc/redis/client.key"), variable("REDIS_SSL_KEYFILE"),
        names("tls.keyfile", "tls.key_path"),
        |tls| tls.key, file, path;

    /// The name that the server's certificate has to be for.
    "tls.server_name": String, default("the host of the address"), range("a host name or an IP address"),
        example("cache.internal"),
        |tls| tls.server_name, Some, Clone::clone;

    /// Whether any certificate of the server is accepted, so that anybody can pass for it.
    "tls.dangerous_accept_invalid_certificates": bool, default("false"), range("true or false"), example("false"),
        |tls| tls.accepts_invalid_certificates, Some, |given: &Option<bool>| given.map(|accepts| accepts.to_string());
}

/// Whether a key names a file.
pub(super) fn is_file(key: &str) -> bool {
    key.starts_with("tls.") && key.ends_with("_file")
}

fn file(path: String) -> Option<Pem> {
    Some(Pem::File(path.into()))
}

fn path(pem: &Option<Pem>) -> Option<String> {
    Some(pem.as_ref()?.path()?.display().to_string())
}

/// `true` for the defaults; its parts have keys of their own.
impl Setting for Tls {
    const KIND: &'static str = "true, false, or a map of parts such as ca_file";
    const SCHEMA: Schema = Schema::Parts(&["true", "false"]);

    fn read(text: &str) -> Result<Self, String> {
        match bool::read(text) {
            Ok(true) => Ok(Self::new()),
            Ok(false) => Ok(Self::off()),
            Err(_) => Err(not(text, Self::KIND)),
        }
    }

    fn shown(&self) -> String {
        shown_parts(&self.parts())
    }

    #[cfg(feature = "serde")]
    fn write(&self, _: &'static str, texts: &mut Vec<(&'static str, String)>) {
        texts.extend(self.parts());
    }
}

/// The parameters of a URL, each with the key that it sets. Some have the names that other clients use.
const OPTIONS: [(&str, &str); 8] = [
    ("ca_file", "tls.ca_file"),
    ("cert_file", "tls.cert_file"),
    ("key_file", "tls.key_file"),
    ("server_name", "tls.server_name"),
    (
        "dangerous_accept_invalid_certificates",
        "tls.dangerous_accept_invalid_certificates",
    ),
    ("ssl_ca_certs", "tls.ca_file"),
    ("ssl_certfile", "tls.cert_file"),
    ("ssl_keyfile", "tls.key_file"),
];

impl Tls {
    /// Whether this is a parameter of URLs for TLS.
    pub(super) fn is_option(name: &str) -> bool {
        OPTIONS.iter().any(|(option, _)| *option == name)
    }

    /// Reads a parameter of a URL, if it is one of TLS.
    pub(super) fn read_option(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
        let (_, key) = OPTIONS.iter().find(|(option, _)| *option == name)?;
        if value.is_empty() {
            return Some(Err(format!("has `{name}` without a value")));
        }
        let read = self.set(key, value);
        Some(read.map_err(|error| format!("has a wrong `{name}`: {error}")))
    }

    /// These settings, and those of others for what they leave open.
    fn over(self, weaker: Self) -> Self {
        // A key belongs to its certificate.
        let (certificate, key) = match (&self.certificate, &self.key) {
            (None, None) => (weaker.certificate, weaker.key),
            _ => (self.certificate, self.key),
        };
        Self {
            enabled: self.enabled.or(weaker.enabled),
            ca: self.ca.or(weaker.ca),
            certificate,
            key,
            server_name: self.server_name.or(weaker.server_name),
            accepts_invalid_certificates: self
                .accepts_invalid_certificates
                .or(weaker.accepts_invalid_certificates),
        }
    }
}

/// What holds for a database whose URL says so much.
///
/// # Errors
/// The URL asks for TLS, and the settings switch it off.
pub(super) fn merged(
    given: &Layered<Option<Tls>>,
    of_url: Option<Tls>,
    url: &Origin,
) -> Result<Layered<Option<Tls>>, String> {
    let (tls, origin) = match (given.get().clone(), of_url) {
        (None, None) => return Ok(Layered::new(None)),
        (None, Some(of_url)) => (of_url, url),
        (Some(tls), None) => (tls, given.origin()),
        (Some(tls), Some(_)) if tls.enabled == Some(false) => {
            return Err(
                "is off, and the URL asks for TLS; write redis:// in the URL, or leave this out"
                    .into(),
            );
        }
        (Some(tls), Some(of_url)) if given.origin().rank() >= url.rank() => {
            (tls.over(of_url), given.origin())
        }
        (Some(tls), Some(of_url)) => (of_url.over(tls), url),
    };
    let is_on = tls.enabled.unwrap_or(true);
    let tls = is_on.then(|| Tls {
        enabled: Some(true),
        ..tls
    });
    Ok(Layered::given(tls, origin.clone()))
}
