//! SUBSCRIBE and its like: a client has a connection of its own for as long as it is subscribed.

use bytes::Bytes;
use redis::{Cmd, cmd};

use super::{Ended, Left, Session, Step, alone, command};
use crate::{
    database::Database,
    error::Error,
    execution::Execution,
    front::{
        answer::Answer,
        message::{self, MessageSink, Messages},
        name::{Name, upper},
        shape::Shape,
        subscription::Subscription,
    },
    lease::Lease,
    wire::{
        reply::{Protocol, Reply},
        request::Request,
    },
};

impl Session {
    /// Whether the client has subscriptions, which in RESP2 leaves it few other commands.
    pub(super) fn is_subscriber_of_resp2(&self) -> bool {
        self.subscription.is_some() && self.protocol == Protocol::Resp2
    }

    /// Takes a request of a subscriber in RESP2, to whom a reply would look like a message.
    pub(super) fn take_of_subscriber(&mut self, name: Option<Name>, request: &Request) -> Step {
        match name {
            Some(Name::Subscribe | Name::Unsubscribe) => self.change_subscriptions(request),
            Some(Name::Ping) if request.len() <= 2 => {
                let text = request.get(1).cloned().unwrap_or_default();
                let pong = vec![Reply::text("pong"), Reply::Bulk(text)];
                Step::Answered(Answer::Own(Reply::Array(pong)))
            }
            Some(name @ (Name::Ping | Name::Quit | Name::Reset)) => {
                Step::Answered(Answer::Own(self.own(name, request)))
            }
            _ => Step::Answered(Answer::error(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                 allowed in this context",
                upper(&request[0]).to_ascii_lowercase()
            ))),
        }
    }

    pub(super) fn subscribe(&mut self, request: &Request) -> Step {
        if !self.service.carries_messages {
            let text = format!(
                "REFUSED {} is refused: this connection carries no messages; subscribe through a front, or at \
                 the server itself; the command was not sent",
                upper(&request[0])
            );
            return Step::Answered(Answer::error(text));
        }
        if self.subscription.is_some() {
            return self.change_subscriptions(request);
        }
        let (sink, messages) = message::queue(self.service.limits.message_bytes);
        let (command, database) = (command(request), self.database.clone());
        alone(async move {
            match first_subscription(database, command, sink, messages).await {
                Ok(subscription) => Ended {
                    answer: Answer::Confirmed,
                    left: Left::Subscription(subscription),
                },
                Err(error) => Ended::of(Answer::Command(Err(error), Shape::Same)),
            }
        })
    }

    pub(super) fn unsubscribe(&mut self, request: &Request) -> Step {
        if self.subscription.is_some() {
            return self.change_subscriptions(request);
        }
        let name = Bytes::from(request[0].to_ascii_lowercase());
        let confirmation = |channel| {
            let name = Reply::Bulk(name.clone());
            Reply::Push(vec![name, channel, Reply::Integer(0)])
        };
        let channels = request[1..].iter().cloned().map(Reply::Bulk);
        let mut confirmations: Vec<_> = channels.map(confirmation).collect();
        if confirmations.is_empty() {
            confirmations.push(confirmation(Reply::Null));
        }
        Step::Answered(Answer::Own(Reply::Several(confirmations)))
    }

    /// Runs a command on the connection of the subscriptions.
    fn change_subscriptions(&mut self, request: &Request) -> Step {
        let lease = self
            .subscription
            .as_mut()
            .and_then(|subscription| subscription.lease.take());
        let mut lease = lease.expect("BUG: a subscriber has its connection between its commands");
        let command = command(request);
        // It has as many confirmations as there are subscriptions, of which the first one is its reply.
        let leaves_all = request.len() == 1;
        alone(async move {
            let mut ended = lease.execute(&command).await;
            if leaves_all && ended.is_ok() {
                ended = lease.execute(&cmd("PING")).await;
            }
            match ended {
                Ok(_) => Ended {
                    answer: Answer::Confirmed,
                    left: Left::Subscriber(Some(lease)),
                },
                Err(error) => Ended {
                    left: Left::Subscriber(has_changed_nothing(&error, &lease).then_some(lease)),
                    answer: Answer::Command(Err(error), Shape::Same),
                },
            }
        })
    }
}

async fn first_subscription(
    database: Database,
    command: Cmd,
    sink: MessageSink,
    messages: Messages,
) -> Result<Subscription, Error> {
    let mut lease = database.lease().await?;
    lease.listen(Box::new(sink)).await?;
    lease.execute(&command).await?;
    Ok(Subscription::new(lease, messages))
}

/// Whether what the connection has subscribed to, or watches, is known after an error.
pub(super) fn has_changed_nothing(error: &Error, lease: &Lease) -> bool {
    let was_refused = error.server_errors().is_some();
    lease.is_open() && (was_refused || error.execution() == Execution::NotSent)
}
