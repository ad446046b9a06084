//! The session of one client: what it has chosen, and what becomes of its requests.
//!
//! - this file: [`Session`], and commands that go to the database
//! - `own`: commands that the front answers · `transactions`: MULTI and what follows

mod own;
mod transactions;

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use redis::{Cmd, cmd};

use super::{
    answer::Answer,
    name::{Name, upper},
    service::{DEFAULT_USER, Service},
    shape::Shape,
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
    /// The connection on which keys are watched.
    pub(in crate::front) lease: Option<Lease>,
    /// No more requests are taken.
    pub(in crate::front) is_closing: bool,
}

/// What becomes of a request.
pub(in crate::front) enum Step {
    Answered(Answer),
    /// It runs beside other commands of the client, in their order.
    Call(Running),
    /// It runs when all earlier commands have ended, and before any later one begins.
    Alone(Alone),
}

pub(in crate::front) type Running = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Work that runs alone. It has the lease of the session meanwhile, and gives it back.
pub(in crate::front) struct Alone {
    pub(in crate::front) run: Pin<Box<dyn Future<Output = (Option<Lease>, Answer)> + Send>>,
    /// It waits on the server, so it ends with its client.
    pub(in crate::front) blocks: bool,
}

/// Work of the front itself that runs alone.
fn alone(run: impl Future<Output = (Option<Lease>, Answer)> + Send + 'static) -> Step {
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
            lease: None,
            is_closing: false,
            service,
        }
    }

    pub(in crate::front) fn is_logged_in(&self) -> bool {
        self.user.is_some()
    }

    /// Takes a request, which has at least one word.
    pub(in crate::front) fn take(&mut self, request: &Request) -> Step {
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
        if self.transaction.is_some() {
            return self.take_in_transaction(name, request);
        }
        match name {
            None => self.call(request),
            Some(Name::Multi) => Step::Answered(self.begin_transaction(request)),
            Some(Name::Exec | Name::Discard) => {
                let name = upper(&request[0]);
                Step::Answered(Answer::error(format!("ERR {name} without MULTI")))
            }
            Some(Name::Watch) => self.watch(request),
            Some(Name::Unwatch) => self.unwatch(Answer::Own(Reply::OK)),
            Some(Name::Subscribe) => Step::Answered(Answer::error(no_messages(&request[0]))),
            Some(name) => Step::Answered(Answer::Own(self.own(name, request))),
        }
    }

    /// Runs a command on the database.
    fn call(&mut self, request: &Request) -> Step {
        let (command, shape) = (command(request), Shape::of(request));
        let database = self.database.clone();
        if database.engine.runs_in_turn(&command) {
            return Step::Call(Box::pin(async move {
                Answer::Command(database.execute(&command).await, shape)
            }));
        }
        let blocks = database.engine.blocks(&command);
        let lease = self.lease.take();
        let run = async move {
            let ended = database.execute(&command).await;
            (lease, Answer::Command(ended, shape))
        };
        Step::Alone(Alone {
            run: Box::pin(run),
            blocks,
        })
    }

    /// Watches keys, on a connection that the session keeps until the transaction ends.
    fn watch(&mut self, request: &Request) -> Step {
        let (command, database, lease) =
            (command(request), self.database.clone(), self.lease.take());
        alone(async move {
            let leased = match lease {
                Some(lease) => Ok(lease),
                None => database.lease().await,
            };
            match leased {
                Ok(mut lease) => {
                    let ended = lease.execute(&command).await;
                    let lease = lease.is_open().then_some(lease);
                    (lease, Answer::Command(ended, Shape::Same))
                }
                Err(error) => (None, Answer::Command(Err(error), Shape::Same)),
            }
        })
    }

    /// Gives the connection back on which keys are watched, and then this answer.
    fn unwatch(&mut self, answer: Answer) -> Step {
        match self.lease.take() {
            None => Step::Answered(answer),
            Some(mut lease) => alone(async move {
                // If it fails, the connection is closed, which ends the watch as well.
                let _ = lease.execute(&cmd("UNWATCH")).await;
                (None, answer)
            }),
        }
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

fn no_messages(name: &[u8]) -> String {
    format!(
        "REFUSED {} is refused: the front carries no messages, so subscribe at the server itself; the command was \
         not sent",
        upper(name)
    )
}
