//! Claims: whose entries are whose, and for how long.

use std::time::Duration;

use redis::{Cmd, Pipeline, cmd};

use super::{Group, milliseconds};
use crate::{
    consumer::{
        entry::StreamEntry,
        replies::{ClaimReply, Id, RawEntry},
    },
    error::Error,
    policy::consumer::{Content, EntryId, Found},
};

/// Entries that were taken over, how many more were deleted from the stream, and where to look on.
type Claimed = (Vec<Found<StreamEntry>>, u64, EntryId);

/// For each pending entry its id, its consumer, the milliseconds since its delivery, and their number.
pub(super) type PendingReply = Vec<(String, String, u64, u64)>;

impl Group {
    /// Takes over entries of any consumer that are idle for too long. If it is to be a single one, it is known before
    /// which one that is, and it may be too large to be read.
    pub(in crate::consumer) async fn claim(
        &self,
        from: EntryId,
        count: usize,
    ) -> Result<Claimed, Error> {
        if count > 1 {
            return self.claim_many(from, count).await;
        }
        let Some(id) = self.first_idle(from).await? else {
            return Ok((Vec::new(), 0, EntryId::ZERO));
        };
        match self.claim_many(id, 1).await {
            Err(Error::ReplyTooLarge { .. }) => {}
            ended => return ended,
        }
        let pending: PendingReply = self.repeatable.query(self.pending(id)).await?;
        let found = self.own_deliveries(pending).map(|deliveries| {
            self.log_entry(id, "an entry of a stream is too large to be read");
            Found {
                id,
                deliveries,
                key: None,
                content: Content::TooLarge,
            }
        });
        Ok((Vec::from_iter(found), 0, id.next()))
    }

    /// The first entry that is idle for too long, from this one on.
    async fn first_idle(&self, from: EntryId) -> Result<Option<EntryId>, Error> {
        let question = cmd("XPENDING")
            .arg(&self.names.stream)
            .arg(&self.names.group)
            .arg("IDLE")
            .arg(milliseconds(self.claim_idle))
            .arg(from.to_string())
            .arg("+")
            .arg(1)
            .take();
        let idle: Vec<(Id, String, u64, u64)> = self.repeatable.query(question).await?;
        Ok(idle.first().map(|(id, ..)| id.0))
    }

    async fn claim_many(&self, from: EntryId, count: usize) -> Result<Claimed, Error> {
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

    /// Claims entries for this consumer again, as far as they belong to it. Returns the claims that were renewed, and the
    /// entries that belong to other consumers by now, or are pending no more.
    pub(in crate::consumer) async fn renew(
        &self,
        ids: Vec<EntryId>,
    ) -> Result<(Vec<EntryId>, Vec<EntryId>), Error> {
        let (own, lost) = self.split_by_owner(ids).await?;
        if own.is_empty() {
            return Ok((own, lost));
        }
        // One that another consumer has taken over meanwhile is left alone: it was claimed just now.
        let renew = self.claim_for_itself(self.claim_idle / 4, &own);
        let renewed: Vec<Id> = self.repeatable.query(renew.clone().arg("JUSTID")).await?;
        Ok((renewed.into_iter().map(|id| id.0).collect(), lost))
    }

    /// Lets any consumer take over these entries at once, as if they had not been delivered this time. Those that belong
    /// to other consumers by now are left alone.
    pub(in crate::consumer) async fn release(
        &self,
        entries: &[(EntryId, u64)],
    ) -> Result<(), Error> {
        let ids = entries.iter().map(|(id, _)| *id).collect();
        let (own, _) = self.split_by_owner(ids).await?;
        if own.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::with_capacity(own.len());
        for (id, deliveries) in entries.iter().filter(|(id, _)| own.contains(id)) {
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

    /// The replies that hand over pending entries do not say how often these were delivered. An entry that does not
    /// belong to this consumer any more is left out.
    pub(super) async fn with_deliveries(
        &self,
        entries: Vec<RawEntry>,
    ) -> Result<Vec<Found<StreamEntry>>, Error> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let deliveries = self
            .deliveries(entries.iter().map(|entry| entry.id))
            .await?;
        let known = entries.into_iter().zip(deliveries);
        let own = known.filter_map(|(entry, deliveries)| Some(self.found(entry, deliveries?)));
        Ok(own.collect())
    }

    /// The entries that belong to this consumer, and the others.
    async fn split_by_owner(
        &self,
        ids: Vec<EntryId>,
    ) -> Result<(Vec<EntryId>, Vec<EntryId>), Error> {
        let deliveries = self.deliveries(ids.iter().copied()).await?;
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (id, deliveries) in ids.into_iter().zip(deliveries) {
            match deliveries {
                Some(_) => own.push(id),
                None => others.push(id),
            }
        }
        Ok((own, others))
    }

    /// How often each of these entries was delivered, if it belongs to this consumer.
    async fn deliveries(
        &self,
        ids: impl ExactSizeIterator<Item = EntryId>,
    ) -> Result<Vec<Option<u64>>, Error> {
        let mut questions = Pipeline::with_capacity(ids.len());
        for id in ids {
            questions.add_command(self.pending(id));
        }
        let pending: Vec<PendingReply> = self.repeatable.pipeline(questions).await?;
        let deliveries = pending.into_iter().map(|one| self.own_deliveries(one));
        Ok(deliveries.collect())
    }

    pub(super) fn own_deliveries(&self, pending: PendingReply) -> Option<u64> {
        let (_, owner, _, deliveries) = pending.into_iter().next()?;
        (owner == self.names.consumer).then_some(deliveries)
    }

    /// Asks whether an entry is pending, for which consumer, since when, and how often it was delivered.
    pub(super) fn pending(&self, id: EntryId) -> Cmd {
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
}
