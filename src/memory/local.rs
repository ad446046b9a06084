//! A client that runs commands on a server at once, without a stream.

use bytes::BytesMut;

use super::{
    keyspace::Millis,
    session::ClientId,
    settings::Eviction,
    store::{Mode, Store},
};

/// The only client of a server that only it can reach.
#[derive(Debug)]
pub(crate) struct LocalClient {
    store: Store,
    id: ClientId,
}

/// What a server holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) keys: usize,
    pub(crate) bytes: usize,
    /// The number of keys that have been evicted so far.
    pub(crate) evicted: u64,
}

impl LocalClient {
    /// A new server that holds at most so many keys and bytes. Beyond that the keys go that were not used for
    /// longest.
    pub(crate) fn of_new_server(max_keys: usize, max_bytes: usize) -> Self {
        let store = Store::private(Mode::Alone);
        let id = store.with(|engine| {
            // The engine makes room before a command, for one key more.
            engine.settings.max_keys = max_keys.saturating_add(1);
            engine.settings.max_bytes = max_bytes;
            engine.settings.eviction = Eviction::LeastRecentlyUsed;
            engine.accept(String::new(), None)
        });
        Self { store, id }
    }

    /// Runs encoded commands, and returns their encoded replies. The bounds hold again when it returns.
    pub(crate) fn run(&self, commands: &[u8]) -> BytesMut {
        let mut replies = BytesMut::new();
        self.store.with(|engine| {
            engine.receive(self.id, commands);
            loop {
                let read = engine.session(self.id).read(usize::MAX);
                if read.is_empty() {
                    break;
                }
                replies.extend_from_slice(&read);
                // It does no more for a client that has much to read.
                engine.tick(self.id);
            }
            engine.make_room();
        });
        replies
    }

    /// The time of the server.
    pub(crate) fn now(&self) -> Millis {
        self.store.with(|engine| engine.clock.millis())
    }

    /// When a key expires; `None` if there is no such key.
    pub(crate) fn expiry(&self, key: &[u8]) -> Option<Option<Millis>> {
        self.store.with(|engine| {
            engine.expire();
            let database = engine.keyspace.get(0)?;
            database.contains(key).then(|| database.expiry(key))
        })
    }

    pub(crate) fn held(&self) -> Held {
        self.store.with(|engine| {
            engine.expire();
            Held {
                keys: engine.keyspace.all().map(|database| database.len()).sum(),
                bytes: engine.keyspace.bytes(),
                evicted: engine.settings.evicted,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_after_every_command() {
        let client = LocalClient::of_new_server(2, 10_000);
        assert_eq!(
            &*client.run(b"MSET a 1 b 2 c 3 d 4\r\nGET d\r\n"),
            b"+OK\r\n$1\r\n4\r\n"
        );
        let held = client.held();
        assert_eq!((held.keys, held.evicted), (2, 2));
        for number in 0..100 {
            let command = format!("SET k{number} {}\r\n", "x".repeat(3_000));
            assert_eq!(&*client.run(command.as_bytes()), b"+OK\r\n");
            let held = client.held();
            assert!(held.keys <= 2 && held.bytes < 10_000, "{held:?}");
        }
    }

    #[test]
    fn the_expiry_of_a_key_is_told_without_using_it() {
        let client = LocalClient::of_new_server(10, 10_000);
        client.run(b"SET a 1\r\nSET b 1 PXAT 99999999999999\r\n");
        assert_eq!(client.expiry(b"a"), Some(None));
        assert_eq!(client.expiry(b"b"), Some(Some(99_999_999_999_999)));
        assert_eq!(client.expiry(b"c"), None);
    }

    #[test]
    fn replies_of_any_size_are_read() {
        let client = LocalClient::of_new_server(10, 1 << 24);
        let value = "x".repeat(1 << 20);
        client.run(
            format!(
                "*3\r\n$3\r\nSET\r\n$1\r\na\r\n${}\r\n{value}\r\n",
                value.len()
            )
            .as_bytes(),
        );
        let replies = client.run(&b"GET a\r\n".repeat(5));
        assert_eq!(replies.len(), 5 * (value.len() + 12));
    }
}
