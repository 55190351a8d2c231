//! `tern run-command`, between tmux and the one command that is shared: tmux doesn't tell a
//! command's exit code to who started the session.

use crate::shell::program::{Unusable, exit_code, write_code};
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitStatus;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Set in the second of the two processes that [`run`] is, one after the other.
const NAMED_ENV: &str = "TERN_RUN_COMMAND";

/// Runs `command`, writes its exit code to the file at `code_path`, and ends with it, too.
pub fn run(code_path: &Path, command: &[OsString]) -> anyhow::Result<u8> {
    let (program, arguments) = command.split_first().context("there is no command to run")?;
    if std::env::var_os(NAMED_ENV).is_none() {
        // tmux names a window after the first argument of the process that leads its terminal.
        let tern = std::env::current_exe().context("cannot find tern's own program file")?;
        let mut again = std::process::Command::new(tern);
        again.arg0(program).arg("run-command").arg(code_path).arg("--").args(command);
        return Err(again.env(NAMED_ENV, "1").exec()).context("cannot run tern itself");
    }
    let mut command = Command::new(program);
    command.args(arguments).env_remove(NAMED_ENV);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = match runtime.block_on(watch(command)) {
        Ok(status) => exit_code(status),
        Err(error) => {
            let unusable = Unusable::from_start(program, &error);
            eprintln!("tern: {}", unusable.as_ref().map_or(error.to_string(), ToString::to_string));
            unusable.map_or(1, |unusable| unusable.exit_code())
        }
    };
    write_code(code_path, code);
    Ok(code)
}

/// Until the command has ended. It is in our process group, so keys that make signals reach it by
/// themselves and must not end us; what only the leader of a terminal gets is handed on.
async fn watch(mut command: Command) -> std::io::Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = hang_up.recv() => forward(&child, Signal::HUP),
            _ = terminate.recv() => forward(&child, Signal::TERM),
        }
    }
}

fn forward(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(pid) = pid {
        // It may have ended already.
        let _ = kill_process(pid, signal);
    }
}
