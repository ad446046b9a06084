//! A scan of all keys, batch by batch.

use bytes::Bytes;
use redis::{Cmd, Value, cmd};

use super::{CallEngine, CallOptions};
use crate::{
    backend::Backend,
    error::Error,
    policy::{
        scan::{NextScan, Progress},
        slots::Slot,
    },
    state::{SlotTable, clock},
};

/// What the caller of a scan wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) pattern: Option<Vec<u8>>,
    pub(crate) kind: Option<String>,
    pub(crate) batch: Option<usize>,
}

impl<B: Backend> CallEngine<B> {
    /// The next keys of a scan; `None` when all were scanned. If it fails, the scan is where it was.
    pub(crate) async fn scan(
        &self,
        progress: &mut Progress,
        wanted: &Wanted,
        options: CallOptions,
    ) -> Result<Option<Vec<Bytes>>, Error> {
        if !options.is_in_cluster {
            let alone = |_: Slot| Some("");
            let NextScan::Ask { cursor, .. } = progress.next(alone) else {
                return Ok(None);
            };
            let reply = self.execute(&wanted.command(cursor), &options).await?;
            let (cursor, keys) = self.batch(reply)?;
            progress.answered(cursor, alone);
            return Ok(Some(keys));
        }
        let options = options.counted_from(clock::now());
        let deadline = self.call_deadline(&options);
        loop {
            let table = self.table(deadline, &options).await?;
            let (state, cursor) = match progress.next(|slot| owner(&table, slot)) {
                NextScan::Ask { node, cursor } => {
                    let mut serving = table.serving();
                    let node = serving.find(|serving| *serving.state.name == *node);
                    let node = node.expect("BUG: an owner of slots is none of the nodes");
                    (node.state.clone(), cursor)
                }
                NextScan::Over { is_complete: true } => return Ok(None),
                NextScan::Over { is_complete: false } => {
                    let left = Slot::all().find(|slot| !progress.is_done(*slot));
                    return Err(self.unserved(left, &table));
                }
            };
            let engine = CallEngine::on(state, self.backend.clone());
            let command = wanted.command(cursor);
            let at_node = options.at_node();
            let reply = match engine.execute(&command, &at_node).await {
                Ok(reply) => reply,
                Err(error) => {
                    // With another table, its slots are at other nodes.
                    let now = self.state.cluster.table.present().clone();
                    let is_same = now.is_some_and(|now| std::ptr::eq(&*now, &*table));
                    if is_same || clock::now() >= deadline {
                        return Err(error);
                    }
                    continue;
                }
            };
            let (cursor, mut keys) = self.batch(reply)?;
            // Those of slots that are done were told before.
            keys.retain(|key| !progress.is_done(Slot::of(key)));
            let table = self.table(deadline, &options).await?;
            progress.answered(cursor, |slot| owner(&table, slot));
            return Ok(Some(keys));
        }
    }

    fn batch(&self, reply: Value) -> Result<(u64, Vec<Bytes>), Error> {
        let (cursor, keys): (u64, Vec<Vec<u8>>) = self.convert(reply)?;
        Ok((cursor, keys.into_iter().map(Bytes::from).collect()))
    }
}

fn owner(table: &SlotTable, slot: Slot) -> Option<&str> {
    Some(&table.owner(slot)?.state.name)
}

impl Wanted {
    fn command(&self, cursor: u64) -> Cmd {
        let mut scan = cmd("SCAN");
        scan.arg(cursor);
        if let Some(pattern) = &self.pattern {
            scan.arg("MATCH").arg(&**pattern);
        }
        if let Some(batch) = self.batch {
            scan.arg("COUNT").arg(batch);
        }
        if let Some(kind) = &self.kind {
            scan.arg("TYPE").arg(kind);
        }
        scan
    }
}
