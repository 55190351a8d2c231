//! An ordinary tmux client on the user's terminal, as a child of ours.

use anyhow::Context;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use std::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the client until it ends; gives its exit code. The terminal is its alone meanwhile.
/// `look_around` is called whenever a child of this process may have ended.
pub fn run(command: Command, look_around: impl FnMut()) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(wait(command, look_around))
}

async fn wait(mut command: Command, mut look_around: impl FnMut()) -> anyhow::Result<u8> {
    let mut child_changed = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let child = command.spawn().context("cannot run tmux")?;
    let pid = Pid::from_child(&child);
    loop {
        if let Some(code) = look_after(pid)? {
            return Ok(code);
        }
        look_around();
        tokio::select! {
            _ = child_changed.recv() => {}
            _ = terminate.recv() => forward(pid, Signal::TERM),
            _ = hang_up.recv() => forward(pid, Signal::HUP),
        }
    }
}

/// What happened to the child: `Some(code)` if it ended. If it was stopped (`suspend-client`), so
/// are we, since the shell knows only us.
fn look_after(pid: Pid) -> anyhow::Result<Option<u8>> {
    loop {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        let Some((_, status)) = waitpid(Some(pid), options)? else { return Ok(None) };
        if let Some(code) = status.exit_status() {
            return Ok(Some(u8::try_from(code).unwrap_or(1)));
        }
        if let Some(number) = status.terminating_signal() {
            return Ok(Some(u8::try_from(128 + number).unwrap_or(1)));
        }
        if status.stopped() {
            kill_process(getpid(), Signal::STOP)?;
            // Here somebody has continued us.
            forward(pid, Signal::CONT);
        }
    }
}

fn forward(pid: Pid, signal: Signal) {
    // It may be gone already, which is seen in a moment.
    let _ = kill_process(pid, signal);
}
