//! A pty and a program on it.

use rustix::fs::{Mode, OFlags};
use rustix::path::Arg;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use tern_term::Size;
use tokio::process::{Child, Command};

/// The side of a terminal.
#[derive(Debug)]
pub struct Pty {
    /// Reads what the program writes, and the other way round. Blocking as it comes.
    pub master: OwnedFd,
    /// Name of the program's side, e.g. `/dev/pts/3`.
    pub name: String,
}

impl Pty {
    /// Starts `command` on a new pty of this size, as the leader of a session of its own.
    pub fn spawn(mut command: Command, size: Size) -> io::Result<(Self, Child)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = open(name.as_c_str())?;
        set_size(&master, size)?;
        command.stdin(Stdio::from(slave.try_clone()?));
        command.stdout(Stdio::from(slave.try_clone()?));
        command.stderr(Stdio::from(slave));
        own_session(&mut command);
        let child = command.spawn()?;
        Ok((Self { master, name: name.to_string_lossy().into_owned() }, child))
    }
}

/// Opens the program's side by its name.
pub fn open(name: impl Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(name, flags, Mode::empty())
}

/// Gives a terminal a size.
pub fn set_size(terminal: &impl AsFd, size: Size) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}

/// The child leads a session whose controlling terminal is its standard input.
#[allow(unsafe_code)]
fn own_session(command: &mut Command) {
    let lead = || {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe functions may run: the closure makes
    // two system calls, and takes no lock and no memory.
    unsafe { command.pre_exec(lead) };
}
