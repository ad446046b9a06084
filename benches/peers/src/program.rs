//! The programs that a run starts: a server, and redis-benchmark. None of them outlives it.

use std::{
    io,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::folder::Folder;

/// Starts programs, and can end all that still run.
#[derive(Clone, Default)]
pub struct Programs(Arc<Mutex<Started>>);

#[derive(Default)]
struct Started {
    running: Vec<Weak<Program>>,
    folders: Vec<Weak<Folder>>,
    are_ended: bool,
}

/// A program that runs until nobody holds it any more.
pub struct Program(Mutex<Child>);

impl Programs {
    pub fn start(&self, command: &mut Command) -> io::Result<Arc<Program>> {
        let mut started = lock(&self.0);
        if started.are_ended {
            return Err(io::Error::other("the run is being ended"));
        }
        let program = Arc::new(Program(Mutex::new(command.spawn()?)));
        started.running.retain(|other| other.strong_count() > 0);
        started.running.push(Arc::downgrade(&program));
        Ok(program)
    }

    /// A new folder for a program's files, which goes when nobody holds it any more.
    pub fn folder(&self) -> io::Result<Arc<Folder>> {
        let mut started = lock(&self.0);
        if started.are_ended {
            return Err(io::Error::other("the run is being ended"));
        }
        let folder = Arc::new(Folder::new()?);
        started.folders.retain(|other| other.strong_count() > 0);
        started.folders.push(Arc::downgrade(&folder));
        Ok(folder)
    }

    /// Ends all, removes their files, and lets nobody start more.
    pub fn end(&self) {
        let mut started = lock(&self.0);
        started.are_ended = true;
        for program in started.running.drain(..).filter_map(|it| it.upgrade()) {
            program.end();
        }
        for folder in started.folders.drain(..).filter_map(|it| it.upgrade()) {
            folder.remove();
        }
    }
}

impl Program {
    /// What it prints, if that is piped, to the first who asks.
    pub fn output(&self) -> Option<(ChildStdout, ChildStderr)> {
        let mut child = lock(&self.0);
        child.stdout.take().zip(child.stderr.take())
    }

    pub fn wait(&self) -> io::Result<ExitStatus> {
        lock(&self.0).wait()
    }

    pub fn exit_status(&self) -> io::Result<Option<ExitStatus>> {
        lock(&self.0).try_wait()
    }

    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut child = lock(&self.0);
        // One that was waited for has given its number back, and that may be another's by now.
        if child.try_wait()?.is_some() {
            return Err(io::Error::other("the program has ended"));
        }
        Ok(kill(Pid::from_raw(child.id() as i32), signal)?)
    }

    /// Kills it, also while it is stopped, and waits until it is gone.
    pub fn end(&self) {
        let mut child = lock(&self.0);
        // It is our own child, so it can only be gone already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn sleeping() -> Command {
        let mut command = Command::new("sleep");
        command
            .arg("600")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[test]
    fn all_that_run_are_ended_and_no_more_are_started() {
        let programs = Programs::default();
        let program = programs.start(&mut sleeping()).expect("started");
        assert_eq!(program.exit_status().expect("its status"), None);
        programs.end();
        let status = program.exit_status().expect("its status");
        assert!(status.is_some_and(|status| !status.success()), "{status:?}");
        assert!(programs.start(&mut sleeping()).is_err());
    }

    #[test]
    fn a_program_that_nobody_holds_is_ended() {
        let program = Programs::default().start(&mut sleeping()).expect("started");
        let (output, _) = program.output().expect("it is piped");
        drop(program);
        // The end of the program is the end of its output.
        assert_eq!(io::read_to_string(output).expect("its output"), "");
    }
}
