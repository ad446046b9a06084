//! The greetings that one dial tries, one after the other, each on a connection of its own.
//!
//! A server that hangs up at a command, does not answer it, or answers something else, may just be dying,
//! stalled or starting. So a shorter greeting that succeeds proves nothing yet. The whole one is tried
//! once more: if it fails again and the shorter one succeeds again, the server does not accept it. A hang-up has many
//! reasons, so then the whole one is tried twice: where several servers share an address and one of them is going away,
//! every other connection ends early.

use super::step::{Step, Steps};

/// The way in which a peer failed at a command of the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stumble {
    /// It closed the connection.
    HangUp,
    /// It did not answer in time.
    Silence,
    /// Its answer fits another command.
    Misfit,
}

/// It has no clock and no connection: outcomes go in, the next greeting comes out.
#[derive(Debug)]
pub(super) struct Course {
    /// The commands that the settings ask for and a server may do without.
    wanted: Steps,
    asked: Steps,
    stage: Stage,
    needs_hello: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The greeting that worked the last time.
    Remembered,
    /// The whole greeting, and after each failure a shorter one.
    Shortening,
    /// The whole one once more, since this shorter one has worked.
    Verifying(Steps),
    /// The same after a hang-up at this command.
    VerifyingTwice(Steps, Step),
    /// The shorter one, without another choice. Where it is no custom of the peer to fail at the whole one, that is
    /// tried again at the next dial.
    Confirmed { is_custom: bool },
}

impl Course {
    /// `needs_hello` tells that the protocol depends on HELLO, so that it is given up last.
    pub(super) fn new(wanted: Steps, remembered: Option<Steps>, needs_hello: bool) -> Self {
        // Otherwise the whole greeting would be tried twice.
        let remembered = remembered.filter(|asked| *asked != wanted);
        Self {
            wanted,
            asked: remembered.unwrap_or(wanted),
            stage: match remembered {
                Some(_) => Stage::Remembered,
                None => Stage::Shortening,
            },
            needs_hello,
        }
    }

    /// The commands to send, beside those that are needed.
    pub(super) fn asked(&self) -> Steps {
        self.asked
    }

    /// Whether another greeting follows if this one fails.
    pub(super) fn has_another(&self) -> bool {
        match self.stage {
            Stage::Shortening => self.asked != Steps::READ,
            Stage::Confirmed { .. } => false,
            _ => true,
        }
    }

    /// Whether the greeting is the one that worked the last time.
    pub(super) fn is_from_memory(&self) -> bool {
        self.stage == Stage::Remembered
    }

    /// Whether later dials may begin with the greeting that has worked.
    pub(super) fn is_to_be_remembered(&self) -> bool {
        self.stage != Stage::Confirmed { is_custom: false }
    }

    /// The connection is open. Tells whether it may be used; otherwise another greeting is to be tried.
    pub(super) fn succeeded(&mut self) -> bool {
        if self.stage != Stage::Shortening || self.asked == self.wanted {
            return true;
        }
        self.stage = Stage::Verifying(self.asked);
        self.asked = self.wanted;
        false
    }

    /// The peer stumbled at this command. Tells whether there is another greeting to try.
    pub(super) fn failed(&mut self, at: Step, stumble: Stumble) -> bool {
        let confirmed = |is_custom| Stage::Confirmed { is_custom };
        let is_hang_up = stumble == Stumble::HangUp;
        let (asked, stage) = match self.stage {
            Stage::Remembered => (Some(self.wanted), Stage::Shortening),
            Stage::Shortening => (self.shorter(at, stumble), Stage::Shortening),
            Stage::Verifying(shorter) if is_hang_up => {
                (Some(self.wanted), Stage::VerifyingTwice(shorter, at))
            }
            Stage::Verifying(shorter) => (Some(shorter), confirmed(true)),
            Stage::VerifyingTwice(shorter, before) => {
                (Some(shorter), confirmed(is_hang_up && at == before))
            }
            Stage::Confirmed { .. } => (None, self.stage),
        };
        self.stage = stage;
        self.asked = asked.unwrap_or(self.asked);
        asked.is_some()
    }

    /// Announcements and names are left out at the first trouble, since nothing depends on them. A peer that read the whole
    /// greeting before it hung up answered none of it, so the first command need not be the cause. Then the latest
    /// invention among them is the likeliest one.
    fn shorter(&self, at: Step, stumble: Stumble) -> Option<Steps> {
        let asked = self.asked;
        let may_be_any = self.needs_hello && asked.has(Step::Hello) && !Steps::EXTRAS.has(at);
        let is_told_early = may_be_any && stumble == Stumble::HangUp;
        if asked.has(Step::Announcements) && (at == Step::Announcements || is_told_early) {
            return Some(asked.without(Steps::ANNOUNCEMENTS));
        }
        let has_extras = asked.has_any(Steps::EXTRAS);
        let other = asked.without(Steps::EXTRAS);
        if has_extras && (Steps::EXTRAS.has(at) || may_be_any) {
            return Some(other);
        }
        let is_misfit = stumble == Stumble::Misfit;
        if at == Step::Ping && !is_misfit {
            return Some(other.without(Steps::PING).with(Steps::READ));
        }
        if has_extras || asked.has(Step::Hello) {
            return Some(other.without(Steps::HELLO));
        }
        (asked != Steps::READ && !is_misfit).then_some(Steps::READ)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Steps = Steps::HELLO.with(Steps::EXTRAS).with(Steps::PING);

    /// The greetings that are tried against a peer that stumbles at the first of these commands, and the
    /// one that is used, if any.
    fn tried(
        needs_hello: bool,
        remembered: Option<Steps>,
        mut stumbles: impl FnMut(usize, Steps) -> Option<(Step, Stumble)>,
    ) -> (usize, Option<Steps>) {
        let mut course = Course::new(ALL, remembered, needs_hello);
        for attempt in 1.. {
            assert!(attempt < 10, "no end: {course:?}");
            match stumbles(attempt, course.asked()) {
                Some((at, stumble)) if !course.failed(at, stumble) => return (attempt, None),
                None if course.succeeded() => return (attempt, Some(course.asked())),
                _ => {}
            }
        }
        unreachable!()
    }

    /// A peer that answers in order, and stumbles at these.
    fn in_order(
        bad: Steps,
        stumble: Stumble,
    ) -> impl FnMut(usize, Steps) -> Option<(Step, Stumble)> {
        move |_, asked| Some((asked.iter().find(|step| bad.has(*step))?, stumble))
    }

    #[test]
    fn commands_that_a_peer_does_not_accept_are_left_out_and_others_stay() {
        use Stumble::{HangUp, Misfit, Silence};
        let (hello, names, ping) = (Steps::HELLO, Steps::NAMES, Steps::PING);
        let announcements = Steps::ANNOUNCEMENTS;
        for (bad, stumble, resp2, resp3) in [
            (hello, HangUp, ping, ping),
            (hello, Silence, ping, ping),
            (hello, Misfit, ping, ping),
            (
                announcements,
                HangUp,
                ALL.without(announcements),
                ALL.without(announcements),
            ),
            (
                announcements,
                Silence,
                ALL.without(announcements),
                ALL.without(announcements),
            ),
            (names, HangUp, hello.with(ping), hello.with(ping)),
            (
                Steps::of(&[Step::LibraryName]),
                HangUp,
                hello.with(ping),
                hello.with(ping),
            ),
            (
                ping,
                HangUp,
                hello.with(Steps::READ),
                hello.with(Steps::READ),
            ),
            (hello.with(names), HangUp, ping, ping),
            (ALL, HangUp, Steps::READ, Steps::READ),
        ] {
            for (needs_hello, expected) in [(false, resp2), (true, resp3)] {
                let (attempts, used) = tried(needs_hello, None, in_order(bad, stumble));
                assert_eq!(used, Some(expected), "{bad:?}, {stumble:?}");
                assert!(attempts <= 8, "{bad:?}: {attempts}");
                let again = tried(needs_hello, used, in_order(bad, stumble));
                assert_eq!(again, (1, used), "remembered");
            }
        }
    }

    #[test]
    fn a_peer_that_reads_all_before_it_hangs_up_is_understood() {
        for (bad, resp2, resp3) in [
            (Steps::HELLO, Steps::PING, Steps::PING),
            (
                Steps::ANNOUNCEMENTS,
                Steps::PING,
                ALL.without(Steps::ANNOUNCEMENTS),
            ),
            (Steps::NAMES, Steps::PING, Steps::HELLO.with(Steps::PING)),
            (Steps::PING, Steps::READ, Steps::READ),
        ] {
            for (needs_hello, expected) in [(false, resp2), (true, resp3)] {
                let at_the_first = move |_, asked: Steps| {
                    let first = asked.iter().next()?;
                    asked.has_any(bad).then_some((first, Stumble::HangUp))
                };
                let (_, used) = tried(needs_hello, None, at_the_first);
                assert_eq!(used, Some(expected), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_peer_that_was_only_dying_or_stalled_gets_the_whole_greeting() {
        for failures in 1..4 {
            for (remembered, needs_hello) in
                [(None, false), (None, true), (Some(Steps::PING), true)]
            {
                let recovering = |attempt, asked: Steps| {
                    let first = asked.iter().next()?;
                    (attempt <= failures).then_some((first, Stumble::HangUp))
                };
                let (_, used) = tried(needs_hello, remembered, recovering);
                // The third failure may be the last there is.
                assert!(used.is_none_or(|used| used == ALL), "{failures}: {used:?}");
            }
        }
    }

    #[test]
    fn one_of_two_servers_that_is_going_away_is_no_custom() {
        for (remembered, needs_hello) in [(None, false), (None, true)] {
            let every_other = |attempt, asked: Steps| {
                let first = asked.iter().next()?;
                (attempt % 2 == 1).then_some((first, Stumble::HangUp))
            };
            let (_, used) = tried(needs_hello, remembered, every_other);
            assert_eq!(used, Some(ALL));
        }
    }

    #[test]
    fn hang_ups_at_different_commands_are_no_custom() {
        for (other, expected) in [(Step::Name, false), (Step::Hello, true)] {
            let mut course = Course::new(ALL, None, true);
            for at in [Step::Hello, Step::Hello] {
                assert!(course.failed(at, Stumble::HangUp));
            }
            assert!(!course.succeeded(), "the whole one is tried again");
            for at in [Step::Hello, other] {
                assert_eq!(course.asked(), ALL);
                assert!(course.failed(at, Stumble::HangUp));
            }
            assert_eq!(course.asked(), Steps::HELLO.with(Steps::PING));
            assert!(course.succeeded());
            assert_eq!(course.is_to_be_remembered(), expected, "{other:?}");
        }
    }

    #[test]
    fn a_dead_peer_is_tried_a_few_times_only() {
        let dead = |_, asked: Steps| Some((asked.iter().next()?, Stumble::HangUp));
        assert_eq!(tried(false, None, dead), (3, None));
        assert_eq!(tried(true, None, dead), (5, None));
        assert_eq!(tried(false, Some(Steps::PING), dead), (4, None));
        let nonsense = |_, asked: Steps| Some((asked.iter().next()?, Stumble::Misfit));
        assert_eq!(tried(false, None, nonsense), (2, None));
    }
}
