//! Colours, where they are wanted.

use std::{
    env,
    io::{self, IsTerminal as _},
};

/// The meaning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Good,
    Doubtful,
    Bad,
    Head,
    Plain,
}

/// Colours a text, or leaves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) is_on: bool,
}

impl Paint {
    /// Colours are for terminals, and for users who have not set `NO_COLOR` (<https://no-color.org>).
    pub(crate) fn of_stdout() -> Self {
        let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            is_on: io::stdout().is_terminal() && !is_unwanted,
        }
    }

    pub(crate) fn apply(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => "32",
            Colour::Doubtful => "33",
            Colour::Bad => "31",
            Colour::Head => "1",
            Colour::Plain => "",
        };
        if self.is_on && !code.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
