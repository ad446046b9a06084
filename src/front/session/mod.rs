//! The session of one client: what it has chosen, and what becomes of its requests.
//!
//! - this file: [`Session`], and commands that go to the database
//! - `own`: commands that the front answers, `client_commands`: those of CLIENT
//! - `transactions`: MULTI and what follows · `watch`: watched keys · `subscriptions`: SUBSCRIBE and its like

mod client_commands;
mod own;
mod subscriptions;
mod transactions;
mod watch;

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use redis::Cmd;

use self::watch::Watch;
use super::{
    answer::Answer,
    calls::State,
    name::{Name, upper},
    service::{DEFAULT_USER, Service},
    shape::Shape,
    subscription::Subscription,
    transaction::Transaction,
};
use crate::{
    database::Database,
    lease::Lease,
    wire::{
        reply::{Protocol, Reply},
        request::Request,
    },
};

/// The state that a client's commands change.
#[derive(Debug)]
pub(in crate::front) struct Session {
    pub(in crate::front) service: Arc<Service>,
    id: u64,
    address: String,
    /// The number of the database in which it begins.
    start: i64,
    /// That of the present one.
    number: i64,
    database: Database,
    pub(in crate::front) protocol: Protocol,
    /// `None` before a login that the front asks for.
    user: Option<String>,
    name: Bytes,
    library: (Bytes, Bytes),
    transaction: Option<Transaction>,
    watch: Watch,
    pub(in crate::front) subscription: Option<Subscription>,
    /// No more requests are taken.
    pub(in crate::front) is_closing: bool,
}

/// What becomes of a request.
pub(in crate::front) enum Step {
    Answered(Answer),
    /// It runs beside other commands of the client, in their order.
    Call(State),
    /// It runs when all earlier commands have ended, and before any later one begins.
    Alone(Alone),
}

/// Work that runs alone. It has the connections of the session that it needs, and gives them back.
pub(in crate::front) struct Alone {
    pub(in crate::front) run: Pin<Box<dyn Future<Output = Ended> + Send>>,
    /// It waits on the server, so it ends with its client.
    pub(in crate::front) blocks: bool,
}

/// The result of work that ran alone.
pub(in crate::front) struct Ended {
    pub(in crate::front) answer: Answer,
    pub(in crate::front) left: Left,
}

/// What work leaves to the session.
pub(in crate::front) enum Left {
    Nothing,
    Watch(Watch),
    /// The client has subscribed for the first time.
    Subscription(Subscription),
    /// The connection of the subscriptions. Without it, they are lost.
    Subscriber(Option<Lease>),
}

impl Ended {
    fn of(answer: Answer) -> Self {
        Self {
            answer,
            left: Left::Nothing,
        }
    }
}

/// Work of the front itself that runs alone.
fn alone(run: impl Future<Output = Ended> + Send + 'static) -> Step {
    Step::Alone(Alone {
        run: Box::pin(run),
        blocks: false,
    })
}

impl Session {
    /// A session that begins in the database of this number.
    pub(in crate::front) fn new(service: Arc<Service>, start: i64, address: String) -> Self {
        let user = (!service.needs_login()).then(|| DEFAULT_USER.to_owned());
        let database = service.databases[&start].clone();
        Self {
            id: service.next_id(),
            address,
            start,
            number: start,
            database,
            protocol: Protocol::default(),
            user,
            name: Bytes::new(),
            library: (Bytes::new(), Bytes::new()),
            transaction: None,
            watch: Watch::default(),
            subscription: None,
            is_closing: false,
            service,
        }
    }

    pub(in crate::front) fn is_logged_in(&self) -> bool {
        self.user.is_some()
    }

    /// Takes back what work has left.
    pub(in crate::front) fn take_back(&mut self, left: Left) {
        match (left, &mut self.subscription) {
            (Left::Watch(watch), _) => self.watch = watch,
            (Left::Subscription(subscription), _) => self.subscription = Some(subscription),
            (Left::Subscriber(Some(lease)), Some(subscription)) => subscription.lease = Some(lease),
            (Left::Subscriber(None), Some(_)) => self.lose_subscription(),
            (Left::Nothing, _) | (Left::Subscriber(_), None) => {}
        }
    }

    /// The connection of the subscriptions was lost, and with it messages. The client would take a silent gap
    /// for a channel without messages, so its connection ends, as it would with the server itself. All clients
    /// then subscribe again.
    pub(in crate::front) fn lose_subscription(&mut self) {
        self.subscription = None;
        self.is_closing = true;
    }

    /// Whether the client keeps a transaction waiting: it watches keys, or has queued commands.
    pub(in crate::front) fn holds_transaction(&self) -> bool {
        let is_open = |transaction: &Transaction| !transaction.is_refused();
        matches!(self.watch, Watch::Held(_)) || self.transaction.as_ref().is_some_and(is_open)
    }

    /// Ends the transaction of a client that has been silent for too long. It will learn so from EXEC.
    pub(in crate::front) fn give_up_transaction(&mut self) {
        let limit = self.service.limits.transaction;
        let reason = format!("the client was silent for {limit:?}");
        if let Some(transaction) = &mut self.transaction {
            transaction.refuse(reason.clone());
        }
        if matches!(self.watch, Watch::Held(_)) {
            self.watch = Watch::Lost(reason);
        }
    }

    /// Takes a request, which has at least one word. It takes its turn behind calls of the client that may not be sent
    /// yet, if there are any.
    pub(in crate::front) fn take(&mut self, request: &Request, is_behind: bool) -> Step {
        let name = Name::of(&request[0]);
        if name == Some(Name::Http) {
            // The rest would be commands that a web page has chosen.
            self.is_closing = true;
            return Step::Answered(Answer::error("ERR this is no server of HTTP"));
        }
        let needs_login = !matches!(
            name,
            Some(Name::Hello | Name::Auth | Name::Quit | Name::Reset)
        );
        if needs_login && !self.is_logged_in() {
            return Step::Answered(Answer::error("NOAUTH Authentication required."));
        }
        if self.is_subscriber_of_resp2() {
            return self.take_of_subscriber(name, request);
        }
        if self.transaction.is_some() {
            return self.take_in_transaction(name, request);
        }
        match name {
            None => self.call(request, is_behind),
            Some(Name::Multi) => Step::Answered(self.begin_transaction(request)),
            Some(Name::Exec | Name::Discard) => {
                let name = upper(&request[0]);
                Step::Answered(Answer::error(format!("ERR {name} without MULTI")))
            }
            Some(Name::Watch) => self.watch(request),
            Some(Name::Unwatch) => self.unwatch(Answer::Own(Reply::OK)),
            Some(Name::Subscribe) => self.subscribe(request),
            Some(Name::Unsubscribe) => self.unsubscribe(request),
            Some(name) => Step::Answered(Answer::Own(self.own(name, request))),
        }
    }

    /// Runs a command on the database.
    fn call(&mut self, request: &Request, is_behind: bool) -> Step {
        let (mut command, shape) = (command(request), Shape::of(request));
        if !is_behind {
            let engine = &self.database.engine;
            command = match engine.underway(command, self.database.options()) {
                Ok(underway) => return Step::Call(State::Underway(underway, shape)),
                Err(command) => command,
            };
        }
        let database = self.database.clone();
        if database.engine.runs_in_turn(&command) {
            return Step::Call(State::Running(Box::pin(async move {
                Answer::Command(database.execute(&command).await, shape)
            })));
        }
        let blocks = database.engine.blocks(&command);
        let run = async move {
            let ended = database.execute(&command).await;
            Ended::of(Answer::Command(ended, shape))
        };
        Step::Alone(Alone {
            run: Box::pin(run),
            blocks,
        })
    }
}

/// The command of these words.
fn command(request: &Request) -> Cmd {
    let bytes = request.iter().map(Bytes::len).sum();
    let mut command = Cmd::with_capacity(request.len(), bytes);
    for word in request {
        command.arg(&word[..]);
    }
    command
}
