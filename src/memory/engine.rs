//! The server as one value: data, clients, and what they wait for. It does nothing by itself; `processing` is what
//! it does with input.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    task::Waker,
};

use bytes::Bytes;

#[cfg(feature = "memory-lua")]
use super::scripts::Scripts;
use super::{
    acl::{Log, Users},
    channels::Channels,
    clock::Clock,
    faults::Faults,
    keyspace::{Keyspace, Millis},
    message::Message,
    node::Node,
    reply::Reply,
    request::Decoder,
    session::{ClientId, Replies, Session},
    settings::Settings,
    signature::Table,
    statistics::Statistics,
    trackers::Trackers,
    waiters::Waiters,
};

#[derive(Debug)]
pub(super) struct Engine {
    /// What the commands are called, and take.
    pub(super) table: &'static Table,
    pub(super) keyspace: Keyspace,
    pub(super) sessions: BTreeMap<ClientId, Session>,
    pub(super) channels: Channels,
    pub(super) clock: Clock,
    pub(super) random: fastrand::Rng,
    pub(super) settings: Settings,
    pub(super) users: Users,
    /// What users were refused.
    pub(super) refusals: Log,
    #[cfg(feature = "memory-lua")]
    pub(super) scripts: Scripts,
    pub(super) faults: Faults,
    pub(super) statistics: Statistics,
    /// The time at which the server was started.
    pub(super) started_at: Millis,
    /// A name of this run of the server: 40 hexadecimal digits.
    pub(super) run_id: String,
    /// What it is in a cluster; `None` if it is in none.
    pub(super) cluster: Option<Node>,
    last_id: ClientId,
    pub(super) waiters: Waiters,
    /// Clients that watch keys.
    pub(super) watchers: Waiters,
    pub(super) trackers: Trackers,
    /// The client whose command runs now.
    pub(super) running: Option<ClientId>,
    /// It runs in a transaction that is executed.
    pub(super) is_executing: bool,
    /// Messages to that client, which come after the reply, and those of a server that is frozen.
    messages: Vec<(ClientId, Message)>,
    /// Clients that may go on with input that they have sent.
    pub(super) runnable: BTreeSet<ClientId>,
    /// Called once the engine is free again.
    pub(super) wakers: Vec<Waker>,
}

impl Engine {
    pub(super) fn new(table: &'static Table) -> Self {
        let (clock, mut random) = (Clock::new(), fastrand::Rng::new());
        Self {
            table,
            started_at: clock.millis(),
            run_id: (0..40).map(|_| random.digit(16)).collect(),
            cluster: None,
            keyspace: Keyspace::new(),
            sessions: BTreeMap::new(),
            channels: Channels::default(),
            clock,
            random,
            settings: Settings::default(),
            users: Users::new(table),
            refusals: Log::default(),
            #[cfg(feature = "memory-lua")]
            scripts: Scripts::default(),
            faults: Faults::default(),
            statistics: Statistics::new(table),
            last_id: 0,
            waiters: Waiters::new(),
            watchers: Waiters::new(),
            trackers: Trackers::default(),
            running: None,
            is_executing: false,
            messages: Vec::new(),
            runnable: BTreeSet::new(),
            wakers: Vec::new(),
        }
    }

    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }

    /// Accepts a client, which reaches the server from this address, by a port if it has come by TCP. One too many
    /// gets an error, and is disconnected.
    pub(super) fn accept(&mut self, address: String, port: Option<u16>) -> ClientId {
        self.last_id += 1;
        let (id, now) = (self.last_id, self.clock.millis());
        let user = self.users.without_login();
        let is_one_too_many = self.sessions.len() >= self.settings.max_clients
            && self.clients().count() >= self.settings.max_clients;
        let mut session = Session::new(id, address, now, user);
        session.port = port;
        session.decoder = Decoder::with_limit(self.settings.max_query);
        self.sessions.insert(id, session);
        self.statistics.connections += 1;
        if is_one_too_many {
            self.statistics.rejected_connections += 1;
            self.reply(id, &Reply::error("ERR max number of clients reached"));
            self.session(id).is_closing = true;
        }
        id
    }

    /// The clients that are connected.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter(|session| !session.is_closing)
    }

    /// The client has gone.
    pub(super) fn disconnect(&mut self, id: ClientId) {
        self.kill(id);
        self.sessions.remove(&id);
    }

    /// Ends a connection. The client can still read the replies that it has got.
    pub(super) fn kill(&mut self, id: ClientId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.is_closing = true;
        self.wakers.extend(session.take_reader());
        self.wakers.extend(session.take_writer());
        self.channels
            .leave(id, &mem::take(&mut session.subscriptions));
        if let Some(waiting) = session.waiting.take() {
            for key in &waiting.wait.keys {
                self.waiters.remove(id, waiting.database, key);
            }
        }
        self.unwatch(id);
        self.session(id).tracking = None;
        if self.trackers.are_any() {
            self.trackers.forget(id);
            self.note_for_trackers();
        }
    }

    /// The client watches a key from now on.
    pub(super) fn watch(&mut self, id: ClientId, database: usize, key: &Bytes) {
        if self.session(id).watched.insert((database, key.clone())) {
            self.watchers.add(id, database, key);
            self.keyspace.database(database).want_changes(true);
        }
    }

    /// The client watches no key any more.
    pub(super) fn unwatch(&mut self, id: ClientId) {
        let session = self.session(id);
        session.is_outdated = false;
        for (database, key) in mem::take(&mut session.watched) {
            self.watchers.remove(id, database, &key);
        }
    }

    /// The time at which something happens for this client without anybody's doing.
    pub(super) fn next_time(&self, id: ClientId) -> Option<Millis> {
        let session = self.sessions.get(&id)?;
        if self.faults.is_frozen() {
            return session.next_release();
        }
        let deadline = session
            .waiting
            .as_ref()
            .and_then(|waiting| waiting.deadline);
        let after_sleep = |at: Millis| at.max(self.faults.sleep.unwrap_or(0));
        let deadline = deadline.map(after_sleep);
        let expiry = self.expiry_to_tell(session).map(after_sleep);
        let wants_to_run =
            session.held.is_some() || session.waiting.is_some() || !session.input.is_empty();
        let pause = self.faults.pause_end().filter(|_| wants_to_run);
        let times = [
            deadline,
            expiry,
            session.next_release(),
            pause,
            self.idle_end(id),
        ];
        times.into_iter().flatten().min()
    }

    /// The time at which a client is disconnected because it sends nothing. Subscribers and clients that wait may be
    /// silent.
    pub(super) fn idle_end(&self, id: ClientId) -> Option<Millis> {
        let session = self.sessions.get(&id)?;
        let may_be_silent = session.waiting.is_some() || !session.subscriptions.is_empty();
        let timeout = self.settings.idle_timeout;
        (timeout > 0 && !may_be_silent && !session.is_closing)
            .then(|| session.used_at.saturating_add(timeout * 1000))
    }

    /// Times have moved, so streams look at them again.
    pub(super) fn wake_all(&mut self) {
        for session in self.sessions.values_mut() {
            self.wakers.extend(session.take_reader());
        }
    }

    /// Disconnects all clients. Returns their number.
    pub(super) fn disconnect_all(&mut self) -> usize {
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for id in &all {
            self.disconnect(*id);
        }
        all.len()
    }

    /// Removes the keys whose time has come, and does what follows from that, as soon as anything goes on.
    pub(super) fn expire(&mut self) {
        let now = self.clock.millis();
        if self.keyspace.expire(now) && !self.faults.is_asleep(now) {
            self.settle(now);
            self.run();
        }
    }

    /// Ends CLIENT PAUSE. The clients that it held go on after the present command.
    pub(super) fn end_pause(&mut self) {
        self.faults.pause = None;
        self.runnable.extend(self.sessions.keys());
    }

    /// Ends a command with its reply.
    pub(super) fn end(&mut self, id: ClientId, reply: &Reply) {
        self.reply(id, reply);
        self.session(id).end_command();
    }

    /// Sends a message to a client. If its own command has caused it, the message comes after the reply.
    pub(super) fn push(&mut self, id: ClientId, message: &Message) {
        if self.running == Some(id) || self.faults.is_frozen() {
            self.messages.push((id, message.clone()));
        } else {
            self.deliver(id, message);
        }
    }

    /// Sends the messages that had to wait: for the end of a command, or of a freeze.
    pub(super) fn push_messages(&mut self) {
        for (id, message) in mem::take(&mut self.messages) {
            self.deliver(id, &message);
        }
    }

    fn deliver(&mut self, id: ClientId, message: &Message) {
        // Nothing comes after the end of a connection.
        let session = self.sessions.get(&id);
        let session = session.filter(|session| !session.is_closing);
        if let Some(form) = session.and_then(|session| message.form(session)) {
            self.reply(id, &form);
        }
    }

    /// Sends a reply or a push to a client. One that leaves too much unread is disconnected.
    pub(super) fn reply(&mut self, id: ClientId, reply: &Reply) {
        let at = self.reply_time();
        let limit = self.faults.bytes_left();
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let wants_reply = matches!(session.replies, Replies::On | Replies::SkipNext);
        if !wants_reply && !reply.is_push() {
            return;
        }
        let written = session.reply(reply, at, limit);
        // Clients with input of their own are woken after it.
        self.wakers.extend(session.take_reader());
        let limits = &self.settings.output_limits;
        let limit = if session.subscriptions.is_empty() {
            limits.normal
        } else {
            limits.subscriber
        };
        if !limit.is_none() && session.exceeds(limit, self.clock.millis()) {
            session.cut();
            self.kill(id);
        } else if self.faults.note_written(written) {
            self.kill(id);
        }
    }

    /// The time at which a reply can be read: that of the end of a sleep, and of the fault.
    fn reply_time(&self) -> Option<Millis> {
        let now = || self.clock.millis();
        // The present millisecond may be nearly over, and does not count.
        let late = self.faults.delay();
        let late = late.map(|delay| now().saturating_add(1).saturating_add(delay));
        self.faults.sleep.max(late)
    }

    /// Counts from 0 again.
    pub(super) fn reset_statistics(&mut self) {
        self.statistics = Statistics::new(self.table);
        self.statistics.expired_before = self.keyspace.expired();
        self.settings.evicted = 0;
    }

    /// Holds every count and index against the data, and the lists of clients against the clients.
    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        self.keyspace.check_counts();
        let (mut waiters, mut watchers) = (Waiters::new(), Waiters::new());
        for session in self.sessions.values() {
            for (database, key) in &session.watched {
                watchers.add(session.id, *database, key);
            }
            if let Some(waiting) = &session.waiting {
                for key in &waiting.wait.keys {
                    waiters.add(session.id, waiting.database, key);
                }
            }
        }
        self.check_trackers();
        assert!(self.waiters.has_same(&waiters) && self.watchers.has_same(&watchers));
    }

    pub(super) fn session(&mut self, id: ClientId) -> &mut Session {
        let session = self.sessions.get_mut(&id);
        session.expect("BUG: a client that is gone")
    }
}
