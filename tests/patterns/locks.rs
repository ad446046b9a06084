//! A lock for one writer at a time: `SET NX PX` with a token, and a release that compares it. It is never held by two,
//! whatever becomes of replies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use redis::Script;
use redis_steward::{Database, Error, Execution, Source};
use tokio::time::Instant;

use crate::{
    common::eventually_asked,
    site::{SOON, Setup, on_every_site, replaying},
};

on_every_site!(never_held_by_two);

const HELD_FOR: Duration = Duration::from_secs(6);
/// A third of it, so that a holder is done before it ends, whatever its calls take.
const BOUND: Duration = Duration::from_secs(2);
const RELEASE: &str = r"
    if redis.call('GET', KEYS[1]) == ARGV[1] then
        return redis.call('DEL', KEYS[1])
    end
    return 0
";

#[derive(Clone)]
struct Lock {
    redis: Database,
}

impl Lock {
    /// Whether it is held now. If that is not known, it is not, and a lock that was taken all the same ends by itself.
    async fn take(&self, token: &str) -> Result<bool, Error> {
        let set = redis::cmd("SET")
            .arg("lock:writer")
            .arg(token)
            .arg("NX")
            .arg("PX")
            .arg(HELD_FOR.as_millis() as u64)
            .take();
        let (taken, source): (Option<String>, _) = self.redis.query_with_source(set).await?;
        assert_eq!(source, Source::Redis, "no store of one process has a lock");
        Ok(taken.is_some())
    }

    async fn release(&self, token: &str) -> redis::RedisResult<bool> {
        let mut redis = self.redis.clone();
        let release = Script::new(RELEASE);
        release
            .key("lock:writer")
            .arg(token)
            .invoke_async(&mut redis)
            .await
    }
}

#[derive(Clone, Default)]
struct Resource {
    is_in_use: Arc<AtomicBool>,
    uses: Arc<AtomicUsize>,
}

impl Resource {
    /// Used by one at a time, or this panics.
    async fn use_it(&self) {
        assert!(!self.is_in_use.swap(true, SeqCst), "two hold the lock");
        tokio::task::yield_now().await;
        self.uses.fetch_add(1, SeqCst);
        assert!(self.is_in_use.swap(false, SeqCst));
    }
}

async fn never_held_by_two(setup: Setup) {
    let mut site = setup.start(|program| program.fallback(replaying())).await;
    let lock = Lock {
        redis: site.redis.with_timeout(BOUND),
    };
    let resource = Resource::default();
    let used = resource.clone();
    let (first, second) = (lock.clone(), lock.clone());
    let steps = site
        .through(move |number| {
            let resource = used.clone();
            let (first, second) = (first.clone(), second.clone());
            async move {
                tokio::join!(
                    work(&first, format!("first-{number}"), &resource),
                    work(&second, format!("second-{number}"), &resource),
                )
            }
        })
        .await;

    let uses = resource.uses.load(SeqCst);
    let ends = || steps.iter().flat_map(|(first, second)| [first, second]);
    let held = ends().filter(|end| **end == Worked::Held).count();
    assert_eq!(held, uses);
    assert!(held > 0);
    if site.is_disturbed() {
        let refused = ends().filter(|end| **end == Worked::Refused).count();
        assert!(refused > 0, "nobody gets it in an outage");
    }
    // A lock that nobody knows to hold ends by itself.
    let lock = Lock {
        redis: site.redis.with_timeout(SOON),
    };
    eventually_asked(10 * HELD_FOR, "the lock ends", || async {
        lock.take("last").await.expect("an answer")
    })
    .await;
    assert!(lock.release("last").await.expect("an answer"));
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Worked {
    Held,
    /// The other one holds it.
    Busy,
    /// Nobody can have it now.
    Refused,
    /// It may be held by this token, and is not used.
    Unknown,
}

async fn work(lock: &Lock, token: String, resource: &Resource) -> Worked {
    let start = Instant::now();
    match lock.take(&token).await {
        Ok(false) => Worked::Busy,
        Err(error) if error.execution() == Execution::Unknown => Worked::Unknown,
        Err(_) => Worked::Refused,
        // It is counted from before the call.
        Ok(true) if start.elapsed() > BOUND => Worked::Unknown,
        Ok(true) => {
            resource.use_it().await;
            // If this fails, it ends by itself.
            let _ = lock.release(&token).await;
            Worked::Held
        }
    }
}
