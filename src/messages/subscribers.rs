//! Messages to the actor of subscribers.

use actix::Message;

use crate::identity::DatabaseId;

/// Something listens to channels of this database, and nothing did before.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Listen(pub(crate) DatabaseId);
