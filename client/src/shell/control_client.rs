//! The control-mode client: a `tmux -C` on pipes, and the machine that reads it.

use crate::core::control_mode::{ControlMode, Event};
use crate::core::tmux_session::Query;
use crate::shell::orphan;
use crate::shell::tmux::Tmux;
use std::io;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Most bytes of commands that wait for tmux to read them; more means that it hangs.
const BACKLOG_SIZE_MAX: usize = 1024 * 1024;
/// Bytes read at once: tmux before 3.0 sends all output of the panes, which is thrown away.
const READ_SIZE: usize = 64 * 1024;

/// A running control client. It ends when this is dropped.
#[derive(Debug)]
pub struct ControlClient {
    /// Killed on drop.
    _child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    machine: ControlMode<Query>,
    buffer: Vec<u8>,
    to_write: Vec<u8>,
}

impl ControlClient {
    /// Attaches to the session `id`, without counting for its size.
    pub fn start(tmux: &Tmux, id: &str) -> io::Result<Self> {
        let mut command = tmux.command();
        command.args(["-u", "-C", "attach-session", "-E", "-t", id]);
        if tmux.version.has_client_flags() {
            command.args(["-f", "ignore-size,no-output"]);
        }
        let mut command = Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        orphan::dies_with_us(&mut command);
        let mut child = command.kill_on_drop(true).spawn()?;
        let missing = || io::Error::other("a pipe that was asked for is missing");
        Ok(Self {
            stdin: child.stdin.take().ok_or_else(missing)?,
            stdout: child.stdout.take().ok_or_else(missing)?,
            _child: child,
            machine: ControlMode::default(),
            buffer: vec![0; READ_SIZE],
            to_write: Vec::new(),
        })
    }

    /// Queues a command line; [`Self::recv`] writes it.
    pub fn send(&mut self, query: Query, line: &str) {
        debug_assert!(!line.contains(['\n', '\r']), "one line is one command");
        self.machine.expect_reply(query);
        self.to_write.extend_from_slice(line.as_bytes());
        self.to_write.push(b'\n');
    }

    /// The next event; `None` when the client has gone (or hangs). Cancel-safe.
    pub async fn recv(&mut self) -> Option<Event<Query>> {
        loop {
            if let Some(event) = self.machine.poll_event() {
                return Some(event);
            }
            if self.to_write.len() > BACKLOG_SIZE_MAX {
                tracing::warn!("tmux does not read what its control client says");
                return None;
            }
            tokio::select! {
                read = self.stdout.read(&mut self.buffer) => match read {
                    Ok(0) | Err(_) => return None,
                    Ok(size) => self.machine.handle_bytes(&self.buffer[..size]),
                },
                written = self.stdin.write(&self.to_write), if !self.to_write.is_empty() => {
                    match written {
                        Ok(size) => drop(self.to_write.drain(..size)),
                        Err(_) => return None,
                    }
                }
            }
        }
    }
}
