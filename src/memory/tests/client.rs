//! A client for the unit tests of commands.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::memory::{
    session::ClientId,
    store::{Mode, Store},
};

/// Sends commands to a server of its own, or of another client, and reads replies as they are on the wire.
pub(in crate::memory) struct Client {
    pub(in crate::memory) store: Store,
    pub(in crate::memory) id: ClientId,
}

impl Client {
    pub(in crate::memory) fn new() -> Self {
        Self::of_new_server(Mode::Alone)
    }

    pub(in crate::memory) fn of_new_server(mode: Mode) -> Self {
        Self::of(&Store::new("test".into(), mode))
    }

    pub(in crate::memory) fn of(store: &Store) -> Self {
        let id = store.with(|engine| engine.accept("test".into(), None));
        Self {
            store: store.clone(),
            id,
        }
    }

    /// Sends a command whose words are separated by spaces, and returns all that there is to read. Lines are
    /// separated by spaces, too.
    pub(in crate::memory) fn ask(&self, command: &str) -> String {
        let words: Vec<Bytes> = command
            .split(' ')
            .map(|word| Bytes::copy_from_slice(word.as_bytes()))
            .collect();
        shown(&self.ask_bytes(&words))
    }

    /// Sends commands, one after the other, and checks their replies.
    #[track_caller]
    pub(in crate::memory) fn expect(&self, pairs: &[(&str, &str)]) {
        for (command, reply) in pairs {
            assert_eq!(self.ask(command), *reply, "{command}");
        }
    }

    /// Sends a command, and returns the bytes that there are to read.
    pub(in crate::memory) fn ask_bytes(&self, words: &[Bytes]) -> BytesMut {
        self.send(words);
        self.read_bytes()
    }

    pub(in crate::memory) fn send(&self, words: &[Bytes]) {
        let mut request = BytesMut::new();
        request.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.store.with(|engine| engine.receive(self.id, &request));
    }

    /// All that there is to read, as [`ask`](Self::ask) returns it.
    pub(in crate::memory) fn read(&self) -> String {
        shown(&self.read_bytes())
    }

    /// Lets the time pass until something happens for the client by itself, such as the end of its wait.
    pub(in crate::memory) fn wait(&self) {
        let left = self.store.with(|engine| {
            let next = engine.next_time(self.id)?;
            Some(next.saturating_sub(engine.clock.millis()))
        });
        if let Some(left) = left {
            std::thread::sleep(Duration::from_millis(left));
            self.store.with(|engine| engine.tick(self.id));
        }
    }

    /// Whether its connection is at its end, or will be once it has read all.
    pub(in crate::memory) fn is_closing(&self) -> bool {
        self.store.with(|engine| {
            let session = engine.sessions.get(&self.id);
            session.is_none_or(|session| session.is_closing)
        })
    }

    pub(in crate::memory) fn read_bytes(&self) -> BytesMut {
        self.store.with(|engine| {
            let session = engine
                .sessions
                .get_mut(&self.id)
                .expect("a client that is connected");
            session.read(usize::MAX)
        })
    }
}

fn shown(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let text = text.strip_suffix("\r\n").unwrap_or(&text);
    text.replace("\r\n", " ")
}

impl Drop for Client {
    fn drop(&mut self) {
        self.store.with(|engine| engine.disconnect(self.id));
    }
}
