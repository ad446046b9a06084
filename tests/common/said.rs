//! What the crate says by way of `tracing`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, Once};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// One event.
#[derive(Clone, Debug)]
pub struct Said {
    pub at: Instant,
    pub level: Level,
    /// Its fields by name; its text is the field `message`.
    pub fields: BTreeMap<&'static str, String>,
}

static ALL: Mutex<Vec<Said>> = Mutex::new(Vec::new());

impl Said {
    /// Keeps what is said from now on, in all tests of this binary.
    pub fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing::subscriber::set_global_default(Listener).expect("the only one");
        });
    }

    /// What was said of a database, and begins so. A test that listens has a database of its own name.
    pub fn of(database: &str, text: &str) -> Vec<Self> {
        let mut said = ALL.lock().expect("no test panics here").clone();
        said.retain(|it| it.get("database") == database && it.get("message").starts_with(text));
        said
    }

    pub fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut said = Said {
            at: Instant::now(),
            level: *event.metadata().level(),
            fields: BTreeMap::new(),
        };
        event.record(&mut said);
        ALL.lock().expect("no test panics here").push(said);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
