//! The events of a subscription as messages of actix.

use actix::Recipient;

use super::Subscription;
use crate::{events::PubSubEvent, log::log_line};

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
            while let Some(event) = self.next().await {
                if recipient.send(event).await.is_err() {
                    break;
                }
            }
        };
        if let Err(error) = registry.executor.spawn(task) {
            log_line!(registry.log, WARN, %error, "a subscription cannot be delivered");
        }
    }
}
