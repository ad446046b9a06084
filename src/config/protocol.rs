//! The version of the protocol.

/// The version of the Redis protocol that connections speak.
///
/// It decides the shape of some replies: a sorted set with its scores is a flat list of strings in RESP2, and
/// a list of pairs with numbers in RESP3. Conversions of the `redis` crate to maps and pairs accept both.
/// Some others accept one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// RESP2, which every server speaks. It is the default of the `redis` crate as well.
    #[default]
    Resp2,
    /// RESP3, which servers speak since Redis 6.0. With one that refuses it, a connection goes on in RESP2.
    Resp3,
}

impl Protocol {
    /// The texts that can be read as a version, as in a URL of the `redis` crate.
    pub(super) const TEXTS: &'static str = "2, 3, resp2 or resp3";

    pub(super) fn from_text(text: &str) -> Option<Self> {
        match text {
            "2" | "resp2" => Some(Self::Resp2),
            "3" | "resp3" => Some(Self::Resp3),
            _ => None,
        }
    }
}
