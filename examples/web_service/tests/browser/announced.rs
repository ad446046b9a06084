//! What a program tells of itself when it has started.

use std::{
    io::{BufRead, BufReader, Read},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Longer than a start takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The rest of the first line that begins so. The stream is read to its end, because the program would stop at a pipe that
/// is full.
pub fn announced(stream: impl Read + Send + 'static, begin: &'static str) -> String {
    let (found, rest) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some(rest) = line.strip_prefix(begin) {
                // Nobody waits for a second one.
                let _ = found.send(rest.to_owned());
            }
        }
    });
    let rest = rest.recv_timeout(PATIENCE);
    rest.unwrap_or_else(|_| panic!("no line with {begin:?} within {PATIENCE:?}"))
}
