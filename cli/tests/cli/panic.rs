//! A panic while the screen is shown leaves the terminal as it was, and its message can be read.

use std::{env, process::Command};

use crate::{
    screen::Screen,
    terminal::{ENTER, LEAVE, OnTerminal},
};

/// Set in the process that panics, which is another run of this test.
const PANICS: &str = "REDIS_STEWARD_TEST_PANICS";

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    if env::var_os(PANICS).is_some() {
        show_and_panic();
    }
    let myself = env::current_exe().expect("the program of the tests");
    let name = "panic::a_panic_leaves_the_terminal_as_it_was";
    let mut again = Command::new(myself);
    again
        .args(["--exact", "--nocapture", name])
        .env(PANICS, "1");
    let mut terminal = OnTerminal::run(&mut again);
    assert!(!terminal.end().success());
    terminal.until_written(LEAVE);
    // A backtrace may have moved it out of sight.
    terminal.until_written("a test panics on purpose");
    let written = terminal.written();
    assert!(written.find(LEAVE) < written.find("a test panics on purpose"));
    assert!(written.contains(ENTER));
    assert!(terminal.is_cooked());
}

fn show_and_panic() -> ! {
    let mut screen = Screen::open().expect("a terminal");
    let panics = |_: &mut ratatui::Frame<'_>| panic!("a test panics on purpose");
    let _ = screen.draw(panics);
    unreachable!("drawing panics")
}
