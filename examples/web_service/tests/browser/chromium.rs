//! A headless Chromium that ends with its value.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use tempfile::TempDir;

pub struct Chromium {
    /// Where its DevTools listen.
    pub address: String,
    child: Child,
    // Last, so that it outlives the process that writes into it.
    _profile: TempDir,
}

impl Chromium {
    /// `None`, with a line that says so, if there is no Chromium on this machine.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            println!("skipped: there is no Chromium on the PATH, and CHROMIUM names none");
            return None;
        };
        let profile = TempDir::new().expect("a temporary directory");
        let mut child = Command::new(program)
            .args(["--headless=new", "--disable-gpu", "--disable-dev-shm-usage"])
            // Its sandbox does not work for root, as whom CI runs. It opens pages of this test alone.
            .args([
                "--no-sandbox",
                "--no-first-run",
                "--disable-background-networking",
            ])
            .args(["--remote-debugging-port=0", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Chromium starts");
        let stderr = child.stderr.take().expect("a pipe");
        let (found, address) = mpsc::channel();
        // To the end: it would stop at a pipe that is full.
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    let _ = found.send(address.to_owned());
                }
            }
        });
        let mut chromium = Self {
            address: String::new(),
            child,
            _profile: profile,
        };
        let address = address.recv_timeout(Duration::from_secs(60));
        chromium.address = address.expect("Chromium tells its address within a minute");
        Some(chromium)
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut programs =
        env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    programs.find(|program| program.is_file())
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its other processes end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
