//! Threads, sockets and memory of this process, as the kernel counts them (Linux).
//!
//! Tests of one binary run in parallel and share these numbers: compare by
//! port or thread name, or let the tests of the binary take turns.

use std::{collections::HashSet, fs, time::Duration};

/// The names of the threads whose name starts with `prefix`. The kernel keeps
/// the first 15 bytes of a name.
pub fn threads_named(prefix: &str) -> Vec<String> {
    fs::read_dir("/proc/self/task")
        .expect("/proc")
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

/// How many sockets of any kind are open.
pub fn open_sockets() -> usize {
    socket_inodes().len()
}

/// How many established TCP connections go to this port of 127.0.0.1.
pub fn sockets_to(port: u16) -> usize {
    sockets_in(&tcp_table(), port)
}

/// [`sockets_to`] by a table of the kernel.
pub fn sockets_in(table: &str, port: u16) -> usize {
    established(table, port).len()
}

/// When the next sign of life is asked for on each TCP connection to this port of 127.0.0.1 that is
/// silent and has keepalive.
pub fn keepalive_to(port: u16) -> Vec<Duration> {
    let next = |fields: &Vec<String>| {
        let hundredths = fields[5].strip_prefix("02:")?;
        let hundredths = u64::from_str_radix(hundredths, 16).ok()?;
        Some(Duration::from_millis(10 * hundredths))
    };
    let established = established(&tcp_table(), port);
    established.iter().filter_map(next).collect()
}

/// The kernel's table of TCP sockets. It is read page by page. A connection near its end is in it many times if
/// others are opened meanwhile: at the end the kernel counts from the beginning to where it was, and goes on from
/// there.
pub fn tcp_table() -> String {
    fs::read_to_string("/proc/self/net/tcp").expect("/proc")
}

/// The established TCP connections of this process to this port of 127.0.0.1, as the kernel describes them.
fn established(table: &str, port: u16) -> Vec<Vec<String>> {
    const ESTABLISHED: &str = "01";
    let remote = format!("0100007F:{port:04X}");
    let mut not_counted = socket_inodes();
    // sl local remote state queues timer retransmits uid timeout inode
    let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let mut lines: Vec<Vec<String>> = table.lines().map(fields).collect();
    lines.retain(|fields| {
        fields.get(2) == Some(&remote)
            && fields.get(3).is_some_and(|state| state == ESTABLISHED)
            && fields.get(9).is_some_and(|inode| not_counted.remove(inode))
    });
    lines
}

/// Resident memory.
pub fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * rustix::param::page_size()
}

fn socket_inodes() -> HashSet<String> {
    fs::read_dir("/proc/self/fd")
        .expect("/proc")
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok())
        .filter_map(|target| {
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect()
}
