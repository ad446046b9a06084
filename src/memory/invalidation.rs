//! Telling clients of changed keys, as CLIENT TRACKING demands.

use bytes::Bytes;

use super::{
    engine::Engine,
    keys,
    keyspace::Millis,
    message::Message,
    session::{ClientId, Session},
    signature::{Signature, flags},
    trackers::with_prefix,
    tracking::Tracking,
};

/// Milliseconds. Keys that expire shortly after each other are told together.
const EXPIRY_STEP: Millis = 10;

impl Engine {
    /// A client tracks keys from now on, or in another way.
    pub(super) fn track(&mut self, id: ClientId, tracking: Tracking) {
        self.trackers.begin(id, &tracking);
        let session = self.session(id);
        session.tracking = Some(tracking);
        // Its stream looks at the next expiry.
        let reader = session.take_reader();
        self.wakers.extend(reader);
        self.note_for_trackers();
    }

    /// A client tracks keys no more.
    pub(super) fn untrack(&mut self, id: ClientId) {
        if self.session(id).tracking.take().is_some() {
            self.trackers.end(id);
            self.note_for_trackers();
        }
    }

    /// Has changes noted while they are of interest.
    pub(super) fn note_for_trackers(&mut self) {
        let are_any = self.trackers.are_any();
        for database in self.keyspace.all() {
            database.track_changes(are_any);
        }
    }

    /// After a command: tells of the keys that it has changed, and remembers those that it has read for a client that
    /// tracks.
    pub(super) fn follow(&mut self, id: ClientId, command: &Signature, request: &[Bytes]) {
        self.invalidate(Some(id));
        // Of a script, the commands count that it calls.
        let is_script = command.name.starts_with("eval");
        if !command.has(flags::READONLY) || command.has(flags::PUBSUB) || is_script {
            return;
        }
        let session = self.sessions.get(&id);
        let tracking = session.and_then(|session| session.tracking.as_ref());
        if tracking.is_some_and(Tracking::remembers) {
            for key in keys::of(command, request).unwrap_or_default() {
                self.trackers.remember(id, key);
            }
        }
    }

    /// Tells of the keys that have changed since the last call, by this client.
    pub(super) fn invalidate(&mut self, by: Option<ClientId>) {
        let databases = self.keyspace.all();
        let changed: Vec<_> = databases
            .flat_map(|database| database.take_tracked())
            .collect();
        for key in changed {
            self.trackers.note_changed(&key, by);
            self.invalidate_key(&key, by);
        }
        if !self.trackers.are_any() {
            self.note_for_trackers();
        }
    }

    /// Tells the clients that have read a key, and forgets that they have.
    fn invalidate_key(&mut self, key: &Bytes, by: Option<ClientId>) {
        for id in self.trackers.take(key) {
            let session = self.sessions.get(&id);
            let tracking = session.and_then(|session| session.tracking.as_ref());
            let is_told = tracking.is_some_and(|tracking| {
                let is_skipped = tracking.skips_own && by == Some(id);
                !tracking.broadcasts() && !is_skipped
            });
            if is_told {
                self.tell_of(id, Some(vec![key.clone()]));
            }
        }
    }

    /// A whole database was emptied. As in Redis, copies of all databases are outdated.
    pub(super) fn invalidate_all(&mut self) {
        self.trackers.clear();
        let clients: Vec<_> = self.trackers.clients().iter().copied().collect();
        for id in clients {
            self.tell_of(id, None);
        }
        self.note_for_trackers();
    }

    /// Forgets keys until there are as few as is permitted, and tells those who have read them.
    pub(super) fn bound_trackers(&mut self) {
        let most = self.settings.tracked_keys;
        while most > 0 && self.trackers.keys() > most {
            let Some(key) = self.trackers.any_key(&mut self.random) else {
                return;
            };
            self.invalidate_key(&key, None);
        }
    }

    /// The time at which a client that tracks keys looks which ones have expired: on a quiet server no command does.
    pub(super) fn expiry_to_tell(&self, session: &Session) -> Option<Millis> {
        let tracking = session.tracking.as_ref();
        let next = tracking.and_then(|_| self.keyspace.next_expiry());
        next.map(|at| at.next_multiple_of(EXPIRY_STEP))
    }

    /// Has the streams of clients that track keys look at the next expiry, if it is earlier than the one that they know.
    pub(super) fn note_expiry(&mut self) {
        if !self.trackers.are_any() || !self.trackers.note_expiry(self.keyspace.next_expiry()) {
            return;
        }
        for id in self.trackers.clients() {
            let session = self.sessions.get_mut(id);
            self.wakers.extend(session.and_then(Session::take_reader));
        }
    }

    /// Tells the clients that track prefixes what has changed since the last call: all keys of a prefix at once.
    pub(super) fn broadcast(&mut self) {
        let changed = self.trackers.take_changed();
        if changed.is_empty() {
            return;
        }
        let mut messages = Vec::new();
        for id in self.trackers.broadcasting() {
            let session = self.sessions.get(id);
            let Some(tracking) = session.and_then(|session| session.tracking.as_ref()) else {
                continue;
            };
            for prefix in tracking.prefixes() {
                let keys = with_prefix(&changed, prefix)
                    .filter(|(_, by)| !(tracking.skips_own && **by == Some(*id)));
                let keys: Vec<_> = keys.map(|(key, _)| key.clone()).collect();
                messages.extend((!keys.is_empty()).then_some((*id, keys)));
            }
        }
        for (id, keys) in messages {
            self.tell_of(id, Some(keys));
        }
    }

    /// Tells a client, or the one that is told in its place, which keys have changed; all if there is no list.
    fn tell_of(&mut self, id: ClientId, keys: Option<Vec<Bytes>>) {
        let tracking = self.session(id).tracking.as_ref();
        let redirect = tracking.and_then(|tracking| tracking.redirect);
        let target = redirect.unwrap_or(id);
        let session = self.sessions.get(&target);
        if session.is_some_and(|session| !session.is_closing) {
            let message = Message::Invalidation {
                keys,
                is_redirected: redirect.is_some(),
            };
            self.push(target, &message);
        } else if redirect.is_some() {
            self.tell_of_broken_redirect(id, target);
        }
    }

    /// Holds the lists of clients against the clients, and what is noted against what is of interest.
    #[cfg(test)]
    pub(super) fn check_trackers(&self) {
        let ids = |is_wanted: fn(&Tracking) -> bool| {
            let sessions = self.sessions.values();
            let tracking =
                sessions.filter(|session| session.tracking.as_ref().is_some_and(is_wanted));
            tracking.map(|session| session.id).collect()
        };
        assert_eq!(*self.trackers.clients(), ids(|_| true));
        assert_eq!(*self.trackers.broadcasting(), ids(Tracking::broadcasts));
        let connected = self.clients().map(|session| session.id).collect();
        self.trackers.check_keys(&connected);
    }

    fn tell_of_broken_redirect(&mut self, id: ClientId, target: ClientId) {
        if let Some(tracking) = &mut self.session(id).tracking {
            tracking.is_redirect_broken = true;
        }
        self.push(id, &Message::BrokenRedirect(target));
    }
}
