//! A headless Chromium that ends with its value.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::announced::announced;

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
        // A value from here on, so that the process ends with it also at a panic.
        let mut chromium = Self {
            address: String::new(),
            child,
            _profile: profile,
        };
        chromium.address = announced(stderr, "DevTools listening on ");
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
