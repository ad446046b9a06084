//! The addresses of hosts, from the resolver of the system.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

/// The most look-ups, and so threads, at the same time. Only in a program with so many hosts that do not
/// resolve does a host ever wait for it.
const MAX_THREADS: usize = 128;

/// The most look-ups at the same time that do not hang yet. More would only burden the name servers.
const MAX_YOUNG: usize = 16;

/// A look-up without an answer after this time hangs, and others may begin beside it. Name servers
/// that work answer sooner.
const HANGS: Duration = Duration::from_millis(250);

/// The kernel keeps 15 bytes, which differ from those of the crate's other threads.
const THREAD: &str = "redis-steward-names";

/// Finds the addresses of a host, with any port. It may block for as long as it likes.
type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The result of a look-up, for each caller that waits for it.
type Answer = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// Looks up hosts on threads of its own.
///
/// `getaddrinfo` blocks, up to a minute if no name server answers, and cannot be interrupted. On the
/// blocking pool of a tokio runtime it would take the threads of the application's own blocking calls,
/// and the runtime could not be dropped before it returns. Here it delays nothing: the threads are
/// detached, and dropping the future of a caller forgets the caller only.
///
/// - Callers that ask for the same host share one look-up, also if it began before they came.
/// - Hosts that hang do not hold up the others: beside them, 16 look-ups at a time may begin, until there are
///   [`MAX_THREADS`] in all. Then hosts wait until look-ups return, or until their callers give up.
/// - A thread ends as soon as no look-up waits for it.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Inner>);

struct Inner {
    look_up: Box<LookUp>,
    state: Mutex<State>,
}

impl Resolver {
    /// The resolver of the system, as `nsswitch.conf`, `hosts` and `resolv.conf` configure it. All
    /// supervisors share it: a look-up may outlive its supervisor, so that bounds per supervisor would be none.
    pub(crate) fn of_process() -> Self {
        static RESOLVER: LazyLock<Resolver> =
            LazyLock::new(|| Resolver::new(|host| Ok((host, 0).to_socket_addrs()?.collect())));
        RESOLVER.clone()
    }

    pub(crate) fn new(
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            look_up: Box::new(look_up),
            state: Mutex::default(),
        }))
    }

    /// The addresses of a host, in the order in which the system prefers them. An IP address needs no
    /// look-up. The caller bounds the time. It needs tokio's timers.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let mut answer = self.0.ask(host);
        let answer = loop {
            match timeout(HANGS, answer.wait_for(Option::is_some)).await {
                Ok(answer) => break answer.ok().and_then(|answer| answer.clone()),
                // Look-ups that hang by now make place for others.
                Err(_) => self.0.start_threads(),
            }
        };
        match answer {
            Some(Ok(mut addresses)) => {
                for address in &mut addresses {
                    address.set_port(port);
                }
                Ok(addresses)
            }
            Some(Err(error)) => Err(io::Error::new(error.kind(), error)),
            None => Err(io::Error::other("the look-up was given up")),
        }
    }

    /// Whether a look-up of the host is under way.
    pub(crate) fn is_looking_up(&self, host: &str) -> bool {
        self.0.state().asked.contains_key(host)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Inner {
    fn ask(self: &Arc<Self>, host: &str) -> watch::Receiver<Option<Answer>> {
        let answer = self.state().ask(host);
        self.start_threads();
        answer
    }

    fn start_threads(self: &Arc<Self>) {
        while let Some(job) = self.next() {
            let inner = self.clone();
            let first = job.clone();
            let thread = thread::Builder::new().name(THREAD.into());
            if let Err(error) = thread.spawn(move || inner.work(first)) {
                self.finish(&job, Err(error));
            }
        }
    }

    fn work(&self, first: Job) {
        let mut next = Some(first);
        while let Some(job) = next {
            let answer = catch_unwind(AssertUnwindSafe(|| (self.look_up)(&job.host)));
            let panicked = |_| Err(io::Error::other("the look-up panicked"));
            self.finish(&job, answer.unwrap_or_else(panicked));
            next = self.next();
        }
    }

    fn next(&self) -> Option<Job> {
        self.state().next(Instant::now())
    }

    fn finish(&self, job: &Job, answer: io::Result<Vec<SocketAddr>>) {
        let callers = self.state().end(job);
        callers.send_replace(Some(answer.map_err(Arc::new)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A host whose look-up has a thread.
#[derive(Clone)]
struct Job {
    host: Arc<str>,
    began: Instant,
}

#[derive(Default)]
struct State {
    /// The look-ups that wait or run, by host, each with its callers.
    asked: HashMap<Arc<str>, watch::Sender<Option<Answer>>>,
    /// The hosts that wait for a thread.
    waiting: VecDeque<Arc<str>>,
    /// When the look-ups that run began, the latest at the end.
    running: VecDeque<Instant>,
}

impl State {
    fn ask(&mut self, host: &str) -> watch::Receiver<Option<Answer>> {
        if let Some(callers) = self.asked.get(host) {
            return callers.subscribe();
        }
        self.forget_abandoned();
        let host = Arc::<str>::from(host);
        let (callers, answer) = watch::channel(None);
        self.asked.insert(host.clone(), callers);
        self.waiting.push_back(host);
        answer
    }

    /// Removes the hosts that wait for a thread, and whose callers have all gone.
    fn forget_abandoned(&mut self) {
        let asked = &mut self.asked;
        self.waiting.retain(|host| {
            let is_wanted = asked.get(host).is_some_and(|callers| !callers.is_closed());
            if !is_wanted {
                asked.remove(host);
            }
            is_wanted
        });
    }

    /// The host whose turn it is, if there may be a thread for it.
    fn next(&mut self, now: Instant) -> Option<Job> {
        if self.waiting.is_empty() || self.running.len() >= MAX_THREADS {
            return None;
        }
        let is_young = |began: &&Instant| now.duration_since(**began) < HANGS;
        if self.running.iter().rev().take_while(is_young).count() >= MAX_YOUNG {
            return None;
        }
        self.forget_abandoned();
        let host = self.waiting.pop_front()?;
        self.running.push_back(now);
        Some(Job { host, began: now })
    }

    /// Ends a look-up, and returns its callers.
    fn end(&mut self, job: &Job) -> watch::Sender<Option<Answer>> {
        if let Some(index) = self.running.iter().position(|began| *began == job.began) {
            self.running.remove(index);
        }
        let callers = self.asked.remove(&job.host);
        callers.expect("BUG: a look-up that runs is asked for")
    }
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
