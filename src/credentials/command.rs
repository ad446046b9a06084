//! Passwords that a program prints.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

use super::Credentials;

/// The program is run so often while connections are open.
const CHECK: Duration = Duration::from_secs(60);
/// The longest time that it may take. That of a dial is often shorter.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest output.
const MAX_BYTES: u64 = 64 * 1024;

/// No text of the program is shown: any part of it may be the secret.
pub(super) async fn fetch(command: &str) -> Result<Credentials, String> {
    let mut child = shell(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("the password command cannot be run: {error}"))?;
    let output = timeout(LIMIT, output(&mut child)).await;
    let output = output.map_err(|_| {
        let seconds = LIMIT.as_secs();
        format!("the password command has not ended after {seconds} s")
    })??;
    let password = output.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err("the password command has printed nothing".into());
    }
    Ok(Credentials::new(password).check_after(CHECK))
}

async fn output(child: &mut Child) -> Result<String, String> {
    let mut printed = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = stdout.take(MAX_BYTES + 1);
        let read = stdout.read_to_string(&mut printed).await;
        read.map_err(|_| "the password command has printed no text")?;
    }
    if printed.len() as u64 > MAX_BYTES {
        return Err(format!(
            "the password command has printed more than {MAX_BYTES} bytes"
        ));
    }
    let ended = child.wait().await;
    let status = ended.map_err(|error| format!("the password command is lost: {error}"))?;
    if status.success() {
        Ok(printed)
    } else {
        Err(format!("the password command has failed: {status}"))
    }
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}
