//! What a database was last seen to have, for a later outage.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redis::Value;

use super::clock;
use crate::{
    config::DatabaseSettings,
    policy::fallback::{LastSeen, Written, keys_read, strings_written},
};

/// The values that were read from one database, or written to it. Each call takes the lock, if they are to be
/// remembered: that is said by the settings of calls.
pub(crate) struct SeenValues(Mutex<Memory>);

struct Memory {
    /// `None` if nothing is to be remembered.
    last_seen: Option<LastSeen>,
    /// The last number of those before.
    last: u64,
}

impl SeenValues {
    pub(super) fn of(settings: &DatabaseSettings) -> Self {
        Self(Mutex::new(Memory {
            last_seen: last_seen(settings),
            last: 0,
        }))
    }

    /// Takes other settings, and begins anew. A read that is under way is not remembered.
    pub(super) fn change(&self, settings: &DatabaseSettings) {
        let mut memory = self.lock();
        memory.last = memory
            .last_seen
            .as_ref()
            .map_or(memory.last, LastSeen::begin);
        let last = memory.last;
        memory.last_seen = last_seen(settings).map(|next| next.after(last));
    }

    /// A read or a write begins.
    pub(crate) fn begin(&self) -> u64 {
        self.lock().last_seen.as_ref().map_or(0, LastSeen::begin)
    }

    /// A command that began then was answered like this by the server.
    pub(crate) fn note(&self, words: &[&[u8]], reply: &Value, began: u64) {
        let (keys, values) = match (keys_read(words), reply) {
            (Some(keys), Value::Array(values)) if keys.len() == values.len() => (keys, &**values),
            (Some(keys @ [_]), value) => (keys, std::slice::from_ref(value)),
            _ => return,
        };
        let now = clock::now().into_std();
        let mut memory = self.lock();
        let Some(last_seen) = &mut memory.last_seen else {
            return;
        };
        for (key, value) in keys.iter().zip(values) {
            match value {
                Value::BulkString(value) => last_seen.note(key, Some(value), began, now),
                Value::Nil => last_seen.note(key, None, began, now),
                _ => {}
            }
        }
    }

    /// A write that began then was answered like this by the server. All else that it may have written is forgotten.
    pub(crate) fn note_written(&self, words: &[&[u8]], reply: &Value, began: u64) {
        let (Some(strings), Value::Okay) = (strings_written(words), reply) else {
            return self.forget(words.iter().copied());
        };
        let now = clock::now().into_std();
        let mut memory = self.lock();
        let Some(last_seen) = &mut memory.last_seen else {
            return;
        };
        for Written {
            key,
            value,
            lives_for,
        } in strings
        {
            let until = lives_for.and_then(|lives_for| now.checked_add(lives_for));
            last_seen.note_written(key, value, began, now, until);
        }
    }

    /// Keys among these words were written, or may have been.
    pub(crate) fn forget<'a>(&self, words: impl Iterator<Item = &'a [u8]>) {
        if let Some(last_seen) = &mut self.lock().last_seen {
            words.for_each(|word| last_seen.forget(word));
        }
    }

    /// Any keys may have been written.
    pub(crate) fn forget_all(&self) {
        if let Some(last_seen) = &mut self.lock().last_seen {
            last_seen.forget_all();
        }
    }

    /// Puts what the server was last seen to have in the place of what a reply lacks. Tells whether it did.
    pub(super) fn complete(&self, words: &[&[u8]], reply: &mut Value) -> bool {
        let Some(keys) = keys_read(words) else {
            return false;
        };
        let values = match reply {
            Value::Array(values) => &mut **values,
            value => std::slice::from_mut(value),
        };
        let now = clock::now().into_std();
        let memory = self.lock();
        let Some(last_seen) = &memory.last_seen else {
            return false;
        };
        let mut has_completed = false;
        for (key, value) in keys.iter().zip(values) {
            if let (Value::Nil, Some(seen)) = (&*value, last_seen.get(key, now)) {
                *value = Value::BulkString(seen.to_vec());
                has_completed = true;
            }
        }
        has_completed
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // No holder leaves it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last_seen(settings: &DatabaseSettings) -> Option<LastSeen> {
    let fallback = settings.fallback?;
    let stale = fallback.stale?;
    Some(LastSeen::new(
        stale.max_age,
        stale.max_entries,
        fallback.max_bytes,
    ))
}

/// Without the data, which may be secret.
impl fmt::Debug for SeenValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeenValues").finish_non_exhaustive()
    }
}
