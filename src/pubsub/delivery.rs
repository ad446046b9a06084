//! The events of a subscription as messages of actix.

use std::time::Duration;

use actix::Recipient;
use tokio::time::timeout;

use super::Subscription;
use crate::{events::PubSubEvent, log::log_line};

/// So often it is looked whether the actor is there on a quiet channel.
const LOOK: Duration = Duration::from_secs(1);

impl Subscription {
    /// Sends all further events to an actix actor, one after the other, until the actor has gone. The last one is
    /// [`PubSubEvent::Ended`].
    ///
    /// The next event is sent when the actor has handled the one before. What comes meanwhile waits in the queue of the
    /// subscription, with its bounds. The supervisor runs as long as the actor does.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     main: redis_steward::Database,
    /// #     page: actix::Recipient<redis_steward::PubSubEvent>,
    /// # ) -> Result<(), redis_steward::Error> {
    /// main.subscribe(["updates"]).await?.deliver_to(page);
    /// # Ok(())
    /// # }
    /// ```
    pub fn deliver_to(mut self, recipient: Recipient<PubSubEvent>) {
        let registry = self.database.lifeline().registry.clone();
        // It ends by itself at a shutdown, with the last event.
        let task = async move {
            loop {
                let is_there = match timeout(LOOK, self.next()).await {
                    Ok(Some(event)) => recipient.send(event).await.is_ok(),
                    Ok(None) => false,
                    // Nothing came, so that nothing has told whether the actor is still there.
                    Err(_) => recipient.connected(),
                };
                if !is_there {
                    break;
                }
            }
        };
        if let Err(error) = registry.executor.spawn(task) {
            log_line!(registry.log, WARN, %error, "a subscription cannot be delivered");
        }
    }
}
