//! Rate limits: attempts at a password, three in half an hour, forgotten after a success; and a sliding window of a minute
//! in buckets of ten seconds, by a script. Both fail closed: in an outage nothing is let through, and afterwards no more
//! than the limit has been.

use redis::Script;
use redis_steward::{Database, Error};

use crate::{
    fate::Fate,
    site::{Setup, on_every_site, replaying},
};

on_every_site!(attempts_are_counted, no_more_than_the_limit_is_let_through);

struct Attempts {
    redis: Database,
}

impl Attempts {
    const AT_MOST: u64 = 3;

    /// Whether one more attempt is permitted. The count and its end are one step, so that none counts for ever.
    async fn permits(&self, user: &str) -> Result<bool, Error> {
        let mut both = redis::pipe();
        both.atomic();
        both.cmd("SET")
            .arg(key(user))
            .arg(0)
            .arg("EX")
            .arg(1_800)
            .arg("NX")
            .ignore();
        both.incr(key(user), 1);
        let (count,): (u64,) = self.redis.pipeline(both).await?;
        Ok(count <= Self::AT_MOST)
    }

    async fn clear(&self, user: &str) -> Result<(), Error> {
        self.redis.query(redis::cmd("DEL").arg(key(user))).await
    }
}

fn key(user: &str) -> String {
    format!("password_change_attempts:{user}")
}

async fn attempts_are_counted(setup: Setup) {
    let mut site = setup.start(|program| program.fallback(replaying())).await;
    let attempts = Attempts {
        redis: site.redis.clone(),
    };
    assert!(attempts.permits("ann").await.expect("an answer"));
    assert!(attempts.permits("ann").await.expect("an answer"));
    attempts.permits("ben").await.expect("an answer");

    site.outage().await;
    let during = attempts.permits("ann").await;
    match &during {
        // Nobody can know how many there were.
        Err(error) if site.is_disturbed() => assert_eq!(Fate::of_error(error), Fate::Nowhere),
        answer => assert!(matches!(answer, Ok(true)), "{answer:?}"),
    }
    attempts.clear("ben").await.expect("cleared");

    site.recovery().await;
    if during.is_err() {
        assert!(attempts.permits("ann").await.expect("an answer"));
    }
    assert!(!attempts.permits("ann").await.expect("an answer"));
    let left: i64 = site.there(&format!("TTL {}", key("ann"))).await;
    assert!((1_700..=1_800).contains(&left), "{left}");
    let ben: Option<u64> = site.there(&format!("GET {}", key("ben"))).await;
    assert_eq!(ben, None, "a success forgets the attempts");
}

/// Counts the requests of the last six buckets of so many seconds, and this one, if there are not too many of them.
const SLIDING_WINDOW: &str = r"
    local now = tonumber(redis.call('TIME')[1])
    local bucket = math.floor(now / ARGV[3])
    local count = 0
    for back = 0, 5 do
        count = count + tonumber(redis.call('HGET', KEYS[1], bucket - back) or 0)
    end
    if count >= tonumber(ARGV[1]) then
        return 0
    end
    if tonumber(redis.call('HGET', KEYS[1], bucket) or 0) >= tonumber(ARGV[2]) then
        return 0
    end
    redis.call('HINCRBY', KEYS[1], bucket, 1)
    redis.call('EXPIRE', KEYS[1], 7 * ARGV[3])
    return 1
";
const LIMIT: usize = 60;
/// Ten in a program. The window is not to end while the test runs.
const BUCKET: u64 = 100;

async fn no_more_than_the_limit_is_let_through(setup: Setup) {
    let mut site = setup.start(|program| program.fallback(replaying())).await;
    let mut redis = site.redis.clone();
    let window = Script::new(SLIDING_WINDOW);
    let mut burst = window.key("rate:burst");
    burst.arg(LIMIT).arg(1).arg(BUCKET);
    let mut let_through = 0;
    for _ in 0..5 {
        let one: u32 = burst.invoke_async(&mut redis).await.expect("an answer");
        let_through += one;
    }
    // Two if a bucket has ended in between.
    assert!((1..=2).contains(&let_through), "{let_through}");

    let answers = site
        .through(move |_| {
            let (mut redis, window) = (redis.clone(), window.clone());
            async move {
                let mut asked = window.key("rate:ann");
                asked.arg(LIMIT).arg(LIMIT).arg(BUCKET);
                let answer: redis::RedisResult<bool> = asked.invoke_async(&mut redis).await;
                answer.map_err(|error| {
                    let error = Error::from_redis(&error).expect("an error of this crate");
                    Fate::of_error(error)
                })
            }
        })
        .await;

    let let_through = answers.iter().filter(|answer| **answer == Ok(true)).count();
    let in_doubt = |answer: &&Result<bool, Fate>| **answer == Err(Fate::Unknown);
    let in_doubt = answers.iter().filter(in_doubt).count();
    assert!(let_through <= LIMIT, "{let_through}");
    assert!(in_doubt <= 1, "{in_doubt}");
    assert!(let_through + in_doubt >= LIMIT, "{let_through}");
    let counted: Vec<usize> = site.there("HVALS rate:ann").await;
    let counted: usize = counted.iter().sum();
    assert!((let_through..=let_through + in_doubt).contains(&counted));
    assert!(answers.iter().any(Result::is_err) || !site.is_disturbed());
}
