//! Something that is lent for a while.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redis::{Cmd, Pipeline, RedisFuture, Value, aio::ConnectionLike};

/// Something that a [transaction](crate::Database::transaction) lends to its body, and gets back when
/// this is dropped. It is used like what it holds.
///
/// It is a value and no reference, because the future of a body that had references could not be sent
/// between threads, and so not be spawned, as soon as it uses anything from around it.
pub struct Loan<T> {
    // `None` only while it is being dropped.
    item: Option<T>,
    home: Arc<Mutex<Option<T>>>,
}

/// Where lent things come back to.
#[derive(Debug)]
pub(crate) struct Home<T>(Arc<Mutex<Option<T>>>);

impl<T> Home<T> {
    pub(crate) fn lend(item: T) -> (Loan<T>, Self) {
        let home = Arc::default();
        let loan = Loan {
            item: Some(item),
            home: Arc::clone(&home),
        };
        (loan, Self(home))
    }

    /// What was lent, if it has come back.
    pub(crate) fn take(&self) -> Option<T> {
        lock(&self.0).take()
    }
}

impl<T> Deref for Loan<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.item.as_ref().expect("BUG: it was dropped")
    }
}

impl<T> DerefMut for Loan<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect("BUG: it was dropped")
    }
}

/// What is lent is used, so that commands and scripts of the `redis` crate run on it.
impl<T: ConnectionLike> ConnectionLike for Loan<T> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        (**self).req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        (**self).req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        (**self).get_db()
    }
}

impl<T> Drop for Loan<T> {
    fn drop(&mut self) {
        *lock(&self.home) = self.item.take();
    }
}

impl<T: fmt::Debug> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

fn lock<T>(home: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    home.lock().unwrap_or_else(PoisonError::into_inner)
}
