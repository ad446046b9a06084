//! The commands of a consumer, on its stream and its group.
//!
//! - this file: the group, its reads and acknowledgements · `claims`: whose entries are whose · `dead_letters`: entries that
//!   are given up

mod claims;
mod dead_letters;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use redis::{Cmd, cmd};
use tokio::sync::OnceCell;

use super::{
    entry::StreamEntry,
    error::ConsumerError,
    replies::{RawEntry, ReadReply},
};
use crate::{
    database::Database,
    error::Error,
    log::log_line,
    policy::{
        consumer::{Content, EntryId, Found, Key, Trouble},
        slots::Slot,
    },
};

/// How long the server keeps a read waiting. A consumer that is stopped waits for the end of its read, since an entry
/// that came with a reply that nobody reads would stay pending.
const BLOCK: Duration = Duration::from_secs(1);

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

    /// In a cluster, a transaction can move entries only within a slot.
    pub(super) fn check_names(&self) -> Result<(), ConsumerError> {
        let Names {
            stream,
            dead_letters,
            ..
        } = &self.names;
        let is_elsewhere = Slot::of(stream.as_bytes()) != Slot::of(dead_letters.as_bytes());
        if self.once.is_cluster() && is_elsewhere {
            return Err(ConsumerError::DeadLettersElsewhere {
                stream: stream.as_str().into(),
                dead_letters: dead_letters.as_str().into(),
            });
        }
        Ok(())
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

    pub(super) async fn acknowledge(&self, ids: &[EntryId]) -> Result<(), Error> {
        let mut acknowledge = cmd("XACK");
        acknowledge.arg(&self.names.stream).arg(&self.names.group);
        for id in ids {
            acknowledge.arg(id.to_string());
        }
        self.repeatable.query(acknowledge).await
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

    fn log_entry(&self, id: EntryId, text: &'static str) {
        let (database, names) = (&self.once, &self.names);
        let (name, stream) = (database.name().to_owned(), names.stream.clone());
        log_line!(
            database.lifeline().registry.log,
            WARN,
            database = name,
            ?stream,
            %id,
            "{text}"
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

    fn found(&self, entry: RawEntry, deliveries: u64) -> Found<StreamEntry> {
        let RawEntry { id, fields } = entry;
        let Some(fields) = fields else {
            return Found {
                id,
                deliveries,
                key: None,
                content: Content::Deleted,
            };
        };
        let entry = StreamEntry::new(id, deliveries, fields);
        let key = |entry: &StreamEntry| {
            let key_of = self.key_of.as_ref()?;
            // An entry that it cannot bear has no key, and is handled all the same.
            let key = catch_unwind(AssertUnwindSafe(|| key_of(entry)));
            key.ok().map(Key::from)
        };
        Found {
            id,
            deliveries,
            key: key(&entry),
            content: Content::Whole(entry),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
