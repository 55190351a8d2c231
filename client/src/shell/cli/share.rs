//! `tern` alone: which kind of sharing is meant where it was typed.

use super::share_args::ShareArgs;
use crate::core::drop_in::options::Settings;
use crate::shell::protocol::Connection;
use crate::shell::sharing::parse_relay;
use crate::shell::tmux::{NoTmux, Surrounding, Tmux};
use crate::shell::{agents, inside_tmux, own_tmux, plain, program, tty};
use anyhow::bail;

/// Shares; gives the exit code.
pub(super) fn share(args: &ShareArgs) -> anyhow::Result<u8> {
    for relay in &args.relay_args(&Settings::default()).relays {
        // A mistake is told before anything is started.
        parse_relay(relay)?;
    }
    if let Some(program) = args.command.first()
        && let Err(unusable) = program::check(program, std::env::var_os("PATH").as_deref())
    {
        eprintln!("tern: {unusable}");
        return Ok(unusable.exit_code());
    }
    // Inside of tmux the session is shared; a program alone, or another socket, is something new.
    let is_plain = args.no_tmux || !args.command.is_empty() && Surrounding::from_env().is_some();
    if !is_plain && let Some(surrounding) = Surrounding::from_env() {
        inside_tmux::run(args, &surrounding)?;
        return Ok(0);
    }
    if let Some(path) = agents::surrounding()?.filter(|_| Surrounding::from_env().is_none()) {
        match agents::status(&path)?.connection {
            Connection::Failed(reason) => bail!(
                "sharing this terminal has failed: {reason}. It lives and ends with the tern that \
                 runs it: leave the shell, and start `tern` anew"
            ),
            Connection::Connecting | Connection::Connected(_) | Connection::Reconnecting(_) => {
                bail!("this terminal is shared already; see `tern status`")
            }
        }
    }
    if !tty::is_terminal() {
        bail!("there is no terminal to share: standard input and output must be one");
    }
    if is_plain {
        return plain::run(args, None);
    }
    let socket = own_tmux::socket(args)?;
    match Tmux::find(socket) {
        Ok(tmux) => own_tmux::share(args, &tmux),
        Err(reason @ (NoTmux::Missing | NoTmux::TooOld(_) | NoTmux::Unknown(_))) => {
            let notice = format!("{reason}: sharing a plain terminal, which ends with its window");
            plain::run(args, Some(notice))
        }
    }
}
