//! The terminal.

use std::io::{self, Write as _};

use ratatui::{DefaultTerminal, Frame};

/// A terminal that shows the view. When this is dropped, and also at a panic, the terminal is as it was before.
#[derive(Debug)]
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // This also installs a hook that restores the terminal before a panic is printed.
        ratatui::try_init().map(Self)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw)?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Err(error) = ratatui::try_restore() {
            // If this cannot be written either, the terminal has gone.
            let _ = writeln!(
                io::stderr(),
                "redis-steward: the terminal is not as it was, which the command reset mends: {error}"
            );
        }
    }
}
