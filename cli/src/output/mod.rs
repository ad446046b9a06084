//! Results on stdout, for people or as JSON, and messages on stderr.

mod paint;
mod span;
mod table;

pub(crate) use paint::{Colour, Paint};
pub(crate) use span::Span;
pub(crate) use table::Table;

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use serde::Serialize;

/// Where results and messages go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether results are JSON.
    pub(crate) is_json: bool,
    /// The colours of results.
    pub(crate) paint: Paint,
}

impl Output {
    pub(crate) fn new(is_json: bool) -> Self {
        Self {
            is_json,
            paint: Paint::of_stdout(),
        }
    }

    /// Writes a line of the results, in either form.
    pub(crate) fn line(&self, line: impl Display) -> io::Result<()> {
        // A reader of a stream sees each line at once, also through a pipe.
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()
    }

    /// Writes a JSON document in a line.
    pub(crate) fn json(&self, document: &impl Serialize) -> io::Result<()> {
        self.line(serde_json::to_string(document)?)
    }

    /// Writes a JSON document if results are JSON.
    pub(crate) fn json_only(&self, document: &impl Serialize) -> io::Result<()> {
        if self.is_json {
            self.json(document)
        } else {
            Ok(())
        }
    }

    /// Writes a message to stderr.
    pub(crate) fn message(&self, message: impl Display) {
        // There is no other place to say that this fails.
        let _ = writeln!(io::stderr(), "{message}");
    }
}
