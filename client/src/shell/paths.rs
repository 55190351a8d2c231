//! Folders: sockets in a runtime folder that is ours alone, keys and logs in a state folder.

use anyhow::{Context, bail};
use rustix::fs::{Mode, chmod, lstat};
use rustix::process::getuid;
use std::path::{Path, PathBuf};

/// Longest path of a unix socket: `sun_path` has 108 bytes on Linux and 104 elsewhere, with the
/// terminating zero.
const SOCKET_PATH_SIZE_MAX: usize = 103;

/// Where sockets are: `$XDG_RUNTIME_DIR/tern`, or `/tmp/tern-UID`; made if it isn't there, and
/// checked to be ours alone.
pub fn runtime_folder() -> anyhow::Result<PathBuf> {
    let folder = match absolute_env("XDG_RUNTIME_DIR").filter(|folder| folder.is_dir()) {
        Some(folder) => folder.join("tern"),
        None => std::env::temp_dir().join(format!("tern-{}", getuid().as_raw())),
    };
    make_private(&folder)?;
    Ok(folder)
}

/// Where keys, known hosts and logs are: `$XDG_STATE_HOME/tern`, or `~/.local/state/tern`.
pub fn state_folder() -> anyhow::Result<PathBuf> {
    let base = match absolute_env("XDG_STATE_HOME") {
        Some(folder) => folder,
        None => home()?.join(".local/state"),
    };
    let folder = base.join("tern");
    std::fs::create_dir_all(&base).with_context(|| format!("cannot make {}", base.display()))?;
    make_private(&folder)?;
    Ok(folder)
}

/// The user's home.
pub fn home() -> anyhow::Result<PathBuf> {
    absolute_env("HOME").context("HOME is not set: tern does not know where its files belong")
}

/// A path for a unix socket, checked to be short enough.
pub fn socket_path(path: PathBuf) -> anyhow::Result<PathBuf> {
    if path.as_os_str().len() > SOCKET_PATH_SIZE_MAX {
        bail!(
            "the socket's path {} is too long for a unix socket ({SOCKET_PATH_SIZE_MAX} bytes): \
             set XDG_RUNTIME_DIR to a shorter folder",
            path.display()
        );
    }
    Ok(path)
}

fn absolute_env(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Makes a folder that nobody else can look into; one that is there must be ours.
pub fn make_private(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let name = folder.display();
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make the folder {name}"));
        }
        Ok(()) | Err(_) => {}
    }
    // A link or somebody else's folder in /tmp would let others reach the session.
    let status = lstat(folder).with_context(|| format!("cannot look at the folder {name}"))?;
    if !rustix::fs::FileType::from_raw_mode(status.st_mode).is_dir() {
        bail!("{name} is not a folder: remove it, so that tern can keep its files there");
    }
    if status.st_uid != getuid().as_raw() {
        bail!("the folder {name} belongs to somebody else: tern's files would not be safe there");
    }
    if status.st_mode & 0o077 != 0 {
        chmod(folder, Mode::RWXU).with_context(|| format!("cannot make {name} private"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn folder_is_made_private_and_foreign_things_are_refused() {
        let base = tempfile::tempdir().expect("a folder");
        let folder = base.path().join("tern");
        make_private(&folder).expect("it can be made");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&folder, open).expect("it is ours");
        make_private(&folder).expect("it can be made private again");
        let mode = std::fs::metadata(&folder).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);

        let link = base.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).expect("a link");
        assert!(make_private(&link).is_err(), "a link is not followed");
    }

    #[test]
    fn long_socket_path_is_refused() {
        assert!(socket_path("/tmp/x".into()).is_ok());
        assert!(socket_path(format!("/tmp/{}", "x".repeat(120)).into()).is_err());
    }
}
