//! How near servers are, and which of them serve a read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::reading::PrimaryRole;

/// The round trip to a server: the mean of the last ones, of which the newest counts an eighth (the smoothing of
/// TCP's round trips, RFC 6298).
#[derive(Clone, Copy, Debug)]
struct RoundTrip(Duration);

impl RoundTrip {
    fn measured(&mut self, measured: Duration) {
        self.0 = (self.0 * 7 + measured) / 8;
    }
}

/// How far away a server is.
#[derive(Clone, Debug)]
pub(crate) struct Nearness {
    round_trip: RoundTrip,
    /// Empty if it tells none.
    zone: Arc<str>,
    /// When it was asked for its zone.
    zone_asked: Option<Instant>,
}

/// How often a server is asked for its zone. That is a setting which seldom changes.
const ZONE_INTERVAL: Duration = Duration::from_secs(10);

impl Nearness {
    /// Of a server that has answered for the first time, after so long.
    pub(crate) fn first(took: Duration) -> Self {
        Self {
            round_trip: RoundTrip(took),
            zone: "".into(),
            zone_asked: None,
        }
    }

    /// It has answered once more, after so long.
    pub(crate) fn answered(&mut self, took: Duration) {
        self.round_trip.measured(took);
    }

    /// It was asked for its zone then, and has told this one.
    pub(crate) fn zone_told(&mut self, asked: Instant, zone: Arc<str>) {
        self.zone_asked = Some(asked);
        self.zone = zone;
    }

    /// Whether it is to be asked for its zone.
    pub(crate) fn is_zone_due(&self, now: Instant) -> bool {
        let is_old = |asked| now.saturating_duration_since(asked) >= ZONE_INTERVAL;
        self.zone_asked.is_none_or(is_old)
    }

    pub(crate) fn round_trip(&self) -> Duration {
        self.round_trip.0
    }

    /// Its availability zone; `None` if that is not known.
    pub(crate) fn zone(&self) -> Option<&Arc<str>> {
        Some(&self.zone).filter(|zone| !zone.is_empty())
    }
}

/// The availability zone in the answer to `INFO server`, which Valkey tells since version 8 if it is configured; empty
/// without one.
pub(crate) fn zone_in(info: &str) -> &str {
    let mut fields = info.lines().filter_map(|line| line.split_once(':'));
    let zone = fields.find(|(name, _)| *name == "availability_zone");
    zone.map_or("", |(_, zone)| zone.trim())
}

/// A server that may serve a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// It is connected to the primary, or is the primary.
    pub(crate) is_linked: bool,
    /// It is in the zone of the caller.
    pub(crate) is_in_zone: bool,
    pub(crate) round_trip: Duration,
    /// Its requests without a reply.
    pub(crate) outstanding: usize,
}

/// A server where a read runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The replica with this index.
    Replica(usize),
    Primary,
}

/// The servers that serve a read, the first choice first: two replicas at most, and the primary unless it is excluded.
/// `primary` is the candidate that it is if it can serve at once.
pub(crate) fn order(
    replicas: impl Iterator<Item = (usize, Candidate)> + Clone,
    primary: Option<Candidate>,
    role: PrimaryRole,
) -> [Option<Chosen>; 3] {
    let replicas = replicas.map(|(at, candidate)| (Chosen::Replica(at), candidate));
    let primary = primary.filter(|_| role == PrimaryRole::Candidate);
    let candidates = replicas.chain(primary.map(|candidate| (Chosen::Primary, candidate)));
    let after = |before: [Option<Chosen>; 2]| {
        let is_left = move |(one, _): &(Chosen, Candidate)| !before.contains(&Some(*one));
        choose(candidates.clone().filter(is_left))
    };
    let first = after([None, None]);
    let second = first.and_then(|_| after([first, None]));
    let has_primary = [first, second].contains(&Some(Chosen::Primary));
    let last = match role {
        PrimaryRole::Excluded => None,
        PrimaryRole::LastResort | PrimaryRole::Candidate if !has_primary => Some(Chosen::Primary),
        PrimaryRole::LastResort | PrimaryRole::Candidate => {
            second.and_then(|_| after([first, second]))
        }
    };
    [first, second, last]
}

/// Round trips that differ by less are as good as each other.
const SLACK: Duration = Duration::from_micros(100);

/// Of the servers that are about as near as the nearest, the one with the fewest requests outstanding. Those that are connected
/// to the primary come before the others, and among each of these those of the zone.
fn choose(candidates: impl Iterator<Item = (Chosen, Candidate)> + Clone) -> Option<Chosen> {
    let rank = |one: &Candidate| (!one.is_linked, !one.is_in_zone);
    let distances = candidates
        .clone()
        .map(|(_, one)| (rank(&one), one.round_trip));
    let (best, nearest) = distances.min()?;
    let limit = nearest + nearest / 2 + SLACK;
    let near = candidates.filter(|(_, one)| rank(one) == best && one.round_trip <= limit);
    let chosen = near.min_by_key(|(_, one)| (one.outstanding, one.round_trip));
    chosen.map(|(server, _)| server)
}

#[cfg(test)]
mod tests {
    use super::{
        Chosen::{Primary, Replica},
        *,
    };

    const FAR: Candidate = Candidate {
        is_linked: true,
        is_in_zone: false,
        round_trip: Duration::from_micros(900),
        outstanding: 0,
    };
    const NEAR: Candidate = Candidate {
        round_trip: Duration::from_micros(200),
        ..FAR
    };

    fn in_zone(candidate: Candidate) -> Candidate {
        Candidate {
            is_in_zone: true,
            ..candidate
        }
    }

    fn busy(candidate: Candidate) -> Candidate {
        Candidate {
            outstanding: 9,
            ..candidate
        }
    }

    fn cut_off(candidate: Candidate) -> Candidate {
        Candidate {
            is_linked: false,
            ..candidate
        }
    }

    fn ordered(
        replicas: &[Candidate],
        primary: Option<Candidate>,
        role: PrimaryRole,
    ) -> Vec<Chosen> {
        let replicas = replicas.iter().copied().enumerate();
        order(replicas, primary, role)
            .into_iter()
            .flatten()
            .collect()
    }

    #[test]
    fn the_least_loaded_of_the_near_ones_serves() {
        let chosen = |candidates: &[(u64, usize)]| {
            let candidates = candidates.iter().map(|(micros, outstanding)| Candidate {
                round_trip: Duration::from_micros(*micros),
                outstanding: *outstanding,
                ..FAR
            });
            choose(candidates.enumerate().map(|(at, one)| (Replica(at), one)))
        };
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[(900, 0)]), Some(Replica(0)));
        assert_eq!(chosen(&[(900, 0), (200, 9)]), Some(Replica(1)), "far away");
        let about_as_near = [(1_300, 0), (1_000, 9)];
        assert_eq!(chosen(&about_as_near), Some(Replica(0)));
        assert_eq!(chosen(&[(1_300, 2), (1_000, 2)]), Some(Replica(1)));
    }

    #[test]
    fn the_primary_serves_last_or_never_unless_it_is_a_candidate() {
        let replicas = [FAR, NEAR, FAR];
        let last = ordered(&replicas, Some(NEAR), PrimaryRole::LastResort);
        assert_eq!(last, [Replica(1), Replica(0), Primary]);
        let never = ordered(&replicas, Some(NEAR), PrimaryRole::Excluded);
        assert_eq!(never, [Replica(1), Replica(0)]);
        assert_eq!(ordered(&[], None, PrimaryRole::LastResort), [Primary]);
        assert_eq!(ordered(&[], None, PrimaryRole::Excluded), []);
        assert_eq!(
            ordered(&[FAR], None, PrimaryRole::LastResort),
            [Replica(0), Primary]
        );
    }

    #[test]
    fn the_primary_is_one_of_the_candidates_and_is_tried_once() {
        let nearest =
            |replicas: &[Candidate], primary| ordered(replicas, primary, PrimaryRole::Candidate);
        let both = [FAR, busy(FAR)];
        assert_eq!(
            nearest(&both, Some(NEAR)),
            [Primary, Replica(0), Replica(1)]
        );
        // As near as a replica, and with more to do.
        assert_eq!(
            nearest(&both, Some(busy(FAR))),
            [Replica(0), Replica(1), Primary]
        );
        assert_eq!(
            nearest(&[NEAR, FAR], Some(busy(NEAR))),
            [Replica(0), Primary, Replica(1)]
        );
        // Of many replicas it is the last one after two.
        assert_eq!(
            nearest(&[NEAR, NEAR, NEAR], Some(FAR)),
            [Replica(0), Replica(1), Primary]
        );
        assert_eq!(nearest(&[FAR], Some(NEAR)), [Primary, Replica(0)]);
        assert_eq!(nearest(&[], Some(NEAR)), [Primary]);
        // One that cannot serve at once is the last resort.
        assert_eq!(nearest(&[FAR], None), [Replica(0), Primary]);
        assert_eq!(nearest(&[], None), [Primary]);
    }

    #[test]
    fn replicas_without_the_primary_come_after_the_others() {
        let replicas = [cut_off(in_zone(NEAR)), FAR];
        let last = ordered(&replicas, None, PrimaryRole::LastResort);
        assert_eq!(last, [Replica(1), Replica(0), Primary]);
        let nearest = ordered(&replicas[..1], Some(FAR), PrimaryRole::Candidate);
        assert_eq!(nearest, [Primary, Replica(0)]);
    }

    #[test]
    fn servers_of_the_zone_come_first_and_the_nearest_of_them() {
        let replicas = [NEAR, in_zone(FAR), busy(in_zone(NEAR))];
        let last = ordered(&replicas, Some(in_zone(NEAR)), PrimaryRole::LastResort);
        assert_eq!(last, [Replica(2), Replica(1), Primary]);
        let never = ordered(&replicas[..2], None, PrimaryRole::Excluded);
        assert_eq!(never, [Replica(1), Replica(0)]);
        // The primary alone is in the zone.
        let primary = Some(in_zone(FAR));
        let last = ordered(&[NEAR], primary, PrimaryRole::LastResort);
        assert_eq!(last, [Replica(0), Primary]);
        let nearest = ordered(&[NEAR], primary, PrimaryRole::Candidate);
        assert_eq!(nearest, [Primary, Replica(0)]);
        let nearest = ordered(&replicas, Some(NEAR), PrimaryRole::Candidate);
        assert_eq!(nearest, [Replica(2), Replica(1), Primary]);
    }

    #[test]
    fn the_zone_is_read_from_what_a_server_says() {
        let info = "# Server\r\nserver_name:valkey\r\navailability_zone:eu-central-1a\r\nhz:10\r\n";
        assert_eq!(zone_in(info), "eu-central-1a");
        assert_eq!(zone_in("availability_zone:\r\nhz:10\r\n"), "");
        assert_eq!(zone_in("# Server\r\nredis_version:7.0.15\r\n"), "");
    }

    #[test]
    fn a_round_trip_is_smoothed_and_a_zone_is_asked_for_now_and_then() {
        let start = Instant::now();
        let mut nearness = Nearness::first(Duration::from_millis(8));
        nearness.answered(Duration::from_millis(16));
        assert_eq!(nearness.round_trip(), Duration::from_millis(9));
        assert!(nearness.is_zone_due(start));
        assert_eq!(nearness.zone(), None);
        nearness.zone_told(start, "a".into());
        assert_eq!(nearness.zone().map(|zone| &**zone), Some("a"));
        assert!(!nearness.is_zone_due(start + ZONE_INTERVAL / 2));
        let next = start + ZONE_INTERVAL;
        assert!(nearness.is_zone_due(next));
        nearness.zone_told(next, "".into());
        assert_eq!(nearness.zone(), None);
        assert!(!nearness.is_zone_due(next));
    }
}
