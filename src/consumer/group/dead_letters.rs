//! Dead letters: entries that are given up.

use redis::{Cmd, Value, cmd};

use super::{Group, Names, claims::PendingReply};
use crate::{
    consumer::entry::StreamEntry,
    error::Error,
    policy::consumer::{Burial, EntryId},
};

/// The longest text of a failure that goes with a dead letter, in characters.
const MAX_FAILURE: usize = 512;

/// The failure of an entry that was never given to a handler.
const TOO_LARGE: &str = "the entry is larger than max_reply_bytes permits";

impl Group {
    /// Moves an entry to the dead letters, in the transaction that acknowledges it. Returns whether it was pending for
    /// this consumer.
    ///
    /// Of several consumers that try, one succeeds: each watches the dead letters before it asks whether the entry is
    /// still pending. The same holds for an attempt after one whose end is not known.
    pub(in crate::consumer) async fn bury(
        &self,
        burial: &Burial<StreamEntry>,
    ) -> Result<bool, Error> {
        let dead_letters = &self.names.dead_letters;
        let replies: Vec<Value> = self
            .once
            .transaction::<_, _, Error, _, _>(&[dead_letters], |mut lease, mut pipe| {
                let question = self.pending(burial.id);
                let commands = self.burial(burial);
                async move {
                    // A transaction goes on after an error. A key that is no stream must show itself before, or the entry
                    // would be acknowledged and nowhere.
                    lease.query::<()>(cmd("XLEN").arg(dead_letters)).await?;
                    let pending: PendingReply = lease.query(question).await?;
                    if self.own_deliveries(pending).is_some() {
                        for command in commands {
                            pipe.add_command(command);
                        }
                    }
                    Ok(())
                }
            })
            .await?;
        Ok(!replies.is_empty())
    }

    pub(in crate::consumer) fn log_buried(&self, id: EntryId) {
        self.log_entry(id, "an entry of a stream was moved to the dead letters");
    }

    /// The fields of an entry and those that tell where it comes from, and its acknowledgement.
    fn burial(&self, burial: &Burial<StreamEntry>) -> [Cmd; 2] {
        let Names { stream, group, .. } = &self.names;
        let id = burial.id.to_string();
        let mut add = cmd("XADD");
        add.arg(&self.names.dead_letters).arg("*");
        let fields = burial.entry.iter().flat_map(StreamEntry::fields);
        for (name, value) in fields {
            add.arg(name).arg(value);
        }
        add.arg("dead:stream").arg(stream);
        add.arg("dead:group").arg(group);
        add.arg("dead:id").arg(&id);
        add.arg("dead:deliveries").arg(burial.deliveries);
        let too_large = burial.entry.is_none().then_some(TOO_LARGE);
        if let Some(failure) = burial.failure.as_deref().or(too_large) {
            let beginning: String = failure.chars().take(MAX_FAILURE).collect();
            add.arg("dead:failure").arg(beginning);
        }
        [add, cmd("XACK").arg(stream).arg(group).arg(id).take()]
    }
}
