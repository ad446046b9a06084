//! Entries as messages to an actor.

use std::{error::Error, sync::Arc};

use actix::{MailboxError, Message, Recipient};

use super::{
    entry::StreamEntry,
    error::ConsumerError,
    handler::{Handler, Verdict},
};

/// Handle this entry: the message for an actix actor that gets the entries of a [`Consumer`](crate::Consumer), by
/// [`ConsumerBuilder::deliver_to`](crate::ConsumerBuilder::deliver_to).
///
/// The entry is acknowledged when the actor has replied with `Ok`. An error, and an actor that drops the message or
/// panics, are failures of the handler.
#[derive(Clone, Debug)]
pub struct HandleEntry {
    /// The entry.
    pub entry: StreamEntry,
}

impl Message for HandleEntry {
    type Result = Result<(), Box<dyn Error + Send + Sync>>;
}

/// A handler that sends the entries to an actor.
pub(super) fn handler_of(recipient: Recipient<HandleEntry>) -> Handler {
    Arc::new(move |entry| {
        let recipient = recipient.clone();
        Box::pin(async move {
            match recipient.send(HandleEntry { entry }).await {
                Ok(Ok(())) => Verdict::Handled,
                Ok(Err(error)) => Verdict::Failed(error.to_string().into()),
                // An actor that was restarted has the same address.
                Err(MailboxError::Closed) if !recipient.connected() => {
                    Verdict::Gone(ConsumerError::RecipientStopped)
                }
                Err(error) => Verdict::Failed(error.to_string().into()),
            }
        })
    })
}
