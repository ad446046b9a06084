//! How far the run is.

use indicatif::{ProgressBar, ProgressStyle};

use crate::contender::Name;

/// A bar on stderr, which shows nothing where that is no terminal. It is only drawn between
/// turns: a thread of its own would be measured with the clients.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn new(turns: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {eta:>4} left  {msg}")
            .expect("the template is correct");
        Self(ProgressBar::new(turns as u64).with_style(style))
    }

    /// A turn begins.
    pub fn at(&self, what: &str, name: Name) {
        self.0.set_message(format!("{what}  {name}"));
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
