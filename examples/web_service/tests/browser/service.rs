//! The example as a process that ends with its value.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than a start or an end takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Service {
    /// Where its status page is.
    pub url: String,
    child: Child,
}

impl Service {
    /// A program of this package, at this address.
    pub fn start(program: &str, redis: &str, bind: &str) -> Self {
        let mut child = Command::new(program)
            .env("REDIS_URL", redis)
            .env("BIND", bind)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let stdout = child.stdout.take().expect("a pipe");
        let (found, url) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("The status page is at ") {
                    let _ = found.send(url.to_owned());
                }
            }
        });
        let mut service = Self {
            url: String::new(),
            child,
        };
        let url = url.recv_timeout(PATIENCE);
        service.url = url.expect("the service tells its address within a minute");
        service
    }

    /// The address without the scheme and the path.
    pub fn bind(&self) -> String {
        let address = self.url.split('/').nth(2);
        address.expect("an address").to_owned()
    }

    /// SIGTERM, and whether it has ended well.
    pub fn terminate(mut self) -> bool {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a process that runs");
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status.success();
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // An error says that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
