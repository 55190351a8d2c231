//! A script's author: `tern` called as `tmate`, or the real tmate, with the same words.

use crate::process::{binary, find_program};
use crate::world::World;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Nothing listens there, so that the real tmate has no server, and ours no relay.
pub const NOWHERE: [&str; 10] = [
    "set-option",
    "-g",
    "tmate-server-host",
    "localhost",
    ";",
    "set-option",
    "-g",
    "tmate-server-port",
    "1",
    ";",
];

/// A person who scripts; each has a home and a socket of their own.
pub struct Scripter {
    /// Their home.
    pub home: PathBuf,
    /// For `-S`.
    pub socket: PathBuf,
    world: World,
    program: PathBuf,
    arg0: &'static str,
}

impl Scripter {
    /// With `tern` under tmate's name.
    pub fn with_link(world: &World) -> Self {
        Self::with(world, binary("tern"), "tmate")
    }

    /// With `tern`.
    pub fn with_tern(world: &World) -> Self {
        Self::with(world, binary("tern"), "tern")
    }

    /// With the real tmate, if it is installed.
    pub fn with_tmate(world: &World) -> Option<Self> {
        let program = find_program("tmate");
        program.is_file().then(|| Self::with(world, program, "tmate"))
    }

    fn with(world: &World, program: PathBuf, arg0: &'static str) -> Self {
        let home = world.home(&world.unique("script"));
        let socket = home.join("sock");
        Self { world: world.clone(), home, socket, program, arg0 }
    }

    /// A command with these words, the socket not among them.
    pub fn bare(&self, words: &[&str]) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = self.world.command(&self.program, &self.home);
        command.arg0(self.arg0).args(words).stdin(Stdio::null());
        command
    }

    /// Runs `tmate -S SOCKET WORDS`.
    pub fn run(&self, words: &[&str]) -> Ran {
        let socket = self.socket.display().to_string();
        let words: Vec<&str> = ["-S", &socket].into_iter().chain(words.iter().copied()).collect();
        self.run_bare(&words)
    }

    /// Runs `tmate WORDS`.
    pub fn run_bare(&self, words: &[&str]) -> Ran {
        let mut limited = self.world.command("timeout", &self.home);
        // exec -a keeps the name that it is called by.
        let script = "name=$1 program=$2; shift 2; exec -a \"$name\" \"$program\" \"$@\"";
        limited.args(["60", "bash", "-c", script, "bash", self.arg0]).arg(&self.program);
        Ran::from(crate::process::run(limited.args(words).stdin(Stdio::null())))
    }

    /// Writes a file of theirs.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.join(name);
        std::fs::write(&path, text).expect("our own home");
        path
    }

    /// What `display -p` prints.
    #[track_caller]
    pub fn display(&self, format: &str) -> String {
        let ran = self.run(&["display", "-p", format]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.out.trim_end_matches('\n').to_owned()
    }

    /// Whether the socket is there.
    pub fn has_socket(&self) -> bool {
        Path::new(&self.socket).exists()
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit code.
    pub code: Option<i32>,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }
}
