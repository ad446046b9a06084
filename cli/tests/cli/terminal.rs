//! The program on a terminal of its own.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcgetattr, tcsetwinsize},
};

use crate::common::eventually;

const SOON: Duration = Duration::from_secs(30);

/// A run on a terminal; dropping it kills it.
pub(crate) struct OnTerminal {
    child: Child,
    keyboard: File,
    /// Kept open, so that what is written last is not lost, and to be asked about its modes.
    inside: OwnedFd,
    shown: Arc<Mutex<String>>,
}

impl OnTerminal {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&outside).expect("a terminal of one's own");
        unlockpt(&outside).expect("a terminal that can be opened");
        let name = ptsname(&outside, Vec::new()).expect("a name");
        let inside = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())
            .expect("the inside");
        let size = Winsize {
            ws_row: 24,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&inside, size).expect("a size");
        let end = || inside.try_clone().expect("another handle");
        let child = Command::new(env!("CARGO_BIN_EXE_redis-steward"))
            .args(arguments)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the program runs");
        let keyboard = File::from(outside);
        let shown = Arc::default();
        record(keyboard.try_clone().expect("another handle"), &shown);
        Self {
            child,
            keyboard,
            inside,
            shown,
        }
    }

    pub(crate) fn shown(&self) -> String {
        self.shown.lock().expect("the record").clone()
    }

    /// Waits until this was written since the begin.
    #[track_caller]
    pub(crate) fn until_shown(&self, text: &str) {
        eventually(SOON, text, || self.shown().contains(text));
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("keys");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child that can be signalled");
    }

    /// Whether lines are edited and echoed, as before and after.
    pub(crate) fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.inside).expect("modes").local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ICANON)
    }

    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut status = None;
        eventually(SOON, "the program ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("a status")
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn record(mut outside: File, shown: &Arc<Mutex<String>>) {
    let shown = shown.clone();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        // The read fails when the last handle of the inside is closed.
        while let Ok(count @ 1..) = outside.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]);
            shown.lock().expect("the record").push_str(&text);
        }
    });
}
