//! The behaviour of a [`ScriptedServer`](super::ScriptedServer) on a connection.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use super::resp::bulk;

/// The behaviour of the peer on one connection.
#[derive(Clone)]
pub struct Script(pub(super) Act);

#[derive(Clone)]
pub(super) enum Act {
    Answer(Arc<Answering>),
    Session(Arc<Beginning>),
    Raw(Vec<u8>),
    Endless(Vec<u8>),
    Http,
    Silent,
    Close,
}

pub(super) type Answering = dyn Fn(&[Vec<u8>]) -> Answer + Send + Sync;

/// Makes the answers of one connection.
pub(super) type Beginning = dyn Fn() -> Box<dyn FnMut(&[Vec<u8>]) -> Answer> + Send + Sync;

pub(super) enum Answer {
    Bytes(Vec<u8>),
    Close,
}

impl Script {
    /// Answers HELLO, AUTH, SELECT, CLIENT and PING as a server would, and
    /// every other command with `+OK`.
    pub fn answer_handshake() -> Self {
        Self::answering(|_| b"+OK\r\n".to_vec())
    }

    /// Answers the handshake, and the commands after it with these bytes, one
    /// item each; then no command is answered any more. Played on several
    /// connections, it continues where it was.
    pub fn replies<B: Into<Vec<u8>>>(replies: impl IntoIterator<Item = B>) -> Self {
        Self::queue(replies, || Answer::Bytes(Vec::new()))
    }

    /// [`replies`](Self::replies) that closes instead of falling silent.
    pub fn replies_then_close<B: Into<Vec<u8>>>(replies: impl IntoIterator<Item = B>) -> Self {
        Self::queue(replies, || Answer::Close)
    }

    /// Answers the handshake, and every other command with the bytes from `answer`.
    pub fn answering(answer: impl Fn(&[Vec<u8>]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering_all(move |command| handshake(command).unwrap_or_else(|| answer(command)))
    }

    /// [`answering`](Self::answering) that gets the handshake as well.
    pub fn answering_all(answer: impl Fn(&[Vec<u8>]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self(Act::Answer(Arc::new(move |command| {
            Answer::Bytes(answer(command))
        })))
    }

    /// Answers by a closure that `begin` makes for each connection, so that it may have a state. `None`
    /// closes the connection, and no bytes are silence.
    pub fn sessions<F>(begin: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: FnMut(&[Vec<u8>]) -> Option<Vec<u8>> + 'static,
    {
        Self(Act::Session(Arc::new(move || {
            let mut answer = begin();
            Box::new(move |command| answer(command).map_or(Answer::Close, Answer::Bytes))
        })))
    }

    /// Answers the handshake, closes at this command, and answers every other one with `+OK`.
    pub fn hanging_up_at(words: &'static [&'static str]) -> Self {
        Self(Act::Answer(Arc::new(move |command| {
            let mut pairs = words.iter().zip(command);
            let is_it = command.len() >= words.len()
                && pairs.all(|(word, arg)| arg.eq_ignore_ascii_case(word.as_bytes()));
            if is_it {
                return Answer::Close;
            }
            Answer::Bytes(handshake(command).unwrap_or(b"+OK\r\n".to_vec()))
        })))
    }

    /// Writes these bytes at once, and then only listens.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Act::Raw(bytes.into()))
    }

    /// Writes these bytes again and again until the client closes.
    pub fn endless(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Act::Endless(bytes.into()))
    }

    /// Answers the first bytes as a web server would, and closes.
    pub fn http() -> Self {
        Self(Act::Http)
    }

    /// Reads and never writes.
    pub fn silent() -> Self {
        Self(Act::Silent)
    }

    /// Closes as soon as it has accepted.
    pub fn close() -> Self {
        Self(Act::Close)
    }

    fn queue<B: Into<Vec<u8>>>(replies: impl IntoIterator<Item = B>, end: fn() -> Answer) -> Self {
        let replies: VecDeque<Vec<u8>> = replies.into_iter().map(Into::into).collect();
        let replies = Mutex::new(replies);
        Self(Act::Answer(Arc::new(move |command| {
            match handshake(command) {
                Some(bytes) => Answer::Bytes(bytes),
                None => replies
                    .lock()
                    .unwrap()
                    .pop_front()
                    .map_or_else(end, Answer::Bytes),
            }
        })))
    }
}

/// The reply of a server to a command of the handshake; `None` for other commands.
pub fn handshake(command: &[Vec<u8>]) -> Option<Vec<u8>> {
    let argument = command.get(1);
    Some(if is(command, "HELLO") {
        let resp3 = argument.is_some_and(|version| version == b"3");
        let (header, proto) = if resp3 { ("%4", ":3") } else { ("*8", ":2") };
        let (server, version) = (
            "$6\r\nserver\r\n$5\r\nredis",
            "$7\r\nversion\r\n$6\r\n7.0.15",
        );
        let role = "$4\r\nrole\r\n$6\r\nmaster";
        format!("{header}\r\n{server}\r\n{version}\r\n$5\r\nproto\r\n{proto}\r\n{role}\r\n")
            .into_bytes()
    } else if is(command, "PING") {
        argument.map_or(b"+PONG\r\n".to_vec(), bulk)
    } else if is(command, "CLIENT") && argument.is_some_and(|sub| sub.eq_ignore_ascii_case(b"ID")) {
        b":1\r\n".to_vec()
    } else if ["AUTH", "SELECT", "CLIENT"]
        .iter()
        .any(|name| is(command, name))
    {
        b"+OK\r\n".to_vec()
    } else {
        return None;
    })
}

/// Whether the command has this name.
pub(super) fn is(command: &[Vec<u8>], name: &str) -> bool {
    command
        .first()
        .is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
}
