//! Finding agents: each listens at a socket that is named after what it shares.

use crate::shell::paths::{runtime_folder, socket_path};
use crate::shell::protocol::{self, Answer, Request, Status};
use crate::shell::tmux::Surrounding;
use anyhow::{Context, bail};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Set for programs on a plain pty: the agent's socket.
pub const AGENT_ENV: &str = "TERN_AGENT";
/// Ending of the sockets' names.
const ENDING: &str = ".agent";
/// An agent that takes longer to answer hangs.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Socket of the agent that shares session `id` (`$N`) of the tmux at `tmux_socket`.
pub fn path_for_tmux(tmux_socket: &Path, id: &str) -> anyhow::Result<PathBuf> {
    let name = format!("{}-{}{ENDING}", prefix_for(tmux_socket), id.trim_start_matches('$'));
    socket_path(runtime_folder()?.join(name))
}

/// Socket of the agent in this process, which shares a program on a plain pty.
pub fn path_for_plain() -> anyhow::Result<PathBuf> {
    socket_path(runtime_folder()?.join(format!("plain-{}{ENDING}", std::process::id())))
}

/// The agent that is meant: by the tmux socket that was named, by the surroundings, or the only
/// one there is.
pub fn find(tmux_socket: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(socket) = tmux_socket {
        let prefix = format!("{}-", prefix_for(socket));
        return only(with_prefix(&prefix)?, || {
            format!("nothing is shared at {}", socket.display())
        });
    }
    if let Some(path) = surrounding()? {
        return Ok(path);
    }
    // Inside a tmux its own session is meant, never somebody else's that happens to be shared.
    if Surrounding::from_env().is_some() {
        bail!(
            "this tmux session is not shared: start with `tern`, or name the tmux of another with \
             -S SOCKET"
        );
    }
    only(with_prefix("")?, || "nothing is shared here: start with `tern`".into())
}

/// The agent that shares what this process runs in.
pub fn surrounding() -> anyhow::Result<Option<PathBuf>> {
    if let Some(surrounding) = Surrounding::from_env() {
        let id = crate::shell::inside_tmux::session_id(&surrounding.tmux()?)?;
        let path = path_for_tmux(&surrounding.socket, &id)?;
        if is_alive(&path) {
            return Ok(Some(path));
        }
    }
    let path = std::env::var_os(AGENT_ENV).map(PathBuf::from);
    Ok(path.filter(|path| is_alive(path)))
}

/// Whether an agent listens there.
pub fn is_alive(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

/// Asks for one answer.
pub fn ask(path: &Path, request: Request) -> anyhow::Result<Answer> {
    let mut stream = connect(path, request)?;
    match protocol::read(&mut stream)? {
        Some(Answer::Refused(text)) => bail!("the agent refuses: {text}"),
        Some(answer) => Ok(answer),
        None => bail!("the agent ended without an answer; its log is in the state folder"),
    }
}

/// Ends the sharing, and waits until it has ended.
pub fn stop(path: &Path) -> anyhow::Result<()> {
    let mut stream = connect(path, Request::Stop)?;
    match protocol::read(&mut stream)? {
        Some(Answer::Refused(text)) => bail!("the agent refuses: {text}"),
        // Its end is as good an answer.
        Some(_) | None => Ok(()),
    }
}

/// Asks for the status.
pub fn status(path: &Path) -> anyhow::Result<Status> {
    match ask(path, Request::Status)? {
        Answer::Status(status) => Ok(*status),
        other => bail!("the agent answered something else: {other:?}"),
    }
}

/// Connects and asks; the answers are read by the caller.
pub fn connect(path: &Path, request: Request) -> anyhow::Result<UnixStream> {
    let mut stream = UnixStream::connect(path)
        .with_context(|| format!("no agent answers at {}", path.display()))?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    protocol::write(&mut stream, &request)?;
    Ok(stream)
}

fn only(found: Vec<PathBuf>, nothing: impl FnOnce() -> String) -> anyhow::Result<PathBuf> {
    match found.as_slice() {
        [] => bail!(nothing()),
        [path] => Ok(path.clone()),
        several => {
            let mut text = String::from("several sessions are shared; name one with -S:");
            for path in several {
                if let Ok(status) = status(path) {
                    let socket = status.attach.as_deref().unwrap_or(&status.shared);
                    text += &format!("\n  {socket}");
                }
            }
            bail!(text)
        }
    }
}

/// Sockets of living agents whose names begin like this; others are cleared away.
fn with_prefix(prefix: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(runtime_folder()?)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if !name.ends_with(ENDING) || !name.starts_with(prefix) {
            continue;
        }
        if is_alive(&entry.path()) {
            found.push(entry.path());
        } else {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A socket's path as a short name: FNV-1a, 64 bits. Nobody else makes files in this folder, so
/// nobody can choose a collision.
fn prefix_for(tmux_socket: &Path) -> String {
    let path = std::fs::canonicalize(tmux_socket).unwrap_or_else(|_| tmux_socket.to_owned());
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in path.as_os_str().as_encoded_bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("tmux-{hash:016x}")
}
