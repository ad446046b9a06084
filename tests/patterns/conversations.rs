//! Conversations: JSON under `chat:conversation:<id>` for a day. Each call is bounded by two seconds, a file has what Redis
//! cannot take, and Redis gets it back in the background.

use std::{path::PathBuf, sync::Arc, time::Duration};

use redis_steward::{Database, Error};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    common::eventually_async,
    site::{SLACK, SOON, Setup, on_every_site},
};

on_every_site!(nothing_said_is_lost);

const DAY: u64 = 86_400;
const BOUND: Duration = Duration::from_secs(2);

/// One conversation. Its revision grows with each message, so that the newer of two copies is known.
struct Conversation {
    redis: Database,
    file: PathBuf,
    /// One writer at a time.
    turn: Mutex<()>,
}

const KEY: &str = "chat:conversation:7";

impl Conversation {
    async fn add(&self, message: usize) {
        let _turn = self.turn.lock().await;
        let mut conversation = self.load().await;
        let messages = conversation["messages"].as_array_mut().expect("a list");
        messages.push(message.into());
        let revision = messages.len();
        conversation["revision"] = revision.into();
        std::fs::write(&self.file, conversation.to_string()).expect("a file that can be written");
        // A failure is no loss: the file is newer then.
        let _ = self.store(&conversation).await;
    }

    /// The newer of the copies.
    async fn load(&self) -> Value {
        let of_file = std::fs::read_to_string(&self.file).ok();
        let get = redis::cmd("GET").arg(KEY).take();
        let of_redis = self.redis.query::<Option<String>>(get).await.ok().flatten();
        let parse = |text: String| serde_json::from_str(&text).expect("JSON, as it was stored");
        let copies = [of_file, of_redis].into_iter().flatten().map(parse);
        copies
            .max_by_key(|copy: &Value| copy["revision"].as_u64())
            .unwrap_or_else(|| json!({"revision": 0, "messages": []}))
    }

    async fn store(&self, conversation: &Value) -> Result<(), Error> {
        let set = redis::cmd("SETEX")
            .arg(KEY)
            .arg(DAY)
            .arg(conversation.to_string())
            .take();
        self.redis.query(set).await
    }

    /// Gives Redis what it lacks.
    async fn repopulate(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        self.store(&self.load().await).await
    }
}

async fn nothing_said_is_lost(setup: Setup) {
    let mut site = setup.start(|program| program).await;
    let dir = TempDir::new().expect("a temporary directory");
    let conversation = Arc::new(Conversation {
        redis: site.redis.with_timeout(BOUND),
        file: dir.path().join("7.json"),
        turn: Mutex::default(),
    });
    let talking = conversation.clone();
    let took = site
        .through(move |message| {
            let talking = talking.clone();
            async move {
                let start = Instant::now();
                talking.add(message).await;
                start.elapsed()
            }
        })
        .await;

    // A message is two calls.
    let longest = took.iter().max().expect("messages");
    assert!(*longest < 2 * BOUND + SLACK, "{longest:?}");
    let conversation = Arc::new(Conversation {
        redis: site.redis.with_timeout(SOON),
        file: dir.path().join("7.json"),
        turn: Mutex::default(),
    });
    let repopulating = conversation.clone();
    let repopulated = tokio::spawn(async move { repopulating.repopulate().await });
    repopulated.await.expect("no panic").expect("stored");
    let messages: Vec<usize> = (0..took.len()).collect();
    for copy in [
        conversation.load().await,
        serde_json::from_str(&site.there::<String>(&format!("GET {KEY}")).await).expect("JSON"),
    ] {
        assert_eq!(copy["messages"], json!(messages));
    }
    let left: u64 = site.there(&format!("TTL {KEY}")).await;
    assert!((DAY - 100..=DAY).contains(&left), "{left}");
    // An application that has lost its files has all in Redis.
    std::fs::remove_file(dir.path().join("7.json")).expect("a file");
    assert_eq!(conversation.load().await["revision"], messages.len());
    let is_idle = || site.supervisor.statistics().databases["program"].in_flight == 0;
    eventually_async(SOON, "no call is left", is_idle).await;
}
