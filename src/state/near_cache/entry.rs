//! What is kept of one key: the replies of the commands that read it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use quick_cache::{Lifecycle, Weighter};
use redis::Value;

use super::reply::size;

/// A key's replies. It is replaced as a whole, so that a reader holds no lock.
#[derive(Debug, Default)]
pub(super) struct Entry {
    kept: Vec<Kept>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Kept {
    words: Arc<[Box<[u8]>]>,
    reply: Value,
    until: Instant,
}

/// So many commands about one key are kept, the newest: the fields of a hash are read one by one.
const MOST_COMMANDS: usize = 32;

/// The memory of an entry beside its words and replies.
const OVERHEAD: usize = 160;

impl Entry {
    /// The reply to these words, if it is there and may be used now.
    pub(super) fn reply<'a>(
        &self,
        words: impl Iterator<Item = &'a [u8]> + Clone,
        now: Instant,
    ) -> Option<&Value> {
        let is_it = |kept: &&Kept| kept.words.iter().map(|word| &**word).eq(words.clone());
        let kept = self.kept.iter().find(is_it)?;
        (now < kept.until).then_some(&kept.reply)
    }

    /// With one more reply.
    pub(super) fn with(
        before: Option<&Self>,
        words: Arc<[Box<[u8]>]>,
        reply: Value,
        until: Instant,
    ) -> Self {
        let others = before.map_or(&[][..], |before| &before.kept);
        let others = others.iter().filter(|kept| kept.words != words);
        let skipped = others.clone().count().saturating_sub(MOST_COMMANDS - 1);
        let mut kept: Vec<_> = others.skip(skipped).cloned().collect();
        kept.push(Kept {
            words,
            reply,
            until,
        });
        let of_words = |kept: &Kept| kept.words.iter().map(|word| word.len() + 16).sum::<usize>();
        let bytes = kept
            .iter()
            .map(|kept| of_words(kept) + size(&kept.reply))
            .sum();
        Self { kept, bytes }
    }
}

/// An entry weighs its bytes, and so much at least that no more fit in than wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Weight {
    pub(super) least: Arc<AtomicU64>,
}

impl Weighter<Box<[u8]>, Arc<Entry>> for Weight {
    fn weight(&self, key: &Box<[u8]>, entry: &Arc<Entry>) -> u64 {
        let bytes = (OVERHEAD + key.len() + entry.bytes) as u64;
        bytes.max(self.least.load(Relaxed))
    }
}

/// Counts the entries that had to make room.
#[derive(Clone, Debug, Default)]
pub(super) struct Evictions(pub(super) Arc<AtomicU64>);

impl Lifecycle<Box<[u8]>, Arc<Entry>> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Box<[u8]>, _: Arc<Entry>) {
        self.0.fetch_add(1, Relaxed);
    }
}
