//! The program on a terminal of its own.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    num::NonZeroU16,
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

/// Enters and leaves the screen of a program, which hides that of the shell.
pub(crate) const ENTER: &str = "\x1b[?1049h";
pub(crate) const LEAVE: &str = "\x1b[?1049l";

const SOON: Duration = Duration::from_secs(30);

/// A run on a terminal; dropping it kills it.
pub(crate) struct OnTerminal {
    child: Child,
    keyboard: File,
    /// Kept open, so that what is written last is not lost, and to be asked about its modes.
    inside: OwnedFd,
    shown: Arc<Mutex<Shown>>,
}

/// What was written, and what is seen of it.
struct Shown {
    text: String,
    screen: vt100::Parser,
}

const ROWS: NonZeroU16 = NonZeroU16::new(24).expect("above 0");
const COLUMNS: NonZeroU16 = NonZeroU16::new(120).expect("above 0");

/// The outside and the inside of a new terminal.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    // Servers that other tests start at this moment do not inherit it.
    let outside =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&outside).expect("a terminal of one's own");
    unlockpt(&outside).expect("a terminal that can be opened");
    let name = ptsname(&outside, Vec::new()).expect("a name");
    let inside = rustix::fs::open(
        &name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .expect("the inside");
    let size = Winsize {
        ws_row: ROWS.get(),
        ws_col: COLUMNS.get(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&inside, size).expect("a size");
    (outside, inside)
}

impl OnTerminal {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_redis-steward")).args(arguments))
    }

    pub(crate) fn run(command: &mut Command) -> Self {
        let (outside, inside) = terminal();
        let end = || inside.try_clone().expect("another handle");
        let child = command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the program runs");
        let keyboard = File::from(outside);
        let shown = Arc::new(Mutex::new(Shown {
            text: String::new(),
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
        }));
        record(keyboard.try_clone().expect("another handle"), &shown);
        Self {
            child,
            keyboard,
            inside,
            shown,
        }
    }

    /// All that was written, sequences of control characters included.
    pub(crate) fn written(&self) -> String {
        self.shown.lock().expect("the record").text.clone()
    }

    /// Waits until the screen shows this.
    #[track_caller]
    pub(crate) fn until_shown(&self, text: &str) {
        let contents = || {
            let shown = self.shown.lock().expect("the record");
            shown.screen.screen().contents()
        };
        eventually(SOON, text, || contents().contains(text));
    }

    #[track_caller]
    pub(crate) fn until_written(&self, text: &str) {
        eventually(SOON, text, || self.written().contains(text));
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

fn record(mut outside: File, shown: &Arc<Mutex<Shown>>) {
    let shown = shown.clone();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        // The read fails when the last handle of the inside is closed.
        while let Ok(count @ 1..) = outside.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]);
            let mut shown = shown.lock().expect("the record");
            shown.text.push_str(&text);
            shown.screen.process(&bytes[..count]);
        }
    });
}
