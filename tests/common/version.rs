//! Which server the tests run against, and what an older one cannot do.

use std::{
    ffi::OsString,
    io::{Write, stderr},
    process::Command,
    sync::OnceLock,
    thread,
};

/// The server program: `REDIS_SERVER`, or redis-server on the PATH.
pub(super) fn program() -> OsString {
    std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// Major and minor version by the program's own account. Valkey 7.2 and newer count on from Redis 7.2.
pub fn version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let program = program();
        let said = Command::new(&program)
            .arg("--version")
            .output()
            .unwrap_or_else(|error| {
                panic!("{program:?} cannot be run ({error}); scripts/test installs it")
            });
        let said = String::from_utf8_lossy(&said.stdout);
        parse(&said).unwrap_or_else(|| panic!("{program:?} tells no version: {said:?}"))
    })
}

/// Of `Redis server v=7.0.15 sha=…`.
fn parse(said: &str) -> Option<(u32, u32)> {
    let (_, version) = said.split_once(" v=")?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether the server is older than this version and so lacks what a test needs. If it is, the
/// test's output says that the rest of the test was skipped, and why.
#[must_use]
pub fn older_than(major: u32, minor: u32, lacks: &str) -> bool {
    let older = version() < (major, minor);
    if older {
        let (own_major, own_minor) = version();
        skip_notice(&format!(
            "{lacks} came with {major}.{minor}, and the server is {own_major}.{own_minor}"
        ));
    }
    older
}

/// [`older_than`] for the tests of a server that loads: an older one answers to nothing before it has
/// read the first 2 MB.
#[must_use]
pub fn silent_while_loading() -> bool {
    older_than(7, 0, "loading-process-events-interval-bytes")
}

/// Says what the running test leaves out. It is seen even when the test passes, because the test
/// runner captures `println!` alone.
pub fn skip_notice(reason: &str) {
    let test = thread::current();
    let name = test.name().unwrap_or("a test");
    let _ = writeln!(stderr(), "skipped in {name}: {reason}");
}
