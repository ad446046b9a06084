//! The connection of subscribers: commands out, messages and answers in.
//!
//! - this file: [`SubscriberConnection`] · `heard`: what comes, in RESP3 and in RESP2

mod heard;

pub(crate) use heard::Heard;

use std::{
    task::{Context, Poll},
    time::Duration,
};

use redis::Cmd;
use tokio::time::Instant;

use super::{
    close::CloseReason,
    codec::{Decoded, ProtocolError},
    connection::{Inbox, Outbox},
    dial::{Established, LoginNote},
    transport::Transport,
};
use crate::{
    config::{Address, DatabaseSettings},
    events::Topic,
};

/// After this many bytes a turn stops reading, so that what was read is handed on and other tasks run.
const READ_AT_ONCE: usize = 256 * 1024;
/// A server that says nothing for so long is asked for a sign of life.
const QUIET: Duration = Duration::from_secs(2);

/// One socket with subscriptions. It only reads and writes: what is subscribed is decided elsewhere.
pub(crate) struct SubscriberConnection {
    pub(crate) address: Address,
    /// Which credentials it has, if they change.
    pub(crate) login: Option<LoginNote>,
    transport: Box<dyn Transport>,
    inbox: Inbox,
    outbox: Outbox,
    /// Messages come as pushes, so that other commands can run beside subscriptions.
    speaks_resp3: bool,
    /// When a byte came last.
    heard_at: Instant,
    /// Since when an answer is outstanding.
    owed_since: Option<Instant>,
    /// An answer may take so long.
    patience: Duration,
}

impl SubscriberConnection {
    pub(crate) fn new(established: Established, settings: &DatabaseSettings) -> Self {
        Self {
            address: established.address,
            login: established.login,
            transport: established.transport,
            inbox: Inbox::new(established.decoder, established.input),
            outbox: Outbox::default(),
            speaks_resp3: false,
            heard_at: Instant::now(),
            owed_since: None,
            patience: 2 * settings.attempt_timeout,
        }
    }

    /// Subscribes to one channel. What is said in a moment is one write.
    pub(crate) fn subscribe(&mut self, topic: &Topic) {
        self.send(&one(
            match topic {
                Topic::Channel(_) => "SUBSCRIBE",
                Topic::Pattern(_) => "PSUBSCRIBE",
                Topic::ShardChannel(_) => "SSUBSCRIBE",
            },
            topic,
        ));
    }

    /// Ends the subscription of one channel.
    pub(crate) fn unsubscribe(&mut self, topic: &Topic) {
        self.send(&one(
            match topic {
                Topic::Channel(_) => "UNSUBSCRIBE",
                Topic::Pattern(_) => "PUNSUBSCRIBE",
                Topic::ShardChannel(_) => "SUNSUBSCRIBE",
            },
            topic,
        ));
    }

    /// Asks for a sign of life, which is one of the few commands that a subscriber may send in RESP2.
    pub(crate) fn ping(&mut self) {
        self.send(&redis::cmd("PING"));
    }

    /// Sends a command that is no subscription. In RESP2 it is an error beside subscriptions.
    pub(crate) fn send(&mut self, command: &Cmd) {
        self.owed_since.get_or_insert_with(Instant::now);
        self.outbox.push(command.get_packed_command());
    }

    /// Whether it is known that other commands can run beside subscriptions.
    pub(crate) fn speaks_resp3(&self) -> bool {
        self.speaks_resp3
    }

    /// All answers have come.
    pub(crate) fn owes_nothing(&mut self) {
        self.owed_since = None;
    }

    /// When it is to be looked at, if nothing comes until then.
    pub(crate) fn wake_at(&self) -> Instant {
        match self.owed_since {
            Some(since) => self.heard_at.max(since) + self.patience,
            None => self.heard_at + QUIET,
        }
    }

    /// Asks a peer that was quiet for long.
    ///
    /// # Errors
    ///
    /// [`CloseReason::Silent`] if it owes an answer and says nothing.
    pub(crate) fn check_silence(&mut self) -> Result<bool, CloseReason> {
        let now = Instant::now();
        if now < self.wake_at() {
            return Ok(false);
        }
        match self.owed_since {
            // This process may have stood still, and the input not have been read.
            Some(_) if self.transport.has_input() => {
                self.heard_at = now;
                Ok(false)
            }
            Some(since) => Err(CloseReason::Silent(now - self.heard_at.max(since))),
            None => Ok(true),
        }
    }

    /// Reads until something has been heard, and writes what is to be sent, also if there is always more to read. What was heard before the end is handed
    /// over with it.
    pub(crate) fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        heard: &mut Vec<Heard>,
    ) -> Poll<Result<(), CloseReason>> {
        let turn = self.read(cx, heard);
        if !matches!(turn, Poll::Ready(Err(_)))
            && let Poll::Ready(Err(error)) = self.outbox.poll_write(&mut *self.transport, cx)
        {
            return Poll::Ready(Err(error.into()));
        }
        turn
    }

    fn read(
        &mut self,
        cx: &mut Context<'_>,
        heard: &mut Vec<Heard>,
    ) -> Poll<Result<(), CloseReason>> {
        let mut taken = 0;
        loop {
            if let Err(reason) = self.take(heard) {
                return Poll::Ready(Err(reason));
            }
            if taken >= READ_AT_ONCE {
                return Poll::Ready(Ok(()));
            }
            match self.inbox.poll_read(&mut *self.transport, cx) {
                Poll::Pending if heard.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.closed())),
                Poll::Ready(Ok(read)) => {
                    taken += read;
                    self.heard_at = Instant::now();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn take(&mut self, heard: &mut Vec<Heard>) -> Result<(), CloseReason> {
        while let Some(decoded) = self.inbox.next(|| false)? {
            match decoded {
                Decoded::Value(value) => {
                    self.speaks_resp3 |= matches!(value, redis::Value::Push { .. });
                    heard.push(Heard::of(value)?);
                }
                // It would be missed unnoticed.
                Decoded::TooLarge(oversized) => {
                    return Err(CloseReason::PushTooLarge(oversized.limit));
                }
            }
        }
        // Its rest is not awaited.
        match self.inbox.exceeded() {
            Some(limit) => Err(CloseReason::PushTooLarge(limit)),
            None => Ok(()),
        }
    }

    fn closed(&self) -> CloseReason {
        if self.inbox.is_empty() {
            CloseReason::ClosedByServer
        } else {
            CloseReason::ClosedWithinReply(self.inbox.incomplete())
        }
    }
}

fn one(command: &str, topic: &Topic) -> Cmd {
    redis::cmd(command).arg(&topic.name()[..]).take()
}

/// The server has said something that is neither a message nor an answer.
fn malformed() -> CloseReason {
    CloseReason::Protocol(ProtocolError::Malformed { what: "a message" })
}
