//! The program that a person wants to share: whether it can be run at all, and its exit code in
//! the terms of a shell.

use anyhow::Context;
use rustix::fs::{Access, access};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Exit code where there is no such program, as shells have it.
pub const NOT_FOUND: u8 = 127;
/// Exit code where there is one that can't be run.
pub const NOT_EXECUTABLE: u8 = 126;

/// Why a program can't be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Neither at its path nor in any folder of `PATH`.
    #[error("cannot run '{0}': there is no such program")]
    NotFound(String),
    /// There is a file or folder, but it is no program.
    #[error("cannot run '{0}': it is not executable")]
    NotExecutable(String),
}

impl Unusable {
    /// As a shell would have it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) => NOT_FOUND,
            Self::NotExecutable(_) => NOT_EXECUTABLE,
        }
    }

    /// From what starting `program` failed with; `None` if the program is not to blame.
    pub fn from_start(program: &OsStr, error: &std::io::Error) -> Option<Self> {
        let name = program.to_string_lossy().into_owned();
        match error.kind() {
            ErrorKind::NotFound => Some(Self::NotFound(name)),
            ErrorKind::PermissionDenied => Some(Self::NotExecutable(name)),
            // ENOEXEC and the like: a file of another machine's, or of no kind at all.
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
                Some(Self::NotExecutable(name))
            }
            _ => None,
        }
    }
}

/// Looks for a program as `execvp` does: a name with a slash is a path, any other is looked for in
/// the folders of `path`.
pub fn check(program: &OsStr, path: Option<&OsStr>) -> Result<(), Unusable> {
    let name = || program.to_string_lossy().into_owned();
    let candidates: Vec<PathBuf> = if program.as_encoded_bytes().contains(&b'/') {
        vec![program.into()]
    } else if program.is_empty() {
        Vec::new()
    } else {
        let path = path.map_or_else(|| OsString::from("/bin:/usr/bin"), OsStr::to_owned);
        std::env::split_paths(&path).map(|folder| folder.join(program)).collect()
    };
    if candidates.iter().any(|path| is_executable(path)) {
        Ok(())
    } else if candidates.iter().any(|path| path.exists()) {
        Err(Unusable::NotExecutable(name()))
    } else {
        Err(Unusable::NotFound(name()))
    }
}

/// Whether there is a file that may be run.
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// 128 and the signal's number for a program that was killed.
pub fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Where a program's exit code is written down by whoever sees it end, for who waits for it
/// elsewhere. The file goes when this is dropped.
#[derive(Debug)]
pub struct CodeFile {
    path: PathBuf,
}

impl CodeFile {
    /// A new, empty file in this folder.
    pub fn create(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.code"));
        std::fs::File::create_new(&path)
            .with_context(|| format!("cannot make the file {}", path.display()))?;
        Ok(Self { path })
    }

    /// For [`write_code`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The code, once it is known.
    pub fn read(&self) -> Option<u8> {
        std::fs::read_to_string(&self.path).ok()?.trim().parse().ok()
    }
}

impl Drop for CodeFile {
    fn drop(&mut self) {
        // It may be gone already; there is nothing to do about other failures.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes an exit code down, if anybody still waits for it.
pub fn write_code(path: &Path, code: u8) {
    use std::io::Write;
    if let Ok(mut file) = std::fs::File::options().write(true).open(path) {
        let _ = file.write_all(format!("{code}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().as_os_str();
        let file = folder.path().join("tool");
        std::fs::write(&file, "#!/bin/sh\n").expect("our own folder");
        let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode));
        mode(0o755).expect("our own file");
        assert_eq!(check("tool".as_ref(), Some(path)), Ok(()));
        assert_eq!(check(file.as_os_str(), None), Ok(()));
        let not_found = check("other".as_ref(), Some(path)).map_err(|error| error.exit_code());
        assert_eq!(not_found, Err(NOT_FOUND));
        mode(0o644).expect("our own file");
        let plain = check("tool".as_ref(), Some(path)).map_err(|error| error.exit_code());
        assert_eq!(plain, Err(NOT_EXECUTABLE));
        let a_folder = check(path, None).map_err(|error| error.exit_code());
        assert_eq!(a_folder, Err(NOT_EXECUTABLE));
        assert!(check("".as_ref(), Some(path)).is_err());
    }

    #[test]
    fn exit_code_is_written_down_only_for_who_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = CodeFile::create(folder.path(), "x").expect("it can be made");
        assert_eq!(file.read(), None);
        let path = file.path().to_owned();
        write_code(&path, 130);
        assert_eq!(file.read(), Some(130));
        drop(file);
        write_code(&path, 1);
        assert!(!path.exists());
    }
}
