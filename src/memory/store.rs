//! A server that is shared by its clients.

use std::{
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use tokio::sync::watch;

use super::{commands, engine::Engine};

/// A reference to a server. It lives as long as there is one. Two are equal if they are of the same server.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    name: String,
    engine: Mutex<Engine>,
    /// Whether clients are accepted.
    is_open: watch::Sender<bool>,
}

/// The servers with a name that are alive.
static NAMED: LazyLock<Mutex<HashMap<String, Weak<Inner>>>> = LazyLock::new(Mutex::default);

impl Store {
    /// A server that only its holders reach.
    pub(crate) fn private() -> Self {
        Self::new(String::new())
    }

    /// The server of this name in this process. It ends with its last holder.
    pub(crate) fn named(name: &str) -> Self {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = named.get(name).and_then(Weak::upgrade) {
            return Self(present);
        }
        named.retain(|_, server| server.strong_count() > 0);
        let new = Self::new(name.into());
        named.insert(name.into(), Arc::downgrade(&new.0));
        new
    }

    /// A server with a name that no other one has.
    pub(super) fn with_new_name() -> Self {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = named.len() + 1;
        let name = loop {
            let name = format!("server-{number}");
            if !named.contains_key(&name) {
                break name;
            }
            number += 1;
        };
        let new = Self::new(name.clone());
        named.insert(name, Arc::downgrade(&new.0));
        new
    }

    pub(super) fn new(name: String) -> Self {
        let mut engine = Engine::new(commands::table());
        engine.settings.address = format!("memory:{name}");
        Self(Arc::new(Inner {
            name,
            engine: Mutex::new(engine),
            is_open: watch::Sender::new(true),
        }))
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
        write!(f, "memory://{}", self.0.name)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({self})")
    }
}
