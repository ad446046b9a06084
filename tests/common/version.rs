//! Which server the tests run against, and what an older one cannot do.

use std::{
    ffi::OsString,
    io::{Write, stderr},
    process::Command,
    sync::OnceLock,
    thread,
};

use super::embedded::LEFT_OUT;

/// The server program: `REDIS_SERVER`, or redis-server on the PATH.
pub(super) fn program() -> OsString {
    std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// Major and minor version by the program's own account. Valkey 7.2 and newer count on from Redis 7.2.
pub fn version() -> (u32, u32) {
    let said = said();
    parse(said).unwrap_or_else(|| panic!("{:?} tells no version: {said:?}", program()))
}

/// Whether it is `examples/memory_server.rs`.
pub fn is_embedded() -> bool {
    said().starts_with("Embedded server ")
}

/// What the program says about itself.
fn said() -> &'static str {
    static SAID: OnceLock<String> = OnceLock::new();
    SAID.get_or_init(|| {
        let program = program();
        let said = Command::new(&program)
            .arg("--version")
            .output()
            .unwrap_or_else(|error| {
                panic!("{program:?} cannot be run ({error}); scripts/test installs it")
            });
        String::from_utf8_lossy(&said.stdout).into_owned()
    })
}

/// Of `Redis server v=7.0.15 sha=…`.
fn parse(said: &str) -> Option<(u32, u32)> {
    let (_, version) = said.split_once(" v=")?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether the server cannot do TLS, as some builds cannot. If so, the test's output says that the rest was skipped.
#[must_use]
pub fn lacks_tls() -> bool {
    static CANNOT: OnceLock<bool> = OnceLock::new();
    let cannot = *CANNOT.get_or_init(|| {
        if is_embedded() {
            return true;
        }
        // One that can misses the certificate, and all end: some know the setting and no TLS.
        let ended = Command::new(program())
            .args(["--port", "0", "--tls-port", "1"])
            .output()
            .expect("it can be run");
        let said = [ended.stdout, ended.stderr].concat();
        !String::from_utf8_lossy(&said).contains("Failed to configure TLS")
    });
    if cannot {
        skip_notice("the server was built without TLS");
    }
    cannot
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

/// Whether the running test is left out, because the embedded server lacks what it needs. Its output says so.
///
/// # Panics
///
/// When the test is not in the list of them.
#[must_use]
pub fn left_out_on_embedded() -> bool {
    let test = thread::current();
    let test = test.name().unwrap_or_default();
    let (_, name) = test.rsplit_once("::").unwrap_or(("", test));
    let is_it = |listed: &&str| {
        listed
            .rsplit_once("::")
            .is_some_and(|(_, test)| test == name)
    };
    let needs = LEFT_OUT
        .iter()
        .find(|(_, tests)| tests.iter().any(is_it))
        .map(|(needs, _)| needs)
        .unwrap_or_else(|| panic!("{test} is not in the list of tests that are left out"));
    if is_embedded() {
        skip_notice(&format!(
            "it needs {needs}, which the embedded server lacks"
        ));
    }
    is_embedded()
}

/// Says what the running test leaves out. It is seen even when the test passes, because the test
/// runner captures `println!` alone.
pub fn skip_notice(reason: &str) {
    let test = thread::current();
    let name = test.name().unwrap_or("a test");
    let _ = writeln!(stderr(), "skipped in {name}: {reason}");
}
