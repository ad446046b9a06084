//! A TCP proxy that misbehaves on command, byte for byte.
//!
//! It runs on a thread and a runtime of its own, so a test's blocked or paused
//! runtime does not stop it. It cannot lose packets: its kernel
//! acknowledges everything, so TCP_USER_TIMEOUT and keepalive never fire.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    over_tls,
    ports::free_port,
    pump::{Direction, Traffic},
    relay::{Listen, Shared, serve},
    wait::{eventually, eventually_async},
};

/// The treatment of the bytes of all connections, open and new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Bytes arrive later by this much, in order; the rate stays.
    Delay {
        requests: Duration,
        replies: Duration,
    },
    /// This many bytes a second per connection and direction.
    Throttle {
        bytes_per_second: usize,
    },
    /// Each connection is closed (FIN) once this many more bytes of replies
    /// have passed; with 0, instead of the next reply.
    CutAfter {
        reply_bytes: usize,
    },
    /// Requests reach the server, replies are thrown away.
    SwallowReplies,
    /// Every chunk of replies arrives twice: a small reply is one chunk.
    DuplicateReplies,
    /// Nothing passes and nothing closes; new connections are accepted, and go
    /// nowhere. Bytes that were held pass on `heal`, as after a partition.
    BlackHole,
}

impl Mode {
    pub(super) fn delay(self, direction: Direction) -> Duration {
        match (self, direction) {
            (Self::Delay { requests, .. }, Direction::Requests) => requests,
            (Self::Delay { replies, .. }, Direction::Replies) => replies,
            _ => Duration::ZERO,
        }
    }
}

/// A proxy in front of a port of 127.0.0.1. Drop closes everything.
pub struct FaultProxy {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The proxy reacts within microseconds; this bound is for a loaded machine.
const BOUND: Duration = Duration::from_secs(10);

impl FaultProxy {
    /// Starts in [`Mode::Pass`]. The target need not be up yet; while it is
    /// not, connections are accepted and then reset.
    pub fn start(target: u16) -> Self {
        Self::launch(target, None)
    }

    /// A proxy whose sockets hold little, so that a side that does not read
    /// soon blocks the other one. The kernel rounds small sizes up.
    pub fn with_buffers(target: u16, bytes: u32) -> Self {
        Self::launch(target, Some(bytes))
    }

    pub fn port(&self) -> u16 {
        self.shared.port
    }

    pub fn url(&self) -> String {
        let place = format!("127.0.0.1:{}/0", self.port());
        over_tls::url(self.leads_to_tls(), &place)
    }

    pub fn leads_to_tls(&self) -> bool {
        over_tls::is_tls(self.shared.target)
    }

    /// Holds for all bytes that are sent after it returns.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Back to [`Mode::Pass`], and to accepting on the same port.
    pub fn heal(&self) {
        self.set(Mode::Pass);
        self.shared.listen.send_replace(Listen::Accept);
        eventually(BOUND, "the proxy listens", || self.is_listening());
    }

    /// Ends [`Mode::SwallowReplies`]. No connection survives: its next reply would be taken for a
    /// swallowed one.
    pub fn end_swallowing(&self) {
        self.reset_all();
        self.heal();
        self.reset_all();
    }

    /// New connections get ECONNREFUSED from now on; open ones stay.
    pub fn refuse(&self) {
        self.shared.listen.send_replace(Listen::Refuse);
        eventually(BOUND, "the proxy refuses", || !self.is_listening());
    }

    /// Resets (RST) every connection accepted so far, on both sides, and
    /// returns how many there were. This process has closed them on return;
    /// while it also starts a child, which has a copy of them until it is
    /// another program, the RST may follow some milliseconds later.
    pub fn reset_all(&self) -> usize {
        let bells = self.shared.open.lock().unwrap().clone();
        bells.values().for_each(|bell| bell.notify_one());
        eventually(BOUND, "the connections are reset", || {
            let open = self.shared.open.lock().unwrap();
            bells.keys().all(|id| !open.contains_key(id))
        });
        bells.len()
    }

    /// From now on nothing passes on the connections accepted so far, and nothing closes them, whatever becomes of
    /// their server: as if its host had vanished. New ones are not concerned. Returns how many there were.
    pub fn strand_all(&self) -> usize {
        let open: Vec<_> = self.shared.open.lock().unwrap().keys().copied().collect();
        self.shared.stranded.send_replace(self.accepted());
        eventually(BOUND, "the connections are silent", || {
            let silent = self.shared.silent.lock().unwrap();
            open.iter().all(|id| silent.contains(id))
        });
        open.len()
    }

    /// Waits for something about this proxy, at most 10 s.
    pub async fn until(&self, condition_name: &str, mut condition: impl FnMut(&Self) -> bool) {
        eventually_async(BOUND, condition_name, || condition(self)).await;
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.lock().unwrap().len()
    }

    /// When each of them was accepted.
    pub fn accepted_at(&self) -> Vec<Instant> {
        self.shared.accepted.lock().unwrap().clone()
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.lock().unwrap().len()
    }

    /// Bytes read from clients.
    pub fn request_bytes(&self) -> u64 {
        self.shared.traffic.requests.load(Ordering::Relaxed)
    }

    /// Bytes written to clients.
    pub fn reply_bytes(&self) -> u64 {
        self.shared.traffic.replies.load(Ordering::Relaxed)
    }

    /// How often the clients sent something after a reply, or first of all: their round trips.
    pub fn turns(&self) -> u64 {
        self.shared.traffic.turns.load(Ordering::Relaxed)
    }

    /// Bytes of replies thrown away.
    pub fn swallowed_bytes(&self) -> u64 {
        self.shared.traffic.swallowed.load(Ordering::Relaxed)
    }

    fn launch(target: u16, buffer: Option<u32>) -> Self {
        let shared = Arc::new(Shared {
            port: free_port(),
            target,
            buffer,
            mode: watch::Sender::new(Mode::Pass),
            listen: watch::Sender::new(Listen::Accept),
            listening: AtomicBool::new(false),
            accepted: Mutex::default(),
            open: Mutex::default(),
            stranded: watch::Sender::new(0),
            silent: Mutex::default(),
            traffic: Traffic::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the proxy");
        let serving = serve(Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("fault-proxy".to_owned())
            // The end of the runtime closes the connections that are left.
            .spawn(move || runtime.block_on(serving))
            .expect("a thread for the proxy");
        let proxy = Self {
            shared,
            thread: Some(thread),
        };
        proxy.heal();
        proxy
    }

    fn is_listening(&self) -> bool {
        self.shared.listening.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.listen.send_replace(Listen::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
