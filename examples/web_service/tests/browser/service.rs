//! The example as a process that ends with its value.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::announced::announced;

/// Longer than an end takes on a busy machine.
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
        let mut service = Self {
            url: String::new(),
            child,
        };
        service.url = announced(stdout, "The status page is at ");
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
