//! The commands of a consumer, on its stream and its group.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use redis::{Cmd, Pipeline, Value, cmd};
use tokio::sync::OnceCell;

use super::{
    entry::StreamEntry,
    error::ConsumerError,
    replies::{ClaimReply, Id, RawEntry, ReadReply},
};
use crate::{
    database::Database,
    error::Error,
    log::log_line,
    policy::consumer::{Burial, EntryId, Found, Key, Trouble},
};

/// How long the server keeps a read waiting. A consumer that is stopped waits for the end of its read, since an entry
/// that came with a reply that nobody reads would stay pending.
const BLOCK: Duration = Duration::from_secs(1);

/// The longest text of a failure that goes with a dead letter, in characters.
const MAX_FAILURE: usize = 512;

/// Deletes the consumer, unless something is pending for it. As a script, because entries could be delivered between
/// a question and the deletion, by a read whose reply was lost.
const LEAVE: &str = "
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 1
end
return 0";

/// Where a group begins that a consumer creates: see [`ConsumerBuilder::create_group`](crate::ConsumerBuilder::create_group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// With the first entry of the stream.
    Beginning,
    /// With the first entry that is added from now on.
    End,
}

/// What tells a consumer from others.
pub(super) struct Names {
    pub(super) stream: String,
    pub(super) group: String,
    pub(super) consumer: String,
    pub(super) dead_letters: String,
}

pub(super) type KeyOf = dyn Fn(&StreamEntry) -> &[u8] + Send + Sync;

pub(super) struct Group {
    /// For commands that may run twice.
    repeatable: Database,
    /// For those that must not: a second read would bring other entries, and those of the first would stay pending.
    once: Database,
    names: Names,
    start: StartFrom,
    claim_idle: Duration,
    key_of: Option<Arc<KeyOf>>,
    /// Where to begin if the group must be created again, so that no entry is passed over.
    resume: OnceCell<EntryId>,
}

impl Group {
    pub(super) fn new(
        database: &Database,
        names: Names,
        start: StartFrom,
        claim_idle: Duration,
        key_of: Option<Arc<KeyOf>>,
    ) -> Self {
        // A timeout that its user has set would cut off a read that waits.
        let database = database.without_overrides().patient();
        Self {
            repeatable: database.idempotent(),
            once: database.not_idempotent(),
            names,
            start,
            claim_idle,
            key_of,
            resume: OnceCell::new(),
        }
    }

    /// The reason why the consumer ends by itself.
    pub(super) fn explain(&self, trouble: Trouble, error: Error) -> ConsumerError {
        match trouble {
            Trouble::NoGroup => ConsumerError::NoGroup {
                stream: self.names.stream.as_str().into(),
                group: self.names.group.as_str().into(),
            },
            _ => ConsumerError::Database(error),
        }
    }

    /// Creates the group, and the stream, where they are missing.
    pub(super) async fn prepare(&self) -> Result<(), Error> {
        let begin = match self.start {
            StartFrom::Beginning => EntryId::ZERO,
            // Not "$": if the server loses its data, entries that come before the group is there again would be passed
            // over.
            StartFrom::End => *self.resume.get_or_try_init(|| self.last()).await?,
        };
        let create = self
            .about_stream("XGROUP", "CREATE")
            .arg(&self.names.group)
            .arg(begin.to_string())
            .arg("MKSTREAM")
            .take();
        match self.repeatable.query::<()>(create).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            ended => ended,
        }
    }

    /// Entries that are pending for this consumer, after this one.
    pub(super) async fn read_own(
        &self,
        after: EntryId,
        count: usize,
    ) -> Result<Vec<Found<StreamEntry>>, Error> {
        let read = self.read(count, None, &after.to_string());
        let ReadReply(entries) = self.once.query(read).await?;
        self.with_deliveries(entries).await
    }

    /// New entries. If it waits, the command has a connection of its own.
    pub(super) async fn read_new(
        &self,
        count: usize,
        waits: bool,
    ) -> Result<Vec<Found<StreamEntry>>, Error> {
        let read = self.read(count, waits.then_some(BLOCK), ">");
        let ReadReply(entries) = self.once.query(read).await?;
        let found = entries.into_iter().map(|entry| self.found(entry, 1));
        Ok(found.collect())
    }

    /// Takes over entries of any consumer that are idle for too long. Returns those, how many more were deleted from
    /// the stream, and where to look on.
    pub(super) async fn claim(
        &self,
        from: EntryId,
        count: usize,
    ) -> Result<(Vec<Found<StreamEntry>>, u64, EntryId), Error> {
        let claim = cmd("XAUTOCLAIM")
            .arg(&self.names.stream)
            .arg(&self.names.group)
            .arg(&self.names.consumer)
            .arg(milliseconds(self.claim_idle))
            .arg(from.to_string())
            .arg("COUNT")
            .arg(count)
            .take();
        let claimed: ClaimReply = self.once.query(claim).await?;
        let found = self.with_deliveries(claimed.entries).await?;
        Ok((found, claimed.deleted as u64, claimed.next))
    }

    pub(super) async fn acknowledge(&self, ids: &[EntryId]) -> Result<(), Error> {
        let mut acknowledge = cmd("XACK");
        acknowledge.arg(&self.names.stream).arg(&self.names.group);
        for id in ids {
            acknowledge.arg(id.to_string());
        }
        self.repeatable.query(acknowledge).await
    }

    /// Claims entries for this consumer, to which they belong already. If another one has taken one over, that is left
    /// alone: it was claimed just now.
    pub(super) async fn renew(&self, ids: &[EntryId]) -> Result<Vec<EntryId>, Error> {
        let renew = self.claim_for_itself(self.claim_idle / 4, ids);
        let renewed: Vec<Id> = self.repeatable.query(renew.clone().arg("JUSTID")).await?;
        Ok(renewed.into_iter().map(|id| id.0).collect())
    }

    /// Lets any consumer take over these entries at once, as if they had not been delivered this time.
    pub(super) async fn release(&self, entries: &[(EntryId, u64)]) -> Result<(), Error> {
        let mut pipeline = Pipeline::with_capacity(entries.len());
        for (id, deliveries) in entries {
            let release = self
                .claim_for_itself(Duration::ZERO, &[*id])
                .arg("IDLE")
                .arg(milliseconds(self.claim_idle))
                .arg("RETRYCOUNT")
                .arg(deliveries.saturating_sub(1))
                .arg("JUSTID")
                .take();
            pipeline.add_command(release).ignore();
        }
        self.repeatable.pipeline(pipeline).await
    }

    /// Moves an entry to the dead letters, in the transaction that acknowledges it. Returns whether it was pending.
    ///
    /// Of several consumers that try, one succeeds: each watches the dead letters before it asks whether the entry is
    /// still pending. The same holds for an attempt after one whose end is not known.
    pub(super) async fn bury(&self, burial: &Burial<StreamEntry>) -> Result<bool, Error> {
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
                    if !pending.is_empty() {
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

    /// Deletes the consumer, unless something is pending for it.
    pub(super) async fn leave(&self) -> Result<(), Error> {
        let leave = cmd("EVAL")
            .arg(LEAVE)
            .arg(1)
            .arg(&self.names.stream)
            .arg(&self.names.group)
            .arg(&self.names.consumer)
            .take();
        self.repeatable.query(leave).await
    }

    pub(super) fn log_buried(&self, id: EntryId) {
        let (database, names) = (&self.once, &self.names);
        let (name, stream) = (database.name().to_owned(), names.stream.clone());
        log_line!(
            database.lifeline().registry.log,
            WARN,
            database = name,
            ?stream,
            %id,
            "an entry of a stream was moved to the dead letters"
        );
    }

    fn about_stream(&self, command: &str, subcommand: &str) -> Cmd {
        cmd(command).arg(subcommand).arg(&self.names.stream).take()
    }

    /// The last entry of the stream.
    async fn last(&self) -> Result<EntryId, Error> {
        let last = cmd("XREVRANGE")
            .arg(&self.names.stream)
            .arg(&["+", "-", "COUNT", "1"])
            .take();
        let last: Vec<RawEntry> = self.repeatable.query(last).await?;
        Ok(last.first().map_or(EntryId::ZERO, |entry| entry.id))
    }

    fn read(&self, count: usize, block: Option<Duration>, from: &str) -> Cmd {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(&self.names.group)
            .arg(&self.names.consumer)
            .arg("COUNT")
            .arg(count);
        if let Some(block) = block {
            read.arg("BLOCK").arg(milliseconds(block));
        }
        read.arg("STREAMS").arg(&self.names.stream).arg(from);
        read
    }

    /// The replies that hand over pending entries do not say how often these were delivered. An entry that does not
    /// belong to this consumer any more is left out.
    async fn with_deliveries(
        &self,
        entries: Vec<RawEntry>,
    ) -> Result<Vec<Found<StreamEntry>>, Error> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut questions = Pipeline::with_capacity(entries.len());
        for entry in &entries {
            questions.add_command(self.pending(entry.id));
        }
        let pending: Vec<PendingReply> = self.repeatable.pipeline(questions).await?;
        let known = entries.into_iter().zip(pending);
        let own = known.filter_map(|(entry, pending)| {
            let (_, owner, _, deliveries) = pending.into_iter().next()?;
            (owner == self.names.consumer).then(|| self.found(entry, deliveries))
        });
        Ok(own.collect())
    }

    fn found(&self, entry: RawEntry, deliveries: u64) -> Found<StreamEntry> {
        let RawEntry { id, fields } = entry;
        let entry = fields.map(|fields| StreamEntry::new(id, deliveries, fields));
        let key = |entry: &StreamEntry| {
            let key_of = self.key_of.as_ref()?;
            // An entry that it cannot bear has no key, and is handled all the same.
            let key = catch_unwind(AssertUnwindSafe(|| key_of(entry)));
            key.ok().map(Key::from)
        };
        Found {
            id,
            deliveries,
            key: entry.as_ref().and_then(key),
            entry,
        }
    }

    /// Asks whether an entry is pending, for which consumer, since when, and how often it was delivered.
    fn pending(&self, id: EntryId) -> Cmd {
        let id = id.to_string();
        cmd("XPENDING")
            .arg(&self.names.stream)
            .arg(&self.names.group)
            .arg(&[&id, &id])
            .arg(1)
            .take()
    }

    fn claim_for_itself(&self, min_idle: Duration, ids: &[EntryId]) -> Cmd {
        let mut claim = cmd("XCLAIM");
        claim
            .arg(&self.names.stream)
            .arg(&self.names.group)
            .arg(&self.names.consumer)
            .arg(milliseconds(min_idle));
        for id in ids {
            claim.arg(id.to_string());
        }
        claim
    }

    /// The fields of an entry and those that tell where it comes from, and its acknowledgement.
    fn burial(&self, burial: &Burial<StreamEntry>) -> [Cmd; 2] {
        let Names { stream, group, .. } = &self.names;
        let id = burial.id.to_string();
        let mut add = cmd("XADD");
        add.arg(&self.names.dead_letters).arg("*");
        for (name, value) in burial.entry.fields() {
            add.arg(name).arg(value);
        }
        add.arg("dead:stream").arg(stream);
        add.arg("dead:group").arg(group);
        add.arg("dead:id").arg(&id);
        add.arg("dead:deliveries").arg(burial.deliveries);
        if let Some(failure) = &burial.failure {
            let beginning: String = failure.chars().take(MAX_FAILURE).collect();
            add.arg("dead:failure").arg(beginning);
        }
        [add, cmd("XACK").arg(stream).arg(group).arg(id).take()]
    }
}

/// For each pending entry its id, its consumer, the milliseconds since its delivery, and their number.
type PendingReply = Vec<(String, String, u64, u64)>;

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
