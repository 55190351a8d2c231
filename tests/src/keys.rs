//! SSH keys of people who join, and how they show them.

use crate::host::JoinLine;
use crate::process::run;
use crate::viewer::{Viewer, ViewerOptions, run_ssh};
use crate::world::World;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A person's keys.
pub struct Keys {
    /// Where they are.
    pub folder: PathBuf,
}

impl Keys {
    /// None yet.
    pub fn new(world: &World) -> Self {
        Self { folder: world.home(&world.unique("keys")) }
    }

    /// Makes a key; gives its file.
    pub fn make(&self, name: &str, kind: &[&str]) -> PathBuf {
        let path = self.folder.join(name);
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-N", "", "-C", name, "-f"]).arg(&path).arg("-t").args(kind);
        assert!(run(&mut keygen).status.success(), "ssh-keygen makes a key");
        path
    }

    /// Its line.
    pub fn line(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(format!("{name}.pub"))).expect("it was made")
    }

    /// Signs the key `name` by the authority `by`, for these principals and this time.
    pub fn certify(&self, by: &str, name: &str, principals: &str, validity: &str) {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-I", "the certified", "-n", principals, "-V", validity, "-s"]);
        keygen.arg(self.folder.join(by)).arg(self.folder.join(format!("{name}.pub")));
        assert!(run(&mut keygen).status.success(), "ssh-keygen signs");
    }
}

/// Joins by ssh with this key.
pub fn by_ssh(world: &World, line: &JoinLine, key: &Path) -> Viewer {
    let ssh_args = ["-i", &key.display().to_string(), "-o", "IdentitiesOnly=yes"];
    let ssh_args = ssh_args.map(str::to_owned).to_vec();
    Viewer::open(world, line, ViewerOptions { ssh_args, ..ViewerOptions::default() })
}

/// The same by `tern join`.
pub fn by_tern(world: &World, line: &JoinLine, key: &Path) -> Viewer {
    let tern = Some(vec!["-i".into(), key.display().to_string()]);
    Viewer::open(world, line, ViewerOptions { tern, ..ViewerOptions::default() })
}

/// What stock ssh says that may not get in.
#[track_caller]
pub fn refused(world: &World, line: &JoinLine, key: &Path) -> String {
    let key = key.display().to_string();
    let options = ["-o", "BatchMode=yes", "-i", &key, "-o", "IdentitiesOnly=yes", "-tt"];
    let output = run_ssh(world, line, &options, &[]);
    assert_eq!(output.status.code(), Some(255));
    String::from_utf8_lossy(&output.stderr).into_owned()
}
