//! Reads from replicas: what a server says of its replication, and how old a replica's data is at most.

use std::{collections::VecDeque, time::Instant};

/// What a server says of its replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replication {
    pub(crate) is_replica: bool,
    /// Of a replica: whether it is connected to its primary.
    pub(crate) is_linked: bool,
    /// Of a replica: it is loading all data of its primary, and has no other.
    pub(crate) is_syncing: bool,
    /// So many replicas are connected to it.
    pub(crate) connected: usize,
    /// How far it is.
    position: Position,
}

/// A place in the stream of all changes. Each time when a server becomes the primary, a new stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Position {
    stream: Box<str>,
    offset: u64,
}

impl Replication {
    /// Reads the answer to `INFO replication`.
    pub(crate) fn read(info: &str) -> Option<Self> {
        let field = |wanted: &str| {
            let mut fields = info.lines().filter_map(|line| line.split_once(':'));
            fields.find_map(|(name, value)| (name == wanted).then_some(value.trim_end()))
        };
        let is_replica = field("role")? == "slave";
        let offset = if is_replica {
            field("slave_repl_offset")
        } else {
            field("master_repl_offset")
        };
        Some(Self {
            is_replica,
            is_linked: field("master_link_status") == Some("up"),
            is_syncing: field("master_sync_in_progress") == Some("1"),
            connected: field("connected_slaves").map_or(Some(0), |number| number.parse().ok())?,
            position: Position {
                stream: field("master_replid")?.into(),
                offset: offset?.parse().ok()?,
            },
        })
    }
}

/// Where the primary was at some moments. From that follows, without a common clock, how old a replica's data is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    stream: Box<str>,
    /// The oldest first.
    marks: VecDeque<Mark>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    asked: Instant,
    offset: u64,
}

/// At one mark per second these are the last minutes.
const MOST_MARKS: usize = 256;

impl Progress {
    /// The primary was asked then, and has answered this. What it had acknowledged before is part of it.
    pub(crate) fn primary_answered(&mut self, asked: Instant, answer: &Replication) {
        if answer.is_replica {
            // A failover is under way.
            return;
        }
        let position = &answer.position;
        if position.stream != self.stream {
            self.stream = position.stream.clone();
            self.marks.clear();
        }
        if self.marks.len() == MOST_MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark {
            asked,
            offset: position.offset,
        });
    }

    /// The moment up to which a replica has all that the primary had acknowledged; `None` if that is not known.
    pub(crate) fn complete_until(&self, replica: &Replication) -> Option<Instant> {
        if !self.is_followed_by(replica) {
            return None;
        }
        let mut marks = self.marks.iter().rev();
        let reached = marks.find(|mark| mark.offset <= replica.position.offset);
        reached.map(|mark| mark.asked)
    }

    /// Whether a replica follows the primary, or has followed it, as far as is known.
    pub(crate) fn is_followed_by(&self, replica: &Replication) -> bool {
        self.marks.is_empty() || replica.position.stream == self.stream
    }
}

/// How many replicas are connected to a primary, for a cluster that tells of new ones only when it is asked.
#[derive(Debug, Default)]
pub(crate) struct Census {
    connected: usize,
    /// The looks since their number has changed.
    looks: u32,
}

/// The nodes of a cluster take so long to hear of a replica: looks, which are seconds.
const HEARSAY: u32 = 10;

impl Census {
    /// Whether the cluster is to be asked where its replicas are, by what its primary says and how many are known.
    pub(crate) fn is_outdated(&mut self, primary: &Replication, known: usize) -> bool {
        if primary.connected != self.connected {
            *self = Self {
                connected: primary.connected,
                looks: 0,
            };
        }
        self.looks = self.looks.saturating_add(1);
        self.connected > known && self.looks <= HEARSAY
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn primary(stream: &str, offset: u64) -> Replication {
        let info = format!(
            "# Replication\r\nrole:master\r\nconnected_slaves:1\r\nmaster_replid:{stream}\r\n\
             master_repl_offset:{offset}\r\n"
        );
        Replication::read(&info).expect("an answer")
    }

    fn replica(stream: &str, offset: u64) -> Replication {
        let info = format!(
            "role:slave\r\nmaster_link_status:up\r\nmaster_sync_in_progress:0\r\n\
             slave_repl_offset:{offset}\r\nmaster_replid:{stream}\r\nmaster_repl_offset:{offset}\r\n"
        );
        Replication::read(&info).expect("an answer")
    }

    #[test]
    fn what_a_server_says_of_its_replication_is_read() {
        assert!(!primary("a", 1).is_replica);
        let linked = replica("a", 1);
        assert!(linked.is_replica && linked.is_linked && !linked.is_syncing);
        let cut_off = "role:slave\nmaster_link_status:down\nmaster_sync_in_progress:1\n\
                       slave_repl_offset:7\nmaster_replid:b\n";
        let cut_off = Replication::read(cut_off).expect("an answer");
        assert!(!cut_off.is_linked && cut_off.is_syncing);
        assert_eq!(Replication::read("role:slave\n"), None);
        assert_eq!(Replication::read("# Server\nredis_version:7.0.15\n"), None);
    }

    #[test]
    fn a_replica_is_as_old_as_the_last_answer_of_the_primary_that_it_has_reached() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut progress = Progress::default();
        assert_eq!(progress.complete_until(&replica("a", 10)), None);
        assert!(
            progress.is_followed_by(&replica("a", 10)),
            "nothing is known"
        );
        progress.primary_answered(at(1), &primary("a", 10));
        progress.primary_answered(at(2), &primary("a", 20));
        progress.primary_answered(at(3), &primary("a", 20));
        for (offset, expected) in [
            (9, None),
            (10, Some(1)),
            (19, Some(1)),
            (20, Some(3)),
            (30, Some(3)),
        ] {
            let until = progress.complete_until(&replica("a", offset));
            assert_eq!(until, expected.map(at), "{offset}");
        }
        // Of another primary.
        assert_eq!(progress.complete_until(&replica("b", 20)), None);
        assert!(!progress.is_followed_by(&replica("b", 20)));

        // During a failover the old primary is one of the replicas.
        progress.primary_answered(at(4), &replica("b", 25));
        assert_eq!(progress.complete_until(&replica("a", 30)), Some(at(3)));
        progress.primary_answered(at(5), &primary("b", 5));
        assert_eq!(progress.complete_until(&replica("a", 30)), None);
        assert_eq!(progress.complete_until(&replica("b", 5)), Some(at(5)));
    }

    #[test]
    fn a_cluster_is_asked_for_a_new_replica_until_it_should_know_it() {
        let mut census = Census::default();
        let one = primary("a", 1);
        assert!(!census.is_outdated(&one, 1));
        assert!(census.is_outdated(&one, 0));
        assert!(!census.is_outdated(&one, 1));
        let asked = (0..20).filter(|_| census.is_outdated(&one, 0)).count();
        assert!(asked < 10, "one that is no node is not sought for ever");
        let none = Replication {
            connected: 0,
            ..one.clone()
        };
        assert!(!census.is_outdated(&none, 0));
        assert!(census.is_outdated(&one, 0), "it is there again");
    }

    #[test]
    fn the_marks_are_bounded() {
        let start = Instant::now();
        let mut progress = Progress::default();
        for second in 0..2 * MOST_MARKS as u64 {
            progress.primary_answered(start + Duration::from_secs(second), &primary("a", second));
        }
        assert_eq!(progress.marks.len(), MOST_MARKS);
        assert_eq!(progress.complete_until(&replica("a", 0)), None);
    }
}
