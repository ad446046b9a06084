//! The server as the only node of a Redis Cluster, which serves all slots.

use bytes::Bytes;

use super::{
    check::executed, engine::Engine, halt::Halt, keys, session::ClientId, signature::Signature,
};
use crate::policy::slots::Slot;

const CROSS_SLOT: Halt = Halt::Error(std::borrow::Cow::Borrowed(
    "CROSSSLOT Keys in request don't hash to the same slot",
));

impl Engine {
    /// Whether the keys of a command are of one slot, as a cluster demands: those of EXEC are the keys of all that it
    /// executes.
    pub(super) fn check_slots(
        &self,
        id: ClientId,
        command: &Signature,
        request: &[Bytes],
    ) -> Result<(), Halt> {
        if self.cluster.is_none() {
            return Ok(());
        }
        let Some(session) = self.sessions.get(&id) else {
            return Ok(());
        };
        let Some(transaction) = executed(command, session) else {
            return slot_of(command, request).map(drop);
        };
        let mut known = None;
        for (command, request) in &transaction.queued {
            let slot = slot_of(command, request)?;
            if let (Some(slot), Some(known)) = (slot, known)
                && slot != known
            {
                return Err(CROSS_SLOT);
            }
            known = known.or(slot);
        }
        Ok(())
    }

    /// What the server says that it is.
    pub(super) fn mode(&self) -> &'static str {
        match &self.cluster {
            Some(_) => "cluster",
            None => "standalone",
        }
    }

    /// Refuses what a node of a cluster cannot do.
    pub(super) fn refuse_in_cluster(&self, text: &'static str) -> Result<(), Halt> {
        match &self.cluster {
            Some(_) => Err(Halt::error(text)),
            None => Ok(()),
        }
    }
}

/// The slot of the keys of a command; `None` if there are none.
pub(super) fn slot_of(command: &Signature, request: &[Bytes]) -> Result<Option<Slot>, Halt> {
    // Of wrong arguments the command itself complains.
    let keys = keys::for_slots(command, request).unwrap_or_default();
    let mut slots = keys.into_iter().map(|key| Slot::of(key));
    let first = slots.next();
    if slots.any(|slot| Some(slot) != first) {
        return Err(CROSS_SLOT);
    }
    Ok(first)
}
