//! One client of a server.

use std::{collections::VecDeque, task::Waker};

use bytes::{Bytes, BytesMut};
use indexmap::IndexSet;

use super::{
    halt::Wait,
    keyspace::Millis,
    output_limits::Limit,
    reply::{Protocol, Reply},
    request::{Decoder, Request},
    signature::Signature,
    subscriptions::Subscriptions,
    tracking::Tracking,
};

/// Clients have a number each, from 1 on, as in CLIENT ID.
pub(super) type ClientId = u64;

/// The application itself, by the handle of its server. No client has this number.
pub(super) const OPERATOR: ClientId = 0;

/// A client that leaves this much unread is served no further until it reads.
const MAX_UNREAD: usize = 1024 * 1024;
/// Input that is not processed yet, beyond which no more is taken.
const MAX_UNPROCESSED: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: ClientId,
    pub(super) address: String,
    /// The port of the server that it came by; `None` if it came by none.
    pub(super) port: Option<u16>,
    pub(super) connected_at: Millis,
    pub(super) used_at: Millis,
    pub(super) last_command: &'static str,
    pub(super) name: Bytes,
    pub(super) library: (Bytes, Bytes),
    /// The number of its database.
    pub(super) database: usize,
    pub(super) protocol: Protocol,
    /// The user that it is logged in as; `None` if it has come when a login was needed, and has not logged in.
    pub(super) user: Option<Bytes>,
    pub(super) transaction: Option<Transaction>,
    /// Keys under WATCH, with the numbers of their databases.
    pub(super) watched: IndexSet<(usize, Bytes)>,
    /// A watched key has changed.
    pub(super) is_outdated: bool,
    pub(super) subscriptions: Subscriptions,
    pub(super) tracking: Option<Tracking>,
    pub(super) waiting: Option<Waiting>,
    pub(super) replies: Replies,
    /// Set by CLIENT NO-EVICT and CLIENT NO-TOUCH.
    pub(super) exemptions: Exemptions,
    /// The connection ends once its output is read.
    pub(super) is_closing: bool,
    /// It has left more unread than the soft limit since then.
    slow_since: Option<Millis>,
    /// The request that waits for the end of CLIENT PAUSE.
    pub(super) held: Option<Request>,
    pub(super) decoder: Decoder,
    pub(super) input: BytesMut,
    output: BytesMut,
    /// Output that is not to be read before its time.
    delayed: VecDeque<(Millis, BytesMut)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The commands since MULTI.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) queued: Vec<(&'static Signature, Request)>,
    /// Bytes of all arguments, with an estimate of what they cost beside them.
    bytes: usize,
    /// A command was refused, so EXEC is as well.
    pub(super) is_refused: bool,
}

impl Transaction {
    /// Adds a command. Tells whether there was room for it.
    pub(super) fn queue(
        &mut self,
        command: &'static Signature,
        request: &Request,
        most: usize,
    ) -> bool {
        let cost = |argument: &Bytes| argument.len() + size_of::<Bytes>();
        let bytes = request.iter().map(cost).sum::<usize>() + size_of::<Request>();
        let fits = self.bytes.saturating_add(bytes) <= most;
        if fits {
            self.bytes += bytes;
            self.queued.push((command, request.clone()));
        }
        self.is_refused |= !fits;
        fits
    }

    /// The flags of all its commands.
    pub(super) fn flags(&self) -> u32 {
        let flags = self.queued.iter().map(|(command, _)| command.flags);
        flags.fold(0, |all, flags| all | flags)
    }

    /// Whether all its commands have these flags.
    pub(super) fn all_have(&self, flags: u32) -> bool {
        self.queued.iter().all(|(command, _)| command.has(flags))
    }
}

/// Whether a client gets replies, as CLIENT REPLY sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Replies {
    #[default]
    On,
    Off,
    /// The next command gets none.
    SkipNext,
    /// The present command gets none.
    Skip,
}

/// What a client is exempt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exemptions {
    /// From being disconnected to save memory.
    pub(super) from_eviction: bool,
    /// Its commands do not count as uses of keys.
    pub(super) from_touching: bool,
}

/// A command that is run again when one of its keys has changed.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) command: &'static Signature,
    pub(super) request: Request,
    pub(super) database: usize,
    pub(super) wait: Wait,
    pub(super) deadline: Option<Millis>,
}

impl Waiting {
    /// Whether its time is over.
    pub(super) fn is_over(&self, now: Millis) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl Session {
    pub(super) fn new(id: ClientId, address: String, now: Millis, user: Option<Bytes>) -> Self {
        Self {
            id,
            address,
            port: None,
            connected_at: now,
            used_at: now,
            last_command: "NULL",
            name: Bytes::new(),
            library: (Bytes::new(), Bytes::new()),
            database: 0,
            protocol: Protocol::default(),
            user,
            transaction: None,
            watched: IndexSet::new(),
            is_outdated: false,
            subscriptions: Subscriptions::default(),
            tracking: None,
            waiting: None,
            replies: Replies::default(),
            exemptions: Exemptions::default(),
            is_closing: false,
            slow_since: None,
            held: None,
            decoder: Decoder::default(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            delayed: VecDeque::new(),
            reader: None,
            writer: None,
        }
    }

    /// Only commands about subscriptions may run: the client cannot tell other replies from messages.
    pub(super) fn is_subscriber(&self) -> bool {
        self.protocol == Protocol::Resp2 && !self.subscriptions.is_empty()
    }

    /// Whether it reads so slowly that no more is to be done for it.
    pub(super) fn is_full(&self) -> bool {
        self.output.len() >= MAX_UNREAD
    }

    /// Whether it reads so slowly that it is to be disconnected.
    pub(super) fn exceeds(&mut self, limit: Limit, now: Millis) -> bool {
        let unread = self.unread();
        if limit.soft == 0 || unread <= limit.soft {
            self.slow_since = None;
        } else {
            self.slow_since.get_or_insert(now);
        }
        let is_too_slow = self
            .slow_since
            .is_some_and(|since| now.saturating_sub(since) > limit.seconds * 1000);
        is_too_slow || limit.hard > 0 && unread > limit.hard
    }

    /// A command has run, with all its replies.
    pub(super) fn end_command(&mut self) {
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            other => other,
        };
        // CLIENT CACHING is about one command that is no CLIENT, or about a whole transaction.
        let is_over = self.transaction.is_none() && !self.last_command.starts_with("client|");
        if let Some(tracking) = &mut self.tracking
            && is_over
        {
            tracking.is_caching_set = false;
        }
    }

    /// Whether no more input is to be taken.
    pub(super) fn is_stuffed(&self) -> bool {
        self.input.len() >= MAX_UNPROCESSED.max(self.decoder.wanted())
    }

    /// Bytes that it has not read.
    pub(super) fn unread(&self) -> usize {
        self.output.len()
            + self
                .delayed
                .iter()
                .map(|(_, bytes)| bytes.len())
                .sum::<usize>()
    }

    /// Writes a reply, to be read from `at` on; at once if there is no such time. Of the bytes at most `limit`
    /// are written. Returns how many there were.
    pub(super) fn reply(
        &mut self,
        reply: &Reply,
        at: Option<Millis>,
        limit: Option<usize>,
    ) -> usize {
        let is_in_order = at.is_none() && self.delayed.is_empty();
        if is_in_order && limit.is_none() {
            let before = self.output.len();
            reply.write(self.protocol, &mut self.output);
            return self.output.len() - before;
        }
        let mut bytes = BytesMut::new();
        reply.write(self.protocol, &mut bytes);
        let written = bytes.len();
        bytes.truncate(limit.unwrap_or(written));
        if is_in_order {
            self.output.extend_from_slice(&bytes);
        } else {
            let last = self.delayed.back().map_or(0, |(at, _)| *at);
            self.delayed.push_back((at.unwrap_or(0).max(last), bytes));
        }
        written
    }

    /// Ends the connection without the output that was not read.
    pub(super) fn cut(&mut self) {
        self.is_closing = true;
        self.output.clear();
        self.delayed.clear();
    }

    /// Makes the output readable whose time has come.
    pub(super) fn release(&mut self, now: Millis) {
        while let Some((at, _)) = self.delayed.front()
            && *at <= now
        {
            let (_, bytes) = self.delayed.pop_front().unwrap_or_default();
            self.output.extend_from_slice(&bytes);
        }
    }

    /// The time at which more output becomes readable.
    pub(super) fn next_release(&self) -> Option<Millis> {
        self.delayed.front().map(|(at, _)| *at)
    }

    /// Takes readable output.
    pub(super) fn read(&mut self, most: usize) -> BytesMut {
        self.output.split_to(most.min(self.output.len()))
    }

    /// Whether its output has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.is_closing && self.output.is_empty() && self.delayed.is_empty()
    }

    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    pub(super) fn set_reader(&mut self, waker: &Waker) {
        set(&mut self.reader, waker);
    }

    pub(super) fn set_writer(&mut self, waker: &Waker) {
        set(&mut self.writer, waker);
    }

    pub(super) fn take_reader(&mut self) -> Option<Waker> {
        self.reader.take()
    }

    pub(super) fn take_writer(&mut self) -> Option<Waker> {
        self.writer.take()
    }
}

fn set(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(present) => present.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
