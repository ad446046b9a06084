//! The example as a process that ends with its value.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

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
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let url =
            lines.find_map(|line| Some(line.strip_prefix("The status page is at ")?.to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            url: url.expect("the service tells its address"),
            child,
        }
    }

    /// The address without the scheme and the path.
    pub fn bind(&self) -> String {
        let address = self.url.split('/').nth(2);
        address.expect("an address").to_owned()
    }

    /// SIGTERM, and whether it has ended well.
    pub fn terminate(mut self) -> bool {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a process that runs");
        self.child.wait().expect("an end").success()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // An error says that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
