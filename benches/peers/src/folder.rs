//! A folder for the files of a program, which goes with the run.

use std::{
    env::temp_dir,
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> io::Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("redis-steward-peers-{}-{number}", process::id());
        let path = place().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn remove(&self) {
        // Nothing can be done about one that stays; its place is cleared sooner or later.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// In memory where there is such a place: what a program has written outlives the program there too,
/// and no other's use of the disk is measured.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => memory.into(),
        false => temp_dir(),
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_what_is_in_it() {
        let folder = Folder::new().expect("a new folder");
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "text").expect("written");
        drop(folder);
        assert!(!path.exists());
    }
}
