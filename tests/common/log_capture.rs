//! The log of the crate, captured.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex, Once},
    time::Instant,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// One captured event.
#[derive(Clone, Debug)]
pub struct LogEvent {
    pub at: Instant,
    pub level: Level,
    pub target: String,
    /// Fields by name. The text of the event is the field `message`.
    pub fields: BTreeMap<&'static str, String>,
}

static EVENTS: Mutex<Vec<LogEvent>> = Mutex::new(Vec::new());

type Callback = Arc<dyn Fn(&LogEvent) + Send + Sync>;
static CALLBACKS: Mutex<BTreeMap<String, Callback>> = Mutex::new(BTreeMap::new());

/// Captures the events of this process. Each test that reads them has a database name of its own.
pub struct LogCapture;

impl LogCapture {
    /// Captures from now on, for all tests of this binary.
    pub fn start() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing::subscriber::set_global_default(Self).expect("the only subscriber");
        });
    }

    /// Captures, and runs this code in the subscriber for each event of this database.
    pub fn on(database: &str, callback: impl Fn(&LogEvent) + Send + Sync + 'static) {
        Self::start();
        let mut callbacks = CALLBACKS.lock().expect("no test panics here");
        callbacks.insert(database.to_owned(), Arc::new(callback));
    }

    /// The events of this database whose text starts with `prefix`.
    pub fn events(database: &str, prefix: &str) -> Vec<LogEvent> {
        let mut events = EVENTS.lock().expect("no test panics here").clone();
        events.retain(|event| {
            event.get("database") == database && event.get("message").starts_with(prefix)
        });
        events
    }
}

impl LogEvent {
    pub fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }
}

impl Visit for LogEvent {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for LogCapture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut captured = LogEvent {
            at: Instant::now(),
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            fields: BTreeMap::new(),
        };
        event.record(&mut captured);
        let callbacks = CALLBACKS.lock().expect("no test panics here");
        let callback = callbacks.get(captured.get("database")).cloned();
        drop(callbacks);
        let mut events = EVENTS.lock().expect("no test panics here");
        events.push(captured.clone());
        drop(events);
        if let Some(callback) = callback {
            callback(&captured);
        }
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
