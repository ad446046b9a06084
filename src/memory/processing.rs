//! What the server does with input: it decodes requests, checks them, runs them, and does what follows from them. The
//! stream of a client hands it bytes and asks it for bytes, and tells it when a time has come.

use bytes::Bytes;

use super::{
    acl::Denial,
    check::{flags_to_run, unknown},
    commands,
    context::Context,
    engine::Engine,
    halt::{Halt, Outcome},
    keyspace::Millis,
    reply::Reply,
    request::Request,
    session::{ClientId, OPERATOR},
    signature::Signature,
};

impl Engine {
    /// Takes input of a client, and does all that it asks for and that follows from it.
    pub(super) fn receive(&mut self, id: ClientId, input: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.input.extend_from_slice(input);
            self.runnable.insert(id);
            self.run();
        }
    }

    /// A time has come that [`next_time`](Self::next_time) has named, or the client has read.
    pub(super) fn tick(&mut self, id: ClientId) {
        let now = self.clock.millis();
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.release(now);
        if !self.faults.is_asleep(now) {
            if self.keyspace.expire(now) {
                self.settle(now);
            }
            let waiting = self.session(id).waiting.as_ref();
            if waiting.is_some_and(|waiting| waiting.is_over(now)) {
                self.end_wait(id, None);
            }
            if self.idle_end(id).is_some_and(|end| end <= now) {
                self.kill(id);
            }
        }
        self.runnable.insert(id);
        self.run();
    }

    /// Does for all clients what is due: after the end of a freeze, or when the time was moved on.
    pub(super) fn tick_all(&mut self) {
        let now = self.clock.millis();
        if !self.faults.is_frozen() {
            self.push_messages();
        }
        if !self.faults.is_asleep(now) {
            self.keyspace.expire(now);
            // Something may have changed while the server stood still.
            self.settle(now);
        }
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for id in all {
            self.tick(id);
        }
        self.wake_all();
    }

    pub(super) fn run(&mut self) {
        let now = self.clock.millis();
        if self.faults.end_pause(now) {
            if !self.faults.is_asleep(now) {
                // The application may have changed something while the server slept.
                self.settle(now);
            }
            self.runnable.extend(self.sessions.keys());
        }
        while let Some(id) = self.runnable.pop_first() {
            self.work(id);
        }
        self.note_expiry();
        self.broadcast();
    }

    /// Processes a client's input for as long as it may go on.
    fn work(&mut self, id: ClientId) {
        let is_stalled = self.process(id);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        // The stream of a stalled client looks at the time at which it may go on.
        if session.has_output() || session.is_closing || is_stalled {
            self.wakers.extend(session.take_reader());
        }
        if !session.is_stuffed() {
            self.wakers.extend(session.take_writer());
        }
    }

    /// Tells whether the client has to wait for the end of a pause.
    fn process(&mut self, id: ClientId) -> bool {
        loop {
            let now = self.clock.millis();
            let Some(session) = self.sessions.get_mut(&id) else {
                return false;
            };
            if session.is_closing || session.is_full() || session.waiting.is_some() {
                return false;
            }
            if self.faults.is_asleep(now) {
                return true;
            }
            let request = match session.held.take() {
                Some(request) => Ok(Some(request)),
                None => {
                    let is_logged_in = session.user.is_some() || !self.users.want_login();
                    session.decoder.next(&mut session.input, is_logged_in)
                }
            };
            match request {
                Ok(None) => return false,
                Ok(Some(request)) => {
                    if self.serve(id, request, now) {
                        return true;
                    }
                }
                Err(malformed) => {
                    let text = format!("ERR {}", malformed.0);
                    self.statistics.note_error(&text);
                    self.reply(id, &Reply::error(text));
                    self.session(id).is_closing = true;
                }
            }
        }
    }

    /// Runs one request, and those of clients that waited for what it changed. Tells whether the request has to
    /// wait for the end of a pause.
    fn serve(&mut self, id: ClientId, request: Request, now: Millis) -> bool {
        if self.keyspace.expire(now) {
            self.settle(now);
        }
        let command = self.table.of(&request);
        self.session(id).last_command = command.map_or("NULL", |command| command.name);
        let checked = self.check(id, command, &request);
        if let Ok(command) = checked {
            let flags = flags_to_run(command, self.session(id));
            if self.faults.holds(flags, now) {
                self.session(id).held = Some(request);
                return true;
            }
        }
        let session = self.session(id);
        session.used_at = now;
        // TOUCH is a use in any case.
        let ignores_uses = session.exemptions.from_touching && session.last_command != "touch";
        if ignores_uses {
            self.keyspace.count_uses(false);
        }
        if self.trackers.are_any() {
            self.bound_trackers();
        }
        self.running = Some(id);
        let outcome = match checked {
            Ok(command) => self.execute(id, command, &request, now),
            Err(halt) => Err(self.refuse(id, command, halt)),
        };
        let reply = match outcome {
            Ok(reply) => Some(reply),
            Err(Halt::Error(text)) => Some(Reply::Error(text)),
            Err(Halt::Transaction(requests)) => Some(self.execute_all(id, &requests, now)),
            #[cfg(feature = "memory-lua")]
            Err(halt @ Halt::Script(_)) => Some(halt.at_once()),
            Err(Halt::Wait(wait)) => {
                if let Some(command) = command {
                    self.wait(id, command, request, wait, now);
                }
                None
            }
        };
        self.running = None;
        if ignores_uses {
            self.keyspace.count_uses(true);
        }
        if let Some(reply) = reply {
            self.end(id, &reply);
        }
        self.push_messages();
        if self.session(id).is_closing {
            self.kill(id);
        }
        self.settle(now);
        false
    }

    /// Runs a command, or queues it in a transaction.
    fn execute(
        &mut self,
        id: ClientId,
        command: &'static Signature,
        request: &Request,
        now: Millis,
    ) -> Outcome {
        let most = self.settings.max_query;
        let session = self.session(id);
        if let Some(transaction) = &mut session.transaction
            && !RUNS_IN_TRANSACTION.contains(&command.name)
        {
            // As in Redis, one that will not run takes no more commands.
            if transaction.is_refused || session.is_outdated {
                return Ok(Reply::Status("QUEUED".into()));
            }
            if !transaction.queue(command, request, most) {
                return Err(Halt::error(
                    "ERR the transaction has more bytes than client-query-buffer-limit",
                ));
            }
            return Ok(Reply::Status("QUEUED".into()));
        }
        let database = session.database;
        self.call(id, command, request, now, database)
    }

    /// Runs the commands of a transaction.
    fn execute_all(&mut self, id: ClientId, requests: &[Request], now: Millis) -> Reply {
        self.is_executing = true;
        let mut replies = Vec::with_capacity(requests.len());
        for request in requests {
            let database = self.session(id).database;
            let outcome = match self.table.of(request) {
                Some(command) => match self.permit("multi", id, command, request) {
                    Ok(()) => self.call(id, command, request, now, database),
                    Err(denial) => Err(no_longer_permitted(&denial)),
                },
                None => Err(unknown(request)),
            };
            replies.push(outcome.unwrap_or_else(Halt::at_once));
        }
        self.is_executing = false;
        Reply::Array(replies)
    }

    /// A command that was refused: the transaction that it belongs to is refused as well.
    fn refuse(&mut self, id: ClientId, command: Option<&Signature>, halt: Halt) -> Halt {
        let is_exec = command.is_some_and(|command| command.name == "exec");
        if is_exec {
            self.session(id).transaction = None;
            self.unwatch(id);
        }
        let halt = match halt {
            // Of slots, a cluster tells the same as without a transaction.
            Halt::Error(text) if is_exec && !text.starts_with("CROSSSLOT ") => {
                let reason = text.strip_prefix("ERR ").unwrap_or(&text);
                Halt::error(format!(
                    "EXECABORT Transaction discarded because of: {reason}"
                ))
            }
            halt => halt,
        };
        if let Some(transaction) = &mut self.session(id).transaction {
            transaction.is_refused = true;
        }
        self.statistics.note_refusal(command, &halt);
        halt
    }

    /// Runs a command that was checked.
    pub(super) fn call(
        &mut self,
        id: ClientId,
        command: &'static Signature,
        request: &[Bytes],
        now: Millis,
        database: usize,
    ) -> Outcome {
        let mut context = Context {
            engine: self,
            client: id,
            now,
            database,
        };
        let outcome = commands::handler(command)(&mut context, request);
        #[cfg(feature = "memory-lua")]
        let outcome = match outcome {
            Err(Halt::Script(evaluation)) => self.evaluate(id, &evaluation, now),
            outcome => outcome,
        };
        if id != OPERATOR {
            self.statistics.note(command, &outcome);
        }
        if self.trackers.are_any() {
            self.follow(id, command, request);
        }
        outcome
    }
}

/// The rights of the user have changed since the command was queued.
fn no_longer_permitted(denial: &Denial) -> Halt {
    let reason = denial.change();
    Halt::error(format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is \
         no longer allowed for the following reason: {reason}"
    ))
}

/// Commands that run at once in a transaction.
const RUNS_IN_TRANSACTION: [&str; 6] = ["exec", "discard", "multi", "watch", "quit", "reset"];
