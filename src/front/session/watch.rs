//! The keys that a client watches.

use redis::cmd;

use super::{Ended, Left, Session, Step, alone, command, subscriptions::has_changed_nothing};
use crate::{
    front::{answer::Answer, shape::Shape},
    lease::Lease,
    wire::{reply::Reply, request::Request},
};

/// Whether keys are watched.
#[derive(Debug, Default)]
pub(in crate::front) enum Watch {
    #[default]
    Nothing,
    /// On this connection.
    Held(Lease),
    /// They were, and may have changed since then. So the transaction is aborted, for this reason.
    Lost(String),
}

impl Session {
    /// Watches keys, on a connection that the session keeps until the transaction ends.
    pub(super) fn watch(&mut self, request: &Request) -> Step {
        let held = match std::mem::take(&mut self.watch) {
            Watch::Nothing => None,
            Watch::Held(lease) => Some(lease),
            // Nothing that is watched now could save the transaction.
            lost @ Watch::Lost(_) => {
                self.watch = lost;
                return Step::Answered(Answer::Own(Reply::OK));
            }
        };
        let (command, database) = (command(request), self.database.clone());
        alone(async move {
            let watched_before = held.is_some();
            let leased = match held {
                Some(lease) => Ok(lease),
                None => database.lease().await,
            };
            match leased {
                Ok(mut lease) => {
                    let ended = lease.execute(&command).await;
                    let was_refused = |error| has_changed_nothing(error, &lease) && !watched_before;
                    let watch = if ended.as_ref().is_err_and(was_refused) {
                        Watch::Nothing
                    } else if lease.is_open() {
                        Watch::Held(lease)
                    } else if watched_before {
                        Watch::Lost("the connection that watched its keys was lost".into())
                    } else {
                        // The client knows that it watches nothing.
                        Watch::Nothing
                    };
                    Ended {
                        answer: Answer::Command(ended, Shape::Same),
                        left: Left::Watch(watch),
                    }
                }
                Err(error) => Ended::of(Answer::Command(Err(error), Shape::Same)),
            }
        })
    }

    /// Gives the connection back on which keys are watched, and then this answer.
    pub(super) fn unwatch(&mut self, answer: Answer) -> Step {
        match std::mem::take(&mut self.watch) {
            Watch::Nothing | Watch::Lost(_) => Step::Answered(answer),
            Watch::Held(mut lease) => alone(async move {
                // If it fails, the connection is closed, which ends the watch as well.
                let _ = lease.execute(&cmd("UNWATCH")).await;
                Ended::of(answer)
            }),
        }
    }
}
