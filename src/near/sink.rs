//! What the server says on the connection that tracks.

use std::sync::Arc;

use redis::{PushKind, Value};

use crate::{net::PushSink, state::NearCache};

/// Takes the invalidations. It is dropped with the connection, and then the life of the cache ends.
#[derive(Debug)]
pub(super) struct Invalidations {
    cache: Arc<NearCache>,
    life: u64,
}

impl Invalidations {
    pub(super) fn new(cache: Arc<NearCache>, life: u64) -> Self {
        Self { cache, life }
    }
}

impl PushSink for Invalidations {
    fn push(&self, kind: PushKind, data: Vec<Value>) {
        if kind != PushKind::Invalidate {
            return;
        }
        match data.first() {
            Some(Value::Array(keys)) => self.cache.invalidated(Some(keys)),
            // The whole database was emptied.
            _ => self.cache.invalidated(None),
        }
    }
}

impl Drop for Invalidations {
    fn drop(&mut self) {
        self.cache.end(self.life);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        config::{Config, DatabaseConfig, resolve},
        state::Tracking,
    };

    #[test]
    fn a_life_of_the_cache_ends_with_its_connection() {
        let config = Config::new().database("main", DatabaseConfig::from_url("memory://"));
        let settings = resolve(config).expect("a valid configuration");
        let cache = Arc::new(NearCache::new(&settings.databases[0]));
        let life = cache.next_life();
        let sink = Invalidations::new(cache.clone(), life);
        let (mailbox, _) = mpsc::unbounded_channel();
        let tracking = Tracking {
            life,
            mailbox,
            as_resp2: true,
        };
        assert!(cache.begin(tracking, Instant::now()));
        assert!(cache.is_alive(life) && cache.tracking().is_some());
        let keys = Value::Array(vec![Value::BulkString(b"a".to_vec())]);
        sink.push(PushKind::Invalidate, vec![keys]);
        sink.push(PushKind::Invalidate, vec![Value::Nil]);
        sink.push(PushKind::Message, Vec::new());
        assert_eq!(cache.figures().invalidations, 2);
        drop(sink);
        assert!(!cache.is_alive(life) && cache.tracking().is_none());
    }
}
