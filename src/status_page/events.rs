//! The data of the page as a stream.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::report::{Report, Told};
use crate::{
    events::{EventPlace, HealthEvent, HealthEvents},
    stats::SupervisorStats,
    supervisor::{Supervisor, WeakSupervisor},
};

/// The time between two reports without an event.
const PERIOD: Duration = Duration::from_secs(1);

/// A stream of server-sent events, as the bytes of a body of type `text/event-stream`.
///
/// Each item is one event, whose data is JSON as of [`StatusPage::snapshot`](crate::StatusPage::snapshot). The first comes at once,
/// and then one at each [`HealthEvent`](crate::HealthEvent) and each second. `events` has the health events since the
/// item before, and in the first the last event of each database. `place` is where that leads to. A later request for
/// `events?after=PLACE` goes on there: `is_continued` is then `true` in the first item as in all others, and `events` has
/// the health events since that place. It is `false` if the place is of another process, or of a supervisor before:
/// events may be missing then. `interval` is `null`, except in the items of each
/// second: there it has what happened since the last of these: `seconds`, and per database `commands`,
/// `failures`, `p50_ms` and `p99_ms`.
///
/// Nothing is prepared or kept for a slow reader: an item is made when it is asked for, from the state of that moment, and
/// [`HealthEvent::missed`](crate::HealthEvent::missed) tells of events that a very slow reader has not got.
///
/// It has to be polled within a tokio runtime that has timers. It ends when the supervisor has stopped, and at
/// [`close_streams`](crate::StatusPage::close_streams).
pub struct StatusEvents {
    supervisor: WeakSupervisor,
    has_actions: bool,
    health: HealthEvents,
    ticks: Interval,
    /// At the last tick.
    earlier: SupervisorStats,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    is_first: bool,
    is_continued: bool,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

impl StatusEvents {
    pub(super) fn new(
        supervisor: &Supervisor,
        has_actions: bool,
        closed: CancellationToken,
        permit: OwnedSemaphorePermit,
        place: Option<EventPlace>,
    ) -> Self {
        let mut ticks = interval(PERIOD);
        // A slow reader gets one report for all seconds that it has missed.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        let mut health = supervisor.subscribe();
        let is_continued = place.is_some_and(|place| health.resume(place));
        Self {
            supervisor: supervisor.downgrade(),
            has_actions,
            health,
            ticks,
            earlier: supervisor.statistics(),
            closed: Box::pin(closed.cancelled_owned()),
            is_first: true,
            is_continued,
            is_over: false,
            _permit: permit,
        }
    }

    /// The next item, or `None` at the end. The future may be dropped at any point.
    pub async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn report(&mut self, told: &Told, has_ticked: bool) -> Option<Bytes> {
        let statistics = self.supervisor.upgrade()?.statistics();
        let interval = has_ticked.then(|| statistics.since(&self.earlier));
        let report = Report::new(&statistics, interval.as_ref(), told, self.has_actions);
        // JSON on one line, as the format asks for. A reader that loses the stream is to come back after a second.
        let item = format!("retry: 1000\ndata: {}\n\n", report.to_json());
        if has_ticked {
            self.earlier = statistics;
        }
        Some(item.into())
    }
}

impl Stream for StatusEvents {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        if this.is_over || this.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let (events, has_ended) = ready_events(&mut this.health, cx);
        let has_ticked = this.ticks.poll_tick(cx).is_ready();
        let is_due = this.is_first || has_ticked || !events.is_empty();
        this.is_over = has_ended;
        if is_due {
            let told = Told {
                events,
                place: this.health.place(),
                is_continued: this.is_continued || !this.is_first,
            };
            this.is_first = false;
            return Poll::Ready(this.report(&told, has_ticked));
        }
        if has_ended {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }
}

impl fmt::Debug for StatusEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusEvents").finish_non_exhaustive()
    }
}

/// The last event of each database.
pub(super) fn present(supervisor: &Supervisor) -> Told {
    let mut cx = Context::from_waker(Waker::noop());
    let mut health = supervisor.subscribe();
    Told {
        events: ready_events(&mut health, &mut cx).0,
        place: health.place(),
        is_continued: false,
    }
}

/// The events that are there, and whether there will be none any more. Those that were fetched together stay together,
/// so that the reader's place is after all of them. While events go on, further ones are in the next report.
fn ready_events(health: &mut HealthEvents, cx: &mut Context<'_>) -> (Vec<HealthEvent>, bool) {
    let mut events = Vec::new();
    loop {
        match Pin::new(&mut *health).poll_next(cx) {
            Poll::Ready(Some(event)) => events.push(event),
            Poll::Ready(None) => return (events, true),
            Poll::Pending => return (events, false),
        }
        if health.holds_nothing() {
            return (events, false);
        }
    }
}
