//! Children that may not outlive this process: a client without its agent would stay in the
//! session for ever, with nobody to read what it says.

use tokio::process::Command;

/// The child is killed when the thread that spawns it ends, however that comes about. On systems
/// other than Linux it is not.
///
/// The agent spawns on its main thread, which lives as long as the process. Never spawn like this
/// on a thread that ends before (tokio's blocking ones do).
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn dies_with_us(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
    let parent = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have died before that.
        match getppid() == Some(parent) {
            true => Ok(()),
            false => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    };
    // SAFETY: between fork and exec only async-signal-safe functions may run: the closure makes
    // two system calls, and takes no lock and no memory.
    unsafe { command.pre_exec(tie) };
}

/// Nothing that can be asked for here.
#[cfg(not(target_os = "linux"))]
pub fn dies_with_us(_: &mut Command) {}
