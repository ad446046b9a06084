//! One direction of one proxied connection: read, hold back, write.

use std::{
    collections::VecDeque,
    future::pending,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
    sync::watch,
    time::{Instant, sleep_until},
};

use super::proxy::Mode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Requests,
    Replies,
}

/// Why a connection ended before both sides had closed it.
pub(super) enum Broken {
    /// By [`Mode::CutAfter`]: the client is told with a FIN.
    Cut,
    /// By an error of either socket.
    Failed,
}

#[derive(Default)]
pub(super) struct Traffic {
    /// Read from clients.
    pub(super) requests: AtomicU64,
    /// Written to clients.
    pub(super) replies: AtomicU64,
    /// Requests that were read after a reply was written, or first of all.
    pub(super) turns: AtomicU64,
    pub(super) is_clients_turn: AtomicBool,
    /// Read from the server and thrown away.
    pub(super) swallowed: AtomicU64,
}

pub(super) struct Pump<'a> {
    pub(super) direction: Direction,
    pub(super) from: ReadHalf<'a>,
    pub(super) to: WriteHalf<'a>,
    pub(super) mode: watch::Receiver<Mode>,
    pub(super) traffic: &'a Traffic,
    /// Bytes that may be read before they are written.
    pub(super) capacity: usize,
}

impl Pump<'_> {
    /// Runs until the reading side has closed and everything read is written.
    ///
    /// The mode is read before every step, also for bytes that were read before. So bytes that are
    /// sent after a mode was set never meet an older mode.
    pub(super) async fn run(mut self) -> Result<(), Broken> {
        let mut chunk = vec![0; self.capacity.min(64 * 1024)];
        let mut held: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let mut held_bytes = 0;
        let mut closed = false;
        // Since the mode was last set:
        let mut passed = 0;
        let mut next_write = Instant::now();

        loop {
            let (mode, changed) = {
                let mode = self.mode.borrow_and_update();
                (*mode, mode.has_changed())
            };
            if changed {
                passed = 0;
                next_write = Instant::now();
            }
            if mode == Mode::BlackHole {
                if self.mode.changed().await.is_err() {
                    return Err(Broken::Failed);
                }
                // The next round must see the change again.
                self.mode.mark_changed();
                continue;
            }
            if closed && held.is_empty() {
                let _ = self.to.shutdown().await;
                return Ok(());
            }

            let due = held
                .front()
                .map(|(read, _)| next_write.max(*read + mode.delay(self.direction)));
            tokio::select! {
                biased;
                changed = self.mode.changed() => match changed {
                    Ok(()) => self.mode.mark_changed(),
                    Err(_) => return Err(Broken::Failed),
                },
                () = at(due) => {
                    let (read, mut bytes) = held.pop_front().expect("BUG: due without bytes");
                    if let Mode::Throttle { bytes_per_second } = mode {
                        let step = (bytes_per_second / 100).max(1).min(bytes.len());
                        held.push_front((read, bytes.split_off(step)));
                        held.retain(|(_, bytes)| !bytes.is_empty());
                        next_write = Instant::now()
                            + Duration::from_secs_f64(step as f64 / bytes_per_second.max(1) as f64);
                    }
                    held_bytes -= bytes.len();
                    self.write(mode, &bytes, &mut passed).await?;
                }
                read = self.from.read(&mut chunk), if !closed && held_bytes < self.capacity => {
                    let read = read.map_err(|_| Broken::Failed)?;
                    closed = read == 0;
                    if read > 0 {
                        if self.direction == Direction::Requests {
                            self.traffic.requests.fetch_add(read as u64, Relaxed);
                            if !self.traffic.is_clients_turn.swap(true, Relaxed) {
                                self.traffic.turns.fetch_add(1, Relaxed);
                            }
                        }
                        held_bytes += read;
                        held.push_back((Instant::now(), chunk[..read].to_vec()));
                    }
                }
            }
        }
    }

    async fn write(&mut self, mode: Mode, bytes: &[u8], passed: &mut usize) -> Result<(), Broken> {
        if self.direction == Direction::Requests {
            return self.to.write_all(bytes).await.map_err(|_| Broken::Failed);
        }
        match mode {
            Mode::SwallowReplies => {
                self.traffic
                    .swallowed
                    .fetch_add(bytes.len() as u64, Relaxed);
                Ok(())
            }
            Mode::DuplicateReplies => self.reply(&[bytes, bytes].concat()).await,
            Mode::CutAfter { reply_bytes } => {
                let allowed = bytes.len().min(reply_bytes - *passed);
                *passed += allowed;
                self.reply(&bytes[..allowed]).await?;
                if *passed == reply_bytes {
                    Err(Broken::Cut)
                } else {
                    Ok(())
                }
            }
            _ => self.reply(bytes).await,
        }
    }

    /// Counts first, so a delivered reply is always counted.
    async fn reply(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.traffic.replies.fetch_add(bytes.len() as u64, Relaxed);
        self.traffic.is_clients_turn.store(false, Relaxed);
        self.to.write_all(bytes).await.map_err(|_| Broken::Failed)
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
