//! The driver of a consumer: a shell that carries out what its machine decides.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    entry::StreamEntry,
    error::ConsumerError,
    group::Group,
    handler::{Ended, Handlers, Verdict},
    statistics::ConsumerStats,
};
use crate::{
    error::Error,
    execution::Stage,
    policy::consumer::{Action, Duties, EntryId, Errand, Event, Question, Terms, Trouble},
    state::{ConsumerShare, clock},
};

/// How long a consumer whose handler has gone tries to acknowledge what was handled before.
const LAST_ACKNOWLEDGEMENTS: Duration = Duration::from_secs(10);

/// How an errand ended.
type Answer = (Errand, Result<Event<StreamEntry>, Error>);

/// Something for which the driver waits.
enum Happening {
    /// The grace of the stop ends at this time.
    StopAsked(Instant),
    Answered(Answer),
    HandlerEnded(Ended),
    Woken,
}

pub(super) struct Driver {
    duties: Duties<StreamEntry>,
    group: Arc<Group>,
    handlers: Handlers,
    asking: FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    stop: Option<oneshot::Receiver<Instant>>,
    /// The end of the grace, once it is to stop.
    deadline: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    statistics: watch::Sender<ConsumerStats>,
    share: ConsumerShare,
    /// The last error, and the errand that is yet to succeed.
    last_error: Option<(Errand, String)>,
    /// Why it ends by itself, if it does.
    why_ended: Option<ConsumerError>,
}

impl Driver {
    /// Must be called in a runtime.
    pub(super) fn new(
        terms: Terms,
        group: Group,
        handlers: Handlers,
        stop: oneshot::Receiver<Instant>,
        statistics: watch::Sender<ConsumerStats>,
        share: ConsumerShare,
    ) -> Self {
        Self {
            duties: Duties::new(terms),
            group: Arc::new(group),
            handlers,
            asking: FuturesUnordered::new(),
            stop: Some(stop),
            deadline: None,
            timer: Box::pin(sleep_until(clock::now())),
            statistics,
            share,
            last_error: None,
            why_ended: None,
        }
    }

    /// Runs until the consumer is stopped, or cannot go on. The future may be dropped: what is held stays pending.
    pub(super) async fn run(mut self) -> Result<(), ConsumerError> {
        let end = match self.group.check_names() {
            Ok(()) => self.drive().await,
            Err(error) => Err(error),
        };
        self.publish();
        end
    }

    async fn drive(&mut self) -> Result<(), ConsumerError> {
        loop {
            let now = clock::now();
            while let Some(action) = self.duties.poll(now.into_std()) {
                match action {
                    Action::Run { id, entry } => self.handlers.run(id, entry),
                    Action::Ask(question) => self.ask(question),
                }
            }
            let has_no_grace = self.deadline.is_some_and(|at| at <= now);
            if self.duties.is_over() || has_no_grace {
                return self.why_ended.take().map_or(Ok(()), Err);
            }
            self.publish();
            match self.next(now).await {
                Happening::StopAsked(deadline) => {
                    self.deadline = Some(self.deadline.map_or(deadline, |at| at.min(deadline)));
                    self.tell(Event::Stop);
                }
                Happening::Answered(answer) => self.answered(answer),
                Happening::HandlerEnded(ended) => {
                    self.handled(ended);
                    // Those that have ended as well are acknowledged together.
                    while let Some(ended) = self.handlers.try_ended().await {
                        self.handled(ended);
                    }
                }
                Happening::Woken => {}
            }
        }
    }

    fn ask(&mut self, question: Question<StreamEntry>) {
        let (errand, group) = (question.errand(), self.group.clone());
        self.asking.push(Box::pin(
            async move { (errand, ask(&group, question).await) },
        ));
    }

    fn tell(&mut self, event: Event<StreamEntry>) {
        let now = clock::now().into_std();
        self.duties.on(event, now, clock::jitter());
    }

    fn handled(&mut self, ended: Ended) {
        let Ended { id, verdict } = ended;
        let failure = match verdict {
            Verdict::Handled => None,
            Verdict::Failed(failure) => Some(failure),
            Verdict::Gone(why) => return self.has_no_handler(id, why),
        };
        self.tell(Event::Handled { id, failure });
    }

    /// Nothing handles entries any more. What was handled before is still acknowledged.
    fn has_no_handler(&mut self, id: EntryId, why: ConsumerError) {
        if self.why_ended.is_none() {
            self.why_ended = Some(why);
            let latest = clock::now() + LAST_ACKNOWLEDGEMENTS;
            self.deadline = Some(self.deadline.map_or(latest, |at| at.min(latest)));
            self.tell(Event::Stop);
        }
        self.tell(Event::Abandoned { id });
    }

    fn answered(&mut self, (errand, answer): Answer) {
        let error = match answer {
            Ok(event) => {
                self.last_error.take_if(|(failed, _)| *failed == errand);
                return self.tell(event);
            }
            Err(error) => error,
        };
        let trouble = trouble(errand, &error);
        self.last_error = Some((errand, error.to_string()));
        self.tell(Event::Failed { errand, trouble });
        if self.duties.is_cut_off() && self.why_ended.is_none() {
            self.why_ended = Some(self.group.explain(trouble, error));
        }
    }

    async fn next(&mut self, now: Instant) -> Happening {
        let wake_at = self.duties.wake_at(now.into_std()).map(Instant::from_std);
        let wake_at = wake_at.into_iter().chain(self.deadline).min();
        if let Some(at) = wake_at.filter(|at| *at != self.timer.deadline()) {
            self.timer.as_mut().reset(at);
        }
        poll_fn(|cx| self.poll_next(wake_at.is_some(), cx)).await
    }

    fn poll_next(&mut self, is_timed: bool, cx: &mut Context<'_>) -> Poll<Happening> {
        if let Some(stop) = &mut self.stop
            && let Poll::Ready(asked) = Pin::new(stop).poll(cx)
        {
            self.stop = None;
            // Without its handle the consumer is about to be cancelled.
            let deadline = asked.unwrap_or_else(|_| clock::now());
            return Poll::Ready(Happening::StopAsked(deadline));
        }
        if let Poll::Ready(Some(answer)) = self.asking.poll_next_unpin(cx) {
            return Poll::Ready(Happening::Answered(answer));
        }
        if let Poll::Ready(ended) = self.handlers.poll_ended(cx) {
            return Poll::Ready(Happening::HandlerEnded(ended));
        }
        if is_timed && self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Happening::Woken);
        }
        Poll::Pending
    }

    fn publish(&mut self) {
        let (tally, running, held) = (
            self.duties.tally(),
            self.duties.running(),
            self.duties.held(),
        );
        self.share.update(tally, running, held);
        self.statistics.send_replace(ConsumerStats::new(
            tally,
            running,
            held,
            self.last_error.as_ref().map(|(_, text)| text.clone()),
        ));
    }
}

async fn ask(group: &Group, question: Question<StreamEntry>) -> Result<Event<StreamEntry>, Error> {
    let since = clock::now().into_std();
    Ok(match question {
        Question::Prepare => {
            group.prepare().await?;
            Event::Prepared
        }
        Question::ReadOwn { after, count } => Event::Read {
            found: group.read_own(after, count).await?,
            since,
        },
        Question::ReadNew { count, waits } => Event::Read {
            found: group.read_new(count, waits).await?,
            since,
        },
        Question::Claim { from, count } => {
            let (found, trimmed, next) = group.claim(from, count).await?;
            Event::Claimed {
                found,
                trimmed,
                next,
                since,
            }
        }
        Question::Acknowledge(ids) => {
            group.acknowledge(&ids).await?;
            Event::Acknowledged
        }
        Question::Bury(burial) => {
            let was_pending = group.bury(&burial).await?;
            if was_pending {
                group.log_buried(burial.id);
            }
            Event::Buried { was_pending }
        }
        Question::Renew(ids) => {
            let (ids, lost) = group.renew(ids).await?;
            Event::Renewed { ids, lost, since }
        }
        Question::Release(entries) => {
            group.release(&entries).await?;
            Event::Released
        }
        Question::Leave => {
            group.leave().await?;
            Event::Left
        }
    })
}

/// Whether an errand may be tried again, and when.
fn trouble(errand: Errand, error: &Error) -> Trouble {
    match error {
        Error::ShuttingDown { .. } | Error::UnknownDatabase { .. } => Trouble::Final,
        Error::Server { code, .. } => match (&**code, errand) {
            ("NOGROUP", _) => Trouble::NoGroup,
            // The stream was deleted while a read waited, or the server has become a replica.
            ("UNBLOCKED", _) => Trouble::Unavailable,
            // That may be the key of the dead letters.
            ("WRONGTYPE", Errand::Bury) => Trouble::Refused,
            ("WRONGTYPE", _) => Trouble::Final,
            _ => Trouble::Refused,
        },
        Error::ReplyTooLarge { .. } => Trouble::TooLarge,
        // Limits of this process, and other consumers, say nothing about the server.
        Error::Isolated { .. }
        | Error::Failed { .. }
        | Error::Conversion { .. }
        | Error::Overloaded { .. }
        | Error::Conflict { .. }
        | Error::TimedOut {
            stage: Stage::Acquire,
            ..
        } => Trouble::Refused,
        _ => Trouble::Unavailable,
    }
}
