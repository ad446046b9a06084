//! A server that is shared by its clients.

use std::{
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use tokio::sync::watch;

use super::{commands, engine::Engine, node::Node};

/// A reference to a server. It lives as long as there is one. Two are equal if they are of the same server.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

/// What a server is from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Alone,
    /// It is the only node of a cluster.
    Cluster,
}

impl Mode {
    fn scheme(self) -> &'static str {
        match self {
            Self::Alone => "memory://",
            Self::Cluster => "memory+cluster://",
        }
    }
}

struct Inner {
    name: String,
    mode: Mode,
    engine: Mutex<Engine>,
    /// Whether clients are accepted.
    is_open: watch::Sender<bool>,
}

/// The servers with a name that are alive, by their URLs.
static NAMED: LazyLock<Mutex<HashMap<String, Weak<Inner>>>> = LazyLock::new(Mutex::default);

impl Store {
    /// A server that only its holders reach.
    pub(crate) fn private(mode: Mode) -> Self {
        Self::new(String::new(), mode)
    }

    /// The server of this name in this process. It ends with its last holder. A cluster and another server may have the
    /// same name.
    pub(crate) fn named(name: &str, mode: Mode) -> Self {
        let url = format!("{}{name}", mode.scheme());
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = named.get(&url).and_then(Weak::upgrade) {
            return Self(present);
        }
        named.retain(|_, server| server.strong_count() > 0);
        let new = Self::new(name.into(), mode);
        named.insert(url, Arc::downgrade(&new.0));
        new
    }

    /// A server with a name that no other one has.
    pub(super) fn with_new_name(mode: Mode) -> Self {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = named.len() + 1;
        let (name, url) = loop {
            let name = format!("server-{number}");
            let url = format!("{}{name}", mode.scheme());
            if !named.contains_key(&url) {
                break (name, url);
            }
            number += 1;
        };
        let new = Self::new(name, mode);
        named.insert(url, Arc::downgrade(&new.0));
        new
    }

    pub(super) fn new(name: String, mode: Mode) -> Self {
        let mut engine = Engine::new(commands::table());
        engine.settings.address = format!("memory:{name}");
        if mode == Mode::Cluster {
            engine.cluster = Some(Node::new(&mut engine.random));
        }
        Self(Arc::new(Inner {
            name,
            mode,
            engine: Mutex::new(engine),
            is_open: watch::Sender::new(true),
        }))
    }

    pub(crate) fn mode(&self) -> Mode {
        self.0.mode
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        self.0.name.is_empty()
    }

    /// Accepts clients from now on, or refuses them.
    pub(super) fn set_open(&self, is_open: bool) {
        self.0.is_open.send_replace(is_open);
    }

    /// Whether clients are accepted, now and later.
    pub(super) fn openness(&self) -> watch::Receiver<bool> {
        self.0.is_open.subscribe()
    }

    /// Runs code on the server. Wakers run after it, since they are code of the application.
    pub(super) fn with<R>(&self, run: impl FnOnce(&mut Engine) -> R) -> R {
        let mut engine = self.0.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let result = run(&mut engine);
        let wakers = engine.take_wakers();
        drop(engine);
        for waker in wakers {
            waker.wake();
        }
        result
    }
}

impl PartialEq for Store {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Store {}

impl Hash for Store {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.mode.scheme(), self.0.name)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({self})")
    }
}
