//! Where a node of a cluster sends a client.

use crate::policy::slots::Slot;

/// A redirect: the slot of a key, and the node that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Redirect<'a> {
    pub(crate) slot: Slot,
    /// Empty for the host of the node that sends the client away. An IPv6 address has no brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The slot is being moved: the node is to be asked for this command alone, and the slot stays where it is.
    pub(crate) is_ask: bool,
}

impl<'a> Redirect<'a> {
    /// Reads `MOVED 3999 127.0.0.1:6381` or `ASK …`; `None` if it is something else.
    pub(crate) fn of(code: &str, text: &'a str) -> Option<Self> {
        let is_ask = match code {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let mut words = text.split_ascii_whitespace();
        let slot = words.next()?.parse().ok().and_then(Slot::new)?;
        // The host may be an IPv6 address, which has colons, too.
        let (host, port) = words.next()?.rsplit_once(':')?;
        Some(Self {
            slot,
            host: if host == "?" { "" } else { host },
            port: port.parse().ok().filter(|port| *port > 0)?,
            is_ask,
        })
    }
}

/// Whether an error reply says that the command is to run elsewhere, or here in a moment.
pub(crate) fn is_away(code: &str, text: &str) -> bool {
    Redirect::of(code, text).is_some() || will_pass(code, text)
}

/// Whether the command will be accepted in a moment, here or at another node. The server's own words are asked for, since a
/// script may answer with the code.
pub(crate) fn will_pass(code: &str, text: &str) -> bool {
    match code {
        "TRYAGAIN" => text.starts_with("Multiple keys request during rehashing"),
        "CLUSTERDOWN" => ["The cluster is down", "Hash slot not served"]
            .iter()
            .any(|own| text.starts_with(own)),
        // A command that blocked at a primary that is a replica now.
        "UNBLOCKED" => text.contains("instance state changed"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_name_a_slot_and_a_node() {
        let read = |code, text| {
            let redirect = Redirect::of(code, text)?;
            let Redirect {
                slot,
                host,
                port,
                is_ask,
            } = redirect;
            Some((slot.number(), host, port, is_ask))
        };
        assert_eq!(
            read("MOVED", "3999 127.0.0.1:6381"),
            Some((3999, "127.0.0.1", 6381, false))
        );
        assert_eq!(read("ASK", "0 ::1:1"), Some((0, "::1", 1, true)));
        assert_eq!(read("MOVED", "16383 :6381"), Some((16383, "", 6381, false)));
        assert_eq!(read("MOVED", "1 ?:6381"), Some((1, "", 6381, false)));
        for (code, text) in [
            ("MOVED", ""),
            ("MOVED", "1"),
            ("MOVED", "16384 h:1"),
            ("MOVED", "1 h:0"),
            ("MOVED", "1 h:65536"),
            ("MOVED", "1 h"),
            ("ERR", "1 h:1"),
        ] {
            assert_eq!(read(code, text), None, "{code} {text}");
        }
    }
}
