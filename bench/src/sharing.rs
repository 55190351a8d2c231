//! A shared session whose terminals are bare ptys, so that no emulator's work is measured.

use crate::pty::{Pty, SIZE, Starter, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tern_tests::host::relay_args;
use tern_tests::process::{binary, text};
use tern_tests::viewer::{ssh_command, tern_command};
use tern_tests::{JoinLine, Relay, World};

/// A person who shares.
pub(crate) struct Sharing {
    world: World,
    home: PathBuf,
    /// Their terminal.
    pub terminal: Pty,
    /// For those who may type.
    pub read_write: JoinLine,
}

impl Sharing {
    /// Runs `tern` with what reaches a relay, and `more`, and closes the start view.
    pub(crate) fn start(
        world: &World,
        relay_args: &[String],
        more: &[&str],
    ) -> anyhow::Result<Self> {
        Self::start_by(&|mut command| command.spawn(), world, SIZE, relay_args, more)
    }

    /// The same, started by `starter` in a terminal of `size`.
    pub(crate) fn start_by(
        starter: Starter<'_>,
        world: &World,
        size: (u16, u16),
        relay_args: &[String],
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let home = world.home(&world.unique("host"));
        let mut command = world.command(binary("tern"), &home);
        command.arg("-S").arg(home.join("tmux")).args(relay_args).args(more);
        let terminal = Pty::spawn_by(starter, &command, size)?;
        let status = || {
            let mut command = world.command(binary("tern"), &home);
            command.arg("status").stdin(Stdio::null());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let output = starter(command).and_then(|child| child.wait_with_output());
            output.map_or_else(|_| String::new(), |output| text(&output))
        };
        let mut lines = Vec::new();
        wait_until("tern has join lines", || {
            lines = JoinLine::find_all(&status());
            lines.len() >= 2
        })?;
        let read_write = lines.into_iter().find(|line| !line.is_read_only());
        let read_write =
            read_write.ok_or_else(|| anyhow::anyhow!("no read-write line: {}", status()))?;
        let mut sharing = Self { world: world.clone(), home, terminal, read_write };
        sharing.terminal.wait_for("ssh")?;
        sharing.terminal.write(b"q")?;
        Ok(sharing)
    }

    /// Runs `tern` over a relay on this machine.
    pub(crate) fn over(world: &World, relay: &Relay, more: &[&str]) -> anyhow::Result<Self> {
        Self::start(world, &relay_args(Some(relay)), more)
    }

    /// Joins by the stock ssh.
    pub(crate) fn join(&self) -> anyhow::Result<Pty> {
        self.join_by(&|mut command| command.spawn(), SIZE)
    }

    /// The same, started by `starter` in a terminal of `size`.
    pub(crate) fn join_by(&self, starter: Starter<'_>, size: (u16, u16)) -> anyhow::Result<Pty> {
        self.view(starter, size, &ssh_command(&self.world, &self.read_write, &[]))
    }

    /// Joins by `tern join`, with `more` arguments.
    pub(crate) fn join_by_tern(
        &self,
        starter: Starter<'_>,
        size: (u16, u16),
        more: &[&str],
    ) -> anyhow::Result<Pty> {
        let more: Vec<String> = more.iter().map(|arg| (*arg).to_owned()).collect();
        self.view(starter, size, &tern_command(&self.read_write, &more))
    }

    fn view(&self, starter: Starter<'_>, size: (u16, u16), args: &[String]) -> anyhow::Result<Pty> {
        let home = self.world.home(&self.world.unique("viewer"));
        let mut command = self.world.command(&args[0], &home);
        command.args(&args[1..]);
        Pty::spawn_by(starter, &command, size)
    }

    /// The session's tmux socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.join("tmux")
    }

    /// Where its shell starts.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.join("work")
    }
}

/// Another ordinary client of a tmux server, in a bare pty.
pub(crate) fn attach(world: &World, socket: &Path) -> anyhow::Result<Pty> {
    let home = world.home(&world.unique("person"));
    let mut command = world.command("tmux", &home);
    command.arg("-u").arg("-S").arg(socket).arg("attach");
    Pty::spawn(&command)
}

/// A tmux of its own that nobody shares, with a client in a bare pty; its socket and its home.
pub(crate) fn plain_tmux(world: &World) -> anyhow::Result<(Pty, PathBuf, PathBuf)> {
    let home = world.home(&world.unique("person"));
    let socket = home.join("tmux");
    let mut command: Command = world.command("tmux", &home);
    command.arg("-u").arg("-S").arg(&socket).arg("new-session");
    let pty = Pty::spawn(&command)?;
    Ok((pty, socket, home))
}
