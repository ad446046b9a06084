//! Bounds on what clients leave unread: `client-output-buffer-limit`.

use super::arguments::{bytes, is};

/// By kind of client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutputLimits {
    pub(super) normal: Limit,
    /// There are no replicas, so this one is only shown.
    replica: Limit,
    pub(super) subscriber: Limit,
}

/// A client beyond it is disconnected; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limit {
    /// In bytes.
    pub(super) hard: usize,
    /// In bytes, for at most so many seconds.
    pub(super) soft: usize,
    pub(super) seconds: u64,
}

type Class = (&'static str, fn(&mut OutputLimits) -> &mut Limit);

const CLASSES: [Class; 4] = [
    ("NORMAL", |limits| &mut limits.normal),
    ("SLAVE", |limits| &mut limits.replica),
    ("REPLICA", |limits| &mut limits.replica),
    ("PUBSUB", |limits| &mut limits.subscriber),
];

impl Default for OutputLimits {
    /// As in Redis.
    fn default() -> Self {
        let mb = |count: usize| count << 20;
        let limit = |hard, soft| Limit {
            hard,
            soft,
            seconds: 60,
        };
        Self {
            normal: Limit::default(),
            replica: limit(mb(256), mb(64)),
            subscriber: limit(mb(32), mb(8)),
        }
    }
}

impl OutputLimits {
    /// These with the changes that CONFIG SET asks for: a class and three numbers, or several of them.
    pub(super) fn changed(&self, words: &[u8]) -> Result<Self, &'static str> {
        let words = words.split(u8::is_ascii_whitespace);
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        let (changes, rest) = words.as_chunks::<4>();
        if !rest.is_empty() {
            return Err("Wrong number of arguments in buffer limit configuration.");
        }
        let mut changed = self.clone();
        for [class, hard, soft, seconds] in changes {
            let (_, limit) = CLASSES
                .iter()
                .find(|(name, _)| is(class, name))
                .ok_or("Invalid client class specified in buffer limit configuration.")?;
            *limit(&mut changed) = Limit::read(hard, soft, seconds).ok_or(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            )?;
        }
        Ok(changed)
    }

    /// As CONFIG GET shows them.
    pub(super) fn description(&self) -> String {
        let classes = [
            ("normal", self.normal),
            ("slave", self.replica),
            ("pubsub", self.subscriber),
        ];
        let classes = classes
            .map(|(name, limit)| format!("{name} {} {} {}", limit.hard, limit.soft, limit.seconds));
        classes.join(" ")
    }
}

impl Limit {
    fn read(hard: &[u8], soft: &[u8], seconds: &[u8]) -> Option<Self> {
        // More do not fit a C int.
        let seconds: i32 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
        Some(Self {
            hard: bytes(hard)?,
            soft: bytes(soft)?,
            seconds: seconds.try_into().ok()?,
        })
    }

    pub(super) fn is_none(self) -> bool {
        self.hard == 0 && self.soft == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::memory::tests::client::Client;

    const NAME: &str = "client-output-buffer-limit";

    fn set(client: &Client, value: &str) -> String {
        let words = ["CONFIG", "SET", NAME, value];
        let words = words.map(|word| bytes::Bytes::copy_from_slice(word.as_bytes()));
        let reply = client.ask_bytes(&words);
        String::from_utf8_lossy(&reply).trim_end().to_owned()
    }

    #[test]
    fn limits_are_read_as_by_redis() {
        let client = Client::new();
        let get = || client.ask("CONFIG GET client-output-buffer-limit");
        let default = "*2 $26 client-output-buffer-limit $67 normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 \
                       8388608 60";
        assert_eq!(get(), default);
        for (value, fault) in [
            (
                "normal 1",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            (
                "master 1 2 3",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                "normal 0 0 -1",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            (
                "normal 0 0 2147483648",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
        ] {
            let expected =
                format!("-ERR CONFIG SET failed (possibly related to argument '{NAME}') - {fault}");
            assert_eq!(set(&client, value), expected);
        }
        assert_eq!(get(), default);
        assert_eq!(set(&client, "pubsub 0 0 2147483647"), "+OK");
        assert_eq!(set(&client, "pubsub 32mb 8mb 60"), "+OK");
        assert_eq!(set(&client, "NORMAL 1kb 2 3 replica 4 5 6"), "+OK");
        assert!(get().ends_with("normal 1024 2 3 slave 4 5 6 pubsub 33554432 8388608 60"));
    }

    #[test]
    fn a_client_beyond_the_hard_limit_is_disconnected() {
        let client = Client::new();
        let other = Client::of(&client.store);
        assert_eq!(set(&client, "normal 1000 0 0"), "+OK");
        client.ask(&format!("SET a {}", "x".repeat(1000)));
        assert_eq!(other.ask("GET a"), "", "what it has not read is lost");
        assert!(other.is_closing() && !client.is_closing());
        assert_eq!(client.ask("PING"), "+PONG");
    }

    // Tokio's clock stands still, so that no time passes beside what the test lets pass.
    #[tokio::test(start_paused = true)]
    async fn a_subscriber_beyond_the_soft_limit_has_time() {
        let client = Client::new();
        let slow = Client::of(&client.store);
        assert_eq!(set(&client, "pubsub 0 100 5"), "+OK");
        slow.ask("SUBSCRIBE a");
        let message = format!("PUBLISH a {}", "x".repeat(100));
        let pass = |seconds| {
            client
                .store
                .with(|engine| engine.clock.advance(Duration::from_secs(seconds)));
        };
        client.ask(&message);
        pass(4);
        client.ask(&message);
        assert!(!slow.is_closing());
        // Reading in between gives it the whole time again.
        slow.read();
        client.ask("PUBLISH a 1");
        client.ask(&message);
        pass(4);
        client.ask(&message);
        assert!(!slow.is_closing());
        pass(4);
        client.ask(&message);
        assert!(slow.is_closing());
    }
}
