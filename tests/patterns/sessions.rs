//! Sessions: `session:<token>` with an expiry that slides on each read, deleted on log-out; and a blacklist of tokens as a
//! set. During an outage nobody is let in whom the program does not know, and whoever has logged out stays out.

use std::time::Duration;

use redis_steward::{Database, Error, Source};

use crate::{
    common::eventually_asked,
    site::{SOON, Setup, on_every_site, replaying},
};

on_every_site!(sessions_slide_and_end, a_revoked_token_stays_revoked);

struct Sessions {
    redis: Database,
    lifetime: Duration,
}

#[derive(Debug, PartialEq)]
enum Session {
    Of(String),
    None,
    /// Redis may know it, and is away.
    Unknown,
}

impl Sessions {
    async fn log_in(&self, token: &str, user: &str) -> Result<(), Error> {
        let set = redis::cmd("PSETEX")
            .arg(key(token))
            .arg(self.lifetime.as_millis() as u64)
            .arg(user)
            .take();
        self.redis.query(set).await
    }

    async fn of(&self, token: &str) -> Result<Session, Error> {
        let get = redis::cmd("GETEX")
            .arg(key(token))
            .arg("PX")
            .arg(self.lifetime.as_millis() as u64)
            .take();
        Ok(match self.redis.query_with_source(get).await? {
            (Some(user), _) => Session::Of(user),
            (None, Source::Redis) => Session::None,
            (None, _) => Session::Unknown,
        })
    }

    async fn log_out(&self, token: &str) -> Result<(), Error> {
        self.redis.query(redis::cmd("DEL").arg(key(token))).await
    }
}

fn key(token: &str) -> String {
    format!("session:{token}")
}

async fn sessions_slide_and_end(setup: Setup) {
    let mut site = setup.start(|program| program.fallback(replaying())).await;
    let sessions = Sessions {
        redis: site.redis.clone(),
        lifetime: Duration::from_secs(1_800),
    };
    let hasty = Sessions {
        redis: site.redis.clone(),
        lifetime: Duration::from_millis(100),
    };
    sessions.log_in("before", "ann").await.expect("logged in");
    sessions.log_in("leaves", "ben").await.expect("logged in");

    site.outage().await;
    sessions.log_out("leaves").await.expect("logged out");
    sessions.log_in("during", "eve").await.expect("logged in");
    hasty.log_in("short", "joe").await.expect("logged in");
    let of = |token: &'static str| {
        let sessions = &sessions;
        async move { sessions.of(token).await.expect("an answer") }
    };
    let expected = if site.is_disturbed() {
        Session::Unknown
    } else {
        Session::Of("ann".into())
    };
    assert_eq!(of("before").await, expected);
    assert_eq!(of("during").await, Session::Of("eve".into()));
    // The timeout is the same here, and a read moves it.
    let left: i64 = site.here("PTTL session:during").await;
    assert!((1_700_000..=1_800_000).contains(&left), "{left}");
    site.until_gone("session:short").await;

    site.recovery().await;
    assert_eq!(of("before").await, Session::Of("ann".into()));
    assert_eq!(of("during").await, Session::Of("eve".into()));
    assert_eq!(of("leaves").await, Session::None);
    assert_eq!(of("short").await, Session::None);
    let left: i64 = site.there("PTTL session:during").await;
    assert!((1_700_000..=1_800_000).contains(&left), "{left}");
    hasty.of("before").await.expect("an answer");
    site.until_gone("session:before").await;
}

struct Blacklist {
    redis: Database,
}

impl Blacklist {
    /// The set lives as long as the token that was revoked last.
    async fn revoke(&self, token: &str) -> Result<(), Error> {
        let mut both = redis::pipe();
        both.atomic();
        both.sadd("blacklist", token).ignore();
        both.expire("blacklist", 3_600).ignore();
        self.redis.pipeline(both).await
    }

    /// A token is taken only if Redis says that it was not revoked.
    async fn permits(&self, token: &str) -> bool {
        let asked = redis::cmd("SISMEMBER").arg("blacklist").arg(token).take();
        let answer = self.redis.query_with_source::<bool>(asked).await;
        matches!(answer, Ok((false, Source::Redis)))
    }
}

async fn a_revoked_token_stays_revoked(setup: Setup) {
    let mut site = setup.start(|program| program.fallback(replaying())).await;
    let blacklist = Blacklist {
        redis: site.redis.clone(),
    };
    blacklist.revoke("first").await.expect("revoked");

    site.outage().await;
    blacklist.revoke("second").await.expect("revoked");
    for token in ["first", "second"] {
        assert!(!blacklist.permits(token).await, "{token}");
    }
    assert_eq!(blacklist.permits("good").await, !site.is_disturbed());

    site.recovery().await;
    for token in ["first", "second"] {
        assert!(!blacklist.permits(token).await, "{token}");
    }
    assert!(blacklist.permits("good").await);
    let left: i64 = site.there("TTL blacklist").await;
    assert!((3_500..=3_600).contains(&left), "{left}");
}

impl crate::site::Site {
    /// Waits until the program finds this key no more.
    async fn until_gone(&self, key: &str) {
        let exists = format!("EXISTS {key}");
        eventually_asked(SOON, "it expires", || async {
            self.here::<i64>(&exists).await == 0
        })
        .await;
    }
}
