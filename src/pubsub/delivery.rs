//! The events of a subscription as messages of actix.

use std::{mem, time::Duration};

use actix::Recipient;
use tokio::time::timeout;

use super::Subscription;
use crate::{events::PubSubEvent, log::log_line, registry::Registry};

/// So often it is looked whether the actor is there on a quiet channel.
const LOOK: Duration = Duration::from_secs(1);

impl Subscription {
    /// Sends all further events to an actix actor, one after the other, until the actor has gone. The last one is
    /// [`PubSubEvent::Ended`].
    ///
    /// The next event is sent when the actor has handled the one before. What comes meanwhile waits in the queue of the
    /// subscription, with its bounds. The supervisor runs as long as the actor does. A shutdown waits for no actor: what is
    /// in the queue is put into its mailbox then, whatever its capacity.
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
        let stopping = registry.clone();
        let task = async move {
            if let Delivered::Stopped = self.deliver(&recipient, &stopping).await {
                while let Some(event) = self.next().await {
                    recipient.do_send(event);
                }
            }
        };
        if let Err(error) = registry.executor.spawn(task) {
            log_line!(registry.log, WARN, %error, "a subscription cannot be delivered");
        }
    }

    /// Sends events until the subscription or the actor has ended, or a shutdown stops the tasks.
    async fn deliver(
        &mut self,
        recipient: &Recipient<PubSubEvent>,
        registry: &Registry,
    ) -> Delivered {
        loop {
            let next = registry.until_stopped(timeout(LOOK, self.next())).await;
            let is_there = match next {
                None => return Delivered::Stopped,
                Some(Ok(Some(event))) => {
                    let mut handled = Box::pin(recipient.send(event));
                    match registry.until_stopped(handled.as_mut()).await {
                        Some(handled) => handled.is_ok(),
                        None => {
                            // Dropped, it would take the event out of the mailbox again. So a few bytes are left.
                            mem::forget(handled);
                            return Delivered::Stopped;
                        }
                    }
                }
                Some(Ok(None)) => false,
                // Nothing came, so that nothing has told whether the actor is still there.
                Some(Err(_)) => recipient.connected(),
            };
            if !is_there {
                return Delivered::All;
            }
        }
    }
}

/// How far events were delivered.
enum Delivered {
    /// To the end of the subscription or of the actor.
    All,
    /// To a shutdown. The rest is in the queue.
    Stopped,
}
