//! A panic while the screen is shown leaves the terminal as it was, and its message can be read.

use std::{env, process::Command};

use crate::{
    screen::Screen,
    terminal::{ENTER, LEAVE, OnTerminal},
};

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    let myself = env::current_exe().expect("the program of the tests");
    let panicking = [
        "--ignored",
        "--exact",
        "--nocapture",
        "panic::shows_and_panics",
    ];
    let mut terminal = OnTerminal::run(Command::new(myself).args(panicking));
    assert!(!terminal.end().success());
    terminal.until_written(LEAVE);
    // A backtrace may have moved it out of sight.
    terminal.until_written("a test panics on purpose");
    let written = terminal.written();
    assert!(written.find(LEAVE) < written.find("a test panics on purpose"));
    assert!(written.contains(ENTER));
    assert!(terminal.is_cooked());
}

#[test]
#[ignore = "the test above runs it in a process of its own"]
fn shows_and_panics() {
    let mut screen = Screen::open().expect("a terminal");
    let panics = |_: &mut ratatui::Frame<'_>| panic!("a test panics on purpose");
    let _ = screen.draw(panics);
}
