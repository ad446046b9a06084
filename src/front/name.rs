//! The names of the commands that concern the session of a client.

/// A name for a text, in capitals and without anything that a terminal would obey.
pub(super) fn upper(name: &[u8]) -> String {
    const LONGEST: usize = 32;
    let name = &name[..name.len().min(LONGEST)];
    name.to_ascii_uppercase().escape_ascii().to_string()
}

/// The commands that concern the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Hello,
    Auth,
    Select,
    Client,
    Ping,
    Echo,
    Quit,
    Reset,
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
    Subscribe,
    Unsubscribe,
    Monitor,
    /// The lines of a browser that was sent here by a web page, as Redis knows them as well.
    Http,
}

impl Name {
    const LONGEST: usize = 12;

    /// `None` for all other commands.
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        let mut upper = [0; Self::LONGEST];
        let upper = upper.get_mut(..word.len())?;
        upper.copy_from_slice(word);
        upper.make_ascii_uppercase();
        Some(match &*upper {
            b"HELLO" => Self::Hello,
            b"AUTH" => Self::Auth,
            b"SELECT" => Self::Select,
            b"CLIENT" => Self::Client,
            b"PING" => Self::Ping,
            b"ECHO" => Self::Echo,
            b"QUIT" => Self::Quit,
            b"RESET" => Self::Reset,
            b"MULTI" => Self::Multi,
            b"EXEC" => Self::Exec,
            b"DISCARD" => Self::Discard,
            b"WATCH" => Self::Watch,
            b"UNWATCH" => Self::Unwatch,
            b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" => Self::Subscribe,
            b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => Self::Unsubscribe,
            b"MONITOR" => Self::Monitor,
            b"POST" | b"HOST:" => Self::Http,
            _ => return None,
        })
    }
}
