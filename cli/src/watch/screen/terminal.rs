//! The terminal.

use std::io;

use ratatui::DefaultTerminal;

use super::{model::Model, view};
use crate::output::Paint;

/// A terminal that shows the view. When this is dropped, and also at a panic, the terminal is as it was before.
#[derive(Debug)]
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // This also installs a hook that restores the terminal before a panic is printed.
        ratatui::try_init().map(Self)
    }

    pub(super) fn draw(&mut self, model: &Model, paint: Paint) -> io::Result<()> {
        self.0.draw(|frame| view::draw(frame, model, paint))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
