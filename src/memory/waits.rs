//! Commands that wait for keys.

use super::{
    engine::Engine,
    halt::{Halt, Wait},
    keyspace::{Millis, Value},
    reply::Reply,
    request::Request,
    session::{ClientId, Waiting},
    signature::Signature,
};

impl Engine {
    pub(super) fn wait(
        &mut self,
        id: ClientId,
        command: &'static Signature,
        request: Request,
        mut wait: Wait,
        now: Millis,
    ) {
        let session = self.session(id);
        let waiting = Waiting {
            command,
            request: wait.again.take().unwrap_or(request),
            database: session.database,
            deadline: wait.timeout.map(|timeout| now.saturating_add(timeout)),
            wait,
        };
        for key in &waiting.wait.keys {
            self.waiters.add(id, waiting.database, key);
        }
        self.keyspace.database(waiting.database).want_changes(true);
        let session = self.session(id);
        session.waiting = Some(waiting);
        // Its stream looks at the deadline.
        let reader = session.take_reader();
        self.wakers.extend(reader);
    }

    /// Does what follows from the changes of keys: transactions that watch them are outdated, and commands that
    /// wait for them run, in the order in which they came, until nothing follows any more.
    pub(super) fn settle(&mut self, now: Millis) {
        if self.trackers.are_any() {
            self.invalidate(None);
        }
        loop {
            let mut changed = Vec::new();
            for (number, database) in self.keyspace.all().enumerate() {
                let keys = database.take_changed();
                let keys = keys.into_iter();
                changed.extend(keys.map(|(key, is_change)| (number, key, is_change)));
                database.want_changes(self.waiters.has(number) || self.watchers.has(number));
            }
            if changed.is_empty() {
                return;
            }
            for (number, key, is_change) in changed {
                if is_change {
                    for id in self.watchers.of(number, &key) {
                        self.session(id).is_outdated = true;
                    }
                }
                for id in self.waiters.of(number, &key) {
                    if self.is_awaited(id, number, &key) {
                        self.try_again(id, now);
                    }
                }
            }
        }
    }

    /// Whether a key is such that a client that waits for it tries again. A key of another type is no matter,
    /// until one of the right type is there; but XREADGROUP is to notice that its group has gone.
    fn is_awaited(&mut self, id: ClientId, database: usize, key: &[u8]) -> bool {
        let session = self.sessions.get(&id);
        let Some(waiting) = session.and_then(|session| session.waiting.as_ref()) else {
            return false;
        };
        let value = self.keyspace.database(database).peek(key);
        match waiting.command.name.as_bytes() {
            b"xreadgroup" => true,
            [b'x', ..] => matches!(value, Some(Value::Stream(_))),
            [b'b', b'z', ..] => matches!(value, Some(Value::SortedSet(_))),
            _ => matches!(value, Some(Value::List(_))),
        }
    }

    fn try_again(&mut self, id: ClientId, now: Millis) {
        let Some(waiting) = self
            .sessions
            .get_mut(&id)
            .and_then(|session| session.waiting.take())
        else {
            return;
        };
        let outcome = if waiting.is_over(now) {
            Ok(waiting.wait.on_timeout.clone())
        } else {
            self.call(id, waiting.command, &waiting.request, now, waiting.database)
        };
        self.session(id).waiting = Some(waiting);
        match outcome {
            Ok(reply) => drop(self.end_wait(id, Some(reply))),
            Err(Halt::Wait(_)) => {}
            Err(halt) => drop(self.end_wait(id, Some(halt.at_once()))),
        }
    }

    /// Ends a wait with a reply, by default the one that tells that its time is over. Tells whether the client
    /// waited.
    pub(super) fn end_wait(&mut self, id: ClientId, reply: Option<Reply>) -> bool {
        let Some(waiting) = self
            .sessions
            .get_mut(&id)
            .and_then(|session| session.waiting.take())
        else {
            return false;
        };
        for key in &waiting.wait.keys {
            self.waiters.remove(id, waiting.database, key);
        }
        let reply = reply.unwrap_or_else(|| {
            let outcome = Ok(waiting.wait.on_timeout.clone());
            self.statistics.note(waiting.command, &outcome);
            waiting.wait.on_timeout
        });
        self.end(id, &reply);
        self.runnable.insert(id);
        true
    }
}
