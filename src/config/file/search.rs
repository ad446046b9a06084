//! Where the configuration file is.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::config::{environment::Environment, source::CONFIG_FILE};

/// In an image, relative to the root.
const IN_CONTAINER: &str = "app/config/redis-databases.yaml";
/// On a host, relative to the working directory.
const ON_HOST: &str = "config/redis-databases.yaml";

/// The file to read: that of `REDIS_STEWARD_CONFIG`, also if it is not there; else the first that is there of that of
/// a container, if this is one, and that of a host.
pub(super) fn find(environment: &Environment, root: &Path, directory: &Path) -> Option<PathBuf> {
    if let Some(path) = environment.path(CONFIG_FILE) {
        return Some(directory.join(path));
    }
    let in_container = is_container(environment, root).then(|| root.join(IN_CONTAINER));
    let candidates = in_container.into_iter().chain([directory.join(ON_HOST)]);
    candidates.into_iter().find(|path| is_there(path))
}

/// Docker, Podman and Kubernetes leave these signs.
fn is_container(environment: &Environment, root: &Path) -> bool {
    let signs = [".dockerenv", "run/.containerenv"];
    signs.iter().any(|sign| root.join(sign).exists())
        || environment.get("KUBERNETES_SERVICE_HOST").is_some()
}

/// Whatever is there counts, also what cannot be read: that is an error, and no reason for defaults.
fn is_there(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}
