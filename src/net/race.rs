//! Connecting to a host with several addresses, in the manner of RFC 8305 ("Happy Eyeballs").

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// The time that an attempt has before the next one starts beside it: the Connection Attempt Delay that
/// RFC 8305 section 5 recommends.
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Returns the first connection that opens, and drops the other attempts. An attempt to the next address
/// starts every [`ATTEMPT_DELAY`], and at once when one fails. So a dead address costs that delay and not
/// the connect timeout. The caller bounds the time.
pub(super) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let tried = addresses.len();
    let mut waiting = interleaved(addresses).into_iter();
    let mut attempts: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failure = Failure::default();
    let mut delay = pin!(sleep(ATTEMPT_DELAY));
    poll_fn(|cx| {
        loop {
            let under_way = attempts.len();
            let mut opened = None;
            attempts.retain_mut(|(address, attempt)| {
                if opened.is_some() {
                    return true;
                }
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => return true,
                    Poll::Ready(Ok(connection)) => opened = Some(connection),
                    Poll::Ready(Err(error)) => failure.add(*address, error),
                }
                false
            });
            if let Some(connection) = opened {
                return Poll::Ready(Ok(connection));
            }
            let one_failed = attempts.len() < under_way;
            let none_left = waiting.as_slice().is_empty();
            if attempts.is_empty() && none_left {
                return Poll::Ready(Err(failure.take(tried)));
            }
            let is_due = attempts.is_empty() || one_failed;
            if none_left || !is_due && delay.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(address) = waiting.next() {
                attempts.push((address, Box::pin(connect(address))));
                delay.as_mut().reset(Instant::now() + ATTEMPT_DELAY);
            }
        }
    })
    .await
}

/// Takes turns between the families, beginning with that of the first address, so that a family without a
/// route costs one delay only. Within a family the system's order stays.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut turns = Vec::new();
    for address in first {
        turns.push(address);
        turns.extend(second.next());
    }
    turns.extend(second);
    turns
}

/// The failure to report: the latest that came from a peer, else the latest.
#[derive(Default)]
struct Failure(Option<(SocketAddr, io::Error)>);

impl Failure {
    fn add(&mut self, address: SocketAddr, error: io::Error) {
        let tells_more =
            |(_, known): &(SocketAddr, io::Error)| !is_from_peer(known) || is_from_peer(&error);
        if self.0.as_ref().is_none_or(tells_more) {
            self.0 = Some((address, error));
        }
    }

    /// The failure of one address stays as the system reports it.
    fn take(&mut self, tried: usize) -> io::Error {
        match self.0.take() {
            None => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
            Some((_, error)) if tried == 1 => error,
            Some((address, error)) => io::Error::new(
                error.kind(),
                AllFailed {
                    tried,
                    address,
                    error,
                },
            ),
        }
    }
}

/// Any other failure arises in this host or its network, for instance if there is no route for a family.
fn is_from_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

#[derive(Debug)]
struct AllFailed {
    tried: usize,
    address: SocketAddr,
    error: io::Error,
}

impl fmt::Display for AllFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tried,
            address,
            error,
        } = self;
        write!(f, "{address}: {error} (all {tried} addresses failed)")
    }
}

impl std::error::Error for AllFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
#[path = "race_tests.rs"]
mod tests;
