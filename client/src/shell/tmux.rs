//! Running tmux: always the server's own binary, and always with its socket.

use crate::core::tmux_version::{OLDEST, TmuxVersion};
use crate::shell::cli::SECRET_VARIABLES;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A tmux server.
#[derive(Debug, Clone)]
pub struct Tmux {
    /// The program.
    pub binary: PathBuf,
    /// `-S`.
    pub socket: PathBuf,
    /// What it is.
    pub version: TmuxVersion,
}

/// Why there is no tmux to be had.
#[derive(Debug, thiserror::Error)]
pub enum NoTmux {
    /// It isn't installed.
    #[error("tmux is not installed")]
    Missing,
    /// It is older than 2.6.
    #[error("tmux {0} is too old (tern needs {OLDEST} or newer)")]
    TooOld(TmuxVersion),
    /// `tmux -V` says something strange.
    #[error("'{0} -V' tells no version")]
    Unknown(PathBuf),
}

impl Tmux {
    /// The tmux in `PATH`, for a server at `socket`.
    pub fn find(socket: PathBuf) -> Result<Self, NoTmux> {
        Self::with_binary(PathBuf::from("tmux"), socket)
    }

    /// This tmux, for a server at `socket`.
    pub fn with_binary(binary: PathBuf, socket: PathBuf) -> Result<Self, NoTmux> {
        let output = Command::new(&binary)
            .arg("-V")
            .stdin(Stdio::null())
            .output()
            .map_err(|_| NoTmux::Missing)?;
        let text = String::from_utf8_lossy(&output.stdout);
        match TmuxVersion::parse(&text) {
            Some(version) if version.is_too_old() => Err(NoTmux::TooOld(version)),
            Some(version) => Ok(Self { binary, socket, version }),
            None => Err(NoTmux::Unknown(binary)),
        }
    }

    /// A command to that server, from outside of any session of it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        // A tmux inside of tmux would take the surrounding session for the target.
        for name in ["TMUX", "TMUX_PANE"].iter().chain(&SECRET_VARIABLES) {
            command.env_remove(name);
        }
        command.arg("-S").arg(&self.socket);
        command
    }

    /// Runs a command; gives what it printed.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self
            .command()
            .arg("-u")
            .args(args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        if !output.status.success() {
            bail!("tmux: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Whether the session is there.
    pub fn has_session(&self, id: &str) -> bool {
        self.run(&["has-session", "-t", id]).is_ok()
    }
}

/// Where in a tmux this process runs, from `$TMUX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surrounding {
    /// Its socket.
    pub socket: PathBuf,
    /// Its server's process.
    pub server_pid: u32,
}

impl Surrounding {
    /// What `$TMUX` says: socket, pid of the server, number of a session.
    pub fn from_env() -> Option<Self> {
        Self::parse(&std::env::var("TMUX").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ',');
        let _session = parts.next()?;
        let server_pid = parts.next()?.parse().ok()?;
        let socket = parts.next().filter(|socket| !socket.is_empty())?;
        Some(Self { socket: socket.into(), server_pid })
    }

    /// The tmux that speaks to that server: the server's own binary, since a client of another
    /// version may not be understood (or hang).
    pub fn tmux(&self) -> Result<Tmux, NoTmux> {
        let link = PathBuf::from(format!("/proc/{}/exe", self.server_pid));
        // After an upgrade the file may be gone while the server runs: then the link itself works.
        let binary = match std::fs::read_link(&link) {
            Ok(path) if path.exists() => path,
            Ok(_) => link,
            Err(_) => PathBuf::from("tmux"),
        };
        Tmux::with_binary(binary, self.socket.clone())
    }
}

/// Quotes a word for a shell command that tmux runs.
pub fn shell_quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrounding_tmux_is_read_from_its_variable() {
        let surrounding = Surrounding::parse("/tmp/tmux-0/a,b,1234,0").expect("it is well-formed");
        assert_eq!(surrounding.socket, Path::new("/tmp/tmux-0/a,b"));
        assert_eq!(surrounding.server_pid, 1234);
        for nonsense in ["", ",,", "/tmp/x", "/tmp/x,y,0", ",1,0"] {
            assert_eq!(Surrounding::parse(nonsense), None, "{nonsense}");
        }
    }
}
