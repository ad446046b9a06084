//! Transactions: the front queues the commands after MULTI, and sends them as one.

use std::mem;

use super::{Ended, Session, Step, alone, command, watch::Watch};
use crate::{
    front::{
        answer::Answer,
        name::{Name, upper},
        shape::Shape,
        transaction::Transaction,
    },
    wire::{reply::Reply, request::Request},
};

impl Session {
    pub(super) fn begin_transaction(&mut self, request: &Request) -> Answer {
        if request.len() > 1 {
            return Answer::error("ERR wrong number of arguments for 'multi' command");
        }
        self.transaction = Some(Transaction::default());
        Answer::Own(Reply::OK)
    }

    /// Takes a request after MULTI.
    pub(super) fn take_in_transaction(&mut self, name: Option<Name>, request: &Request) -> Step {
        match name {
            Some(Name::Exec) if request.len() == 1 => self.exec(),
            Some(Name::Discard) if request.len() == 1 => {
                self.transaction = None;
                self.unwatch(Answer::Own(Reply::OK))
            }
            Some(Name::Exec | Name::Discard) => {
                let name = upper(&request[0]).to_ascii_lowercase();
                let text = format!("ERR wrong number of arguments for '{name}' command");
                Step::Answered(self.refuse(text))
            }
            Some(Name::Multi) => Step::Answered(Answer::error("ERR MULTI calls can not be nested")),
            Some(Name::Watch) => {
                Step::Answered(Answer::error("ERR WATCH inside MULTI is not allowed"))
            }
            Some(name @ (Name::Quit | Name::Reset)) => {
                Step::Answered(Answer::Own(self.own(name, request)))
            }
            Some(
                Name::Subscribe
                | Name::Unsubscribe
                | Name::Monitor
                | Name::Hello
                | Name::Auth
                | Name::Select
                | Name::Client,
            ) => {
                let name = upper(&request[0]);
                let text = format!(
                    "REFUSED {name} is refused: a transaction of the front changes no session; the command was not \
                     sent"
                );
                Step::Answered(self.refuse(text))
            }
            None | Some(Name::Ping | Name::Echo | Name::Unwatch | Name::Http) => {
                Step::Answered(self.queue(request))
            }
        }
    }

    fn queue(&mut self, request: &Request) -> Answer {
        let command = command(request);
        let options = self.database.options();
        if let Err(error) = self.database.engine.check(&command, &options) {
            self.refuse_transaction();
            return Answer::Command(Err(error), Shape::Same);
        }
        let most = self.service.limits.request_bytes;
        let transaction = self.transaction.get_or_insert_default();
        if transaction.queue(command, Shape::of(request), most) {
            return Answer::Own(Reply::Status("QUEUED".into()));
        }
        self.refuse(format!(
            "REFUSED the transaction is larger than {most} bytes; the command was not sent"
        ))
    }

    fn exec(&mut self) -> Step {
        let transaction = self.transaction.take().unwrap_or_default();
        let (commands, shapes) = match transaction.finish() {
            Ok(finished) => finished,
            Err(reason) => return self.unwatch(aborted(&reason)),
        };
        let lease = match mem::take(&mut self.watch) {
            Watch::Nothing => None,
            Watch::Held(lease) => Some(lease),
            Watch::Lost(reason) => return Step::Answered(aborted(&reason)),
        };
        let database = self.database.clone();
        alone(async move {
            let ended = match lease {
                Some(mut lease) => lease.transact(&commands).await,
                None => database.transact(&commands).await,
            };
            Ended::of(Answer::Transaction(ended, shapes))
        })
    }

    /// Answers a command with an error, for which EXEC will be refused.
    fn refuse(&mut self, text: String) -> Answer {
        self.refuse_transaction();
        Answer::error(text)
    }

    fn refuse_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.refuse("of previous errors".into());
        }
    }
}

/// The reply to EXEC of a transaction that is not sent.
fn aborted(reason: &str) -> Answer {
    Answer::error(format!("EXECABORT Transaction discarded because {reason}."))
}
