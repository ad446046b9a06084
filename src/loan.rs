//! A loan: a value that its owner lends and gets back.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redis::{Cmd, Pipeline, RedisFuture, Value, aio::ConnectionLike};

/// A value that a [transaction](crate::Database::transaction) lends to its body: the
/// [`Lease`](crate::Lease) and the [`Pipeline`]. It dereferences to that value, and dropping it returns
/// the value to the transaction.
///
/// A body that keeps a loan beyond its own end makes the transaction fail with
/// [`Error::LeaseNotReturned`](crate::Error::LeaseNotReturned). A loan of a connection is itself a
/// [`ConnectionLike`], so that typed commands and scripts of the `redis` crate work on it.
///
/// The body gets a value instead of a reference for a technical reason: with references, the body's
/// future would not be `Send` once it captures its environment, and could not be spawned.
pub struct Loan<T> {
    // `None` only during the drop.
    item: Option<T>,
    home: Arc<Mutex<Option<T>>>,
}

/// The place to which a loan returns its value.
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

    /// The lent value, if it has been returned.
    pub(crate) fn take(&self) -> Option<T> {
        lock(&self.0).take()
    }
}

impl<T> Deref for Loan<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.item.as_ref().expect("BUG: the loan was dropped")
    }
}

impl<T> DerefMut for Loan<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect("BUG: the loan was dropped")
    }
}

/// Commands and scripts of the `redis` crate run on the lent connection.
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
