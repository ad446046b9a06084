//! The greeting that an endpoint accepts.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{login::Login, step::Steps};
use crate::config::Address;

/// The greeting that worked with the endpoint that was dialled last.
///
/// A greeting takes a lock twice, which is rare beside commands. It is forgotten when it stops working, and
/// when the endpoint cannot be reached: another server may listen there afterwards.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Recollection>);

#[derive(Debug, Default)]
struct Recollection {
    known: Option<Known>,
    /// The last greeting that worked, also when it is forgotten.
    worked: Option<Manner>,
    checks: u32,
}

#[derive(Clone, Debug)]
struct Known {
    address: Address,
    /// The commands that the settings ask for.
    wanted: Steps,
    manner: Manner,
    /// The whole greeting is tried again after this pause.
    pause: Duration,
    since: Instant,
}

/// The way to greet an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// The commands to send, beside those that are needed.
    pub(super) asked: Steps,
    /// The commands that the server has refused, and would refuse again.
    pub(super) refused: Steps,
    pub(super) login: Option<Login>,
}

impl Manner {
    /// The greeting to try again: without the commands that the server would refuse again, and log as an
    /// offence, but with a protocol that is missed.
    pub(super) fn worth_trying(&self, wanted: Steps, needs_hello: bool) -> Steps {
        let again = wanted.without(self.refused);
        if needs_hello {
            again.with(Steps::HELLO)
        } else {
            again
        }
    }

    /// After the server has refused these as well.
    pub(super) fn refusing(mut self, refused: Steps) -> Self {
        self.asked = self.asked.without(refused);
        self.refused = self.refused.with(refused).without(self.asked);
        self
    }
}

/// The pauses before a greeting that an endpoint did not accept is tried again. The endpoint may have been
/// replaced behind its address, or a fault that looked like a custom may be over.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(600);

impl Memory {
    /// The greeting that worked with this endpoint.
    pub(super) fn recall(&self, address: &Address, wanted: Steps) -> Option<Manner> {
        let is_it = |known: &&Known| known.address == *address && known.wanted == wanted;
        let known = &self.lock().known;
        known.as_ref().filter(is_it).map(|known| known.manner)
    }

    /// Whether it is time to try the whole greeting again.
    pub(super) fn is_old(&self) -> bool {
        let known = &self.lock().known;
        let is_old = |known: &Known| known.since.elapsed() >= known.pause;
        known.as_ref().is_some_and(is_old)
    }

    /// Keeps a greeting that works. `is_learnt` tells that the whole one was tried before.
    pub(super) fn keep(&self, address: &Address, wanted: Steps, manner: Manner, is_learnt: bool) {
        let mut recollection = self.lock();
        recollection.worked = Some(manner);
        let known = &mut recollection.known;
        let before = known.as_ref().filter(|known| known.address == *address);
        let pause = match before {
            Some(before) if !is_learnt && before.manner == manner => return,
            Some(before) if before.manner == manner => (before.pause * 2).min(LAST_PAUSE),
            _ => FIRST_PAUSE,
        };
        *known = Some(Known {
            address: address.clone(),
            wanted,
            manner,
            pause,
            since: Instant::now(),
        });
    }

    /// A greeting has worked, and the next dial begins with the whole one all the same.
    pub(super) fn note(&self, manner: Manner) {
        let mut recollection = self.lock();
        recollection.worked = Some(manner);
        recollection.known = None;
    }

    pub(super) fn forget(&self) {
        self.lock().known = None;
    }

    /// Whether the last greeting that worked had a PING, or there was none.
    pub(super) fn answers_ping(&self) -> bool {
        let worked = self.lock().worked;
        worked.is_none_or(|manner| manner.asked.has_any(Steps::PING))
    }

    /// The greeting for a check whether anything answers. A check makes one attempt, because checks come
    /// often. So the greeting that worked last takes turns with the one that any server accepts.
    pub(super) fn for_check(&self, wanted: Steps) -> Manner {
        let mut recollection = self.lock();
        recollection.checks = recollection.checks.wrapping_add(1);
        if recollection.checks.is_multiple_of(2) {
            return Manner {
                asked: Steps::READ,
                ..Manner::default()
            };
        }
        recollection.worked.unwrap_or(Manner {
            asked: wanted,
            ..Manner::default()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Recollection> {
        // It holds plain values, which a panic cannot leave in disorder.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Steps = Steps::HELLO.with(Steps::PING);

    fn address(host: &str) -> Address {
        Address::Tcp {
            host: host.into(),
            port: 6379,
        }
    }

    fn manner(asked: Steps) -> Manner {
        Manner {
            asked,
            ..Manner::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_is_recalled_for_its_endpoint_and_settings_until_it_is_forgotten() {
        let memory = Memory::default();
        let (one, other) = (address("one"), address("other"));
        memory.keep(&one, WANTED, manner(Steps::PING), true);
        assert_eq!(memory.recall(&one, WANTED), Some(manner(Steps::PING)));
        assert_eq!(memory.recall(&other, WANTED), None);
        assert_eq!(memory.recall(&one, Steps::PING), None);
        memory.forget();
        assert_eq!(memory.recall(&one, WANTED), None);
        memory.keep(&one, WANTED, manner(Steps::PING), true);
        memory.note(manner(Steps::HELLO));
        assert_eq!(memory.recall(&one, WANTED), None, "it proves nothing");
        assert!(!memory.answers_ping());
    }

    #[test]
    fn a_check_takes_turns_between_the_greeting_that_worked_and_the_one_that_any_server_bears() {
        let memory = Memory::default();
        assert!(memory.answers_ping());
        assert_eq!(memory.for_check(WANTED), manner(WANTED));
        assert_eq!(memory.for_check(WANTED), manner(Steps::READ));
        memory.lock().worked = Some(manner(Steps::HELLO));
        memory.forget();
        assert!(!memory.answers_ping());
        assert_eq!(memory.for_check(WANTED), manner(Steps::HELLO));
        assert_eq!(memory.for_check(WANTED), manner(Steps::READ));
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_greeting_is_tried_again_after_a_pause_that_grows() {
        let memory = Memory::default();
        let one = address("one");
        let mut pause = FIRST_PAUSE;
        for _ in 0..12 {
            memory.keep(&one, WANTED, manner(Steps::PING), true);
            // Each dial that works says so, which is no reason to wait longer.
            for _ in 0..2 {
                assert!(!memory.is_old());
                tokio::time::advance(pause / 2).await;
                memory.keep(&one, WANTED, manner(Steps::PING), false);
            }
            assert!(memory.is_old());
            pause = (pause * 2).min(LAST_PAUSE);
        }
        memory.keep(&one, WANTED, manner(WANTED), true);
        assert!(!memory.is_old());
    }
}
