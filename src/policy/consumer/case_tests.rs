//! A machine and its time, for the tests of single decisions.

use super::*;

pub(super) const IDLE: Duration = Duration::from_secs(30);

pub(super) fn terms() -> Terms {
    Terms {
        concurrency: 2,
        batch: 3,
        claim_idle: IDLE,
        max_deliveries: Some(2),
        creates_group: true,
    }
}

pub(super) fn id(number: u64) -> EntryId {
    EntryId::parse(format!("{number}-0").as_bytes()).expect("an id")
}

/// An entry that was delivered so often.
pub(super) fn found(number: u64, deliveries: u64) -> Found<u64> {
    Found {
        id: id(number),
        deliveries,
        key: None,
        content: Content::Whole(number),
    }
}

/// A machine and its time.
pub(super) struct Case {
    pub(super) duties: Duties<u64>,
    pub(super) now: Instant,
}

impl Case {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            duties: Duties::new(terms),
            now: Instant::now(),
        }
    }

    /// A consumer that waits for new entries.
    pub(super) fn waiting(terms: Terms) -> Self {
        let mut case = Self::new(terms);
        assert_eq!(case.actions(), [Action::Ask(Question::Prepare)]);
        case.on(Event::Prepared);
        assert_eq!(case.questions(), [Errand::Read]);
        case.read([]);
        assert_eq!(case.questions(), [Errand::Claim, Errand::Read]);
        case.on(Event::Claimed {
            found: Vec::new(),
            trimmed: 0,
            next: EntryId::ZERO,
            since: case.now,
        });
        assert_eq!(case.actions(), []);
        case
    }

    pub(super) fn on(&mut self, event: Event<u64>) {
        self.duties.on(event, self.now, 0.5);
    }

    pub(super) fn read(&mut self, found: impl Into<Vec<Found<u64>>>) {
        let (found, since) = (found.into(), self.now);
        self.on(Event::Read { found, since });
    }

    pub(super) fn handled(&mut self, number: u64, failure: Option<&str>) {
        let (id, failure) = (id(number), failure.map(Box::from));
        self.on(Event::Handled { id, failure });
    }

    pub(super) fn renewed(&mut self, ids: impl Into<Vec<EntryId>>, lost: impl Into<Vec<EntryId>>) {
        let (ids, lost, since) = (ids.into(), lost.into(), self.now);
        self.on(Event::Renewed { ids, lost, since });
    }

    /// Entries are taken over, after which there are no more.
    pub(super) fn claimed(&mut self, found: impl Into<Vec<Found<u64>>>) {
        let (found, since) = (found.into(), self.now);
        self.on(Event::Claimed {
            found,
            trimmed: 0,
            next: EntryId::ZERO,
            since,
        });
    }

    /// The size of the next claim.
    pub(super) fn claims(&mut self) -> Option<usize> {
        self.pass(IDLE);
        self.actions().into_iter().find_map(|action| match action {
            Action::Ask(Question::Claim { count, .. }) => Some(count),
            _ => None,
        })
    }

    pub(super) fn fails(&mut self, errand: Errand, trouble: Trouble) {
        self.on(Event::Failed { errand, trouble });
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(super) fn actions(&mut self) -> Vec<Action<u64>> {
        let (duties, now) = (&mut self.duties, self.now);
        std::iter::from_fn(|| duties.poll(now)).collect()
    }

    /// The questions among the actions.
    pub(super) fn questions(&mut self) -> Vec<Errand> {
        let errand = |action: Action<u64>| match action {
            Action::Ask(question) => Some(question.errand()),
            Action::Run { .. } => None,
        };
        self.actions().into_iter().filter_map(errand).collect()
    }

    /// The entries that begin to run.
    pub(super) fn runs(&mut self) -> Vec<u64> {
        let entry = |action| match action {
            Action::Run { entry, .. } => Some(entry),
            Action::Ask(_) => None,
        };
        self.actions().into_iter().filter_map(entry).collect()
    }

    pub(super) fn wakes_in(&self) -> Option<Duration> {
        let at = self.duties.wake_at(self.now)?;
        Some(at.duration_since(self.now))
    }
}
