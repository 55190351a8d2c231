//! Finding agents: each listens at a socket that is named after what it shares.

use crate::shell::paths::{runtime_folder, socket_path};
use crate::shell::protocol::{self, Answer, Connection, FrameError, Request, Status};
use crate::shell::tmux::Surrounding;
use anyhow::{Context, bail};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Set for programs on a plain pty: the agent's socket.
pub const AGENT_ENV: &str = "TERN_AGENT";
/// Ending of the sockets' names.
const ENDING: &str = ".agent";
/// An agent that takes longer to answer is stopped or hangs: it only has to look at its board.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// How long an agent may take to end the sharing: restoring what was touched in tmux and telling
/// a relay that may be out of reach are bounded to less than this.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// Socket of the agent that shares session `id` (`$N`) of the tmux at `tmux_socket`.
pub fn path_for_tmux(tmux_socket: &Path, id: &str) -> anyhow::Result<PathBuf> {
    let name = format!("{}-{}{ENDING}", prefix_for(tmux_socket), id.trim_start_matches('$'));
    socket_path(runtime_folder()?.join(name))
}

/// Socket of the agent in this process, which shares a program on a plain pty.
pub fn path_for_plain() -> anyhow::Result<PathBuf> {
    socket_path(runtime_folder()?.join(format!("plain-{}{ENDING}", std::process::id())))
}

/// The agent that is meant: by the tmux socket or the name that was given, by the surroundings, or
/// the only one there is.
pub fn find(tmux_socket: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(socket) = tmux_socket {
        let name = format!("{}{ENDING}", socket.display());
        if let Some(path) = with_prefix("")?.into_iter().find(|path| path.ends_with(&name)) {
            return Ok(path);
        }
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
    match read_answer(&mut connect(path, request)?)? {
        Some(answer) => Ok(answer),
        None => bail!("the agent ended without an answer; its log is in the state folder"),
    }
}

/// The next answer; `None` if there is none any more.
pub fn read_answer(stream: &mut UnixStream) -> anyhow::Result<Option<Answer>> {
    match protocol::read(stream) {
        Ok(Some(Answer::Refused(text))) => bail!("the agent refuses: {text}"),
        Ok(answer) => Ok(answer),
        Err(FrameError::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
            bail!(hanging_text(stream))
        }
        // An agent that has ended is gone in one way or the other.
        Err(FrameError::Io(error)) if error.kind() == ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn hanging_text(stream: &UnixStream) -> String {
    let advice = match peer_pid(stream) {
        Some(pid) => format!(
            "it is stopped (`kill -CONT {pid}` lets it go on) or hangs (`kill -9 {pid}` ends it; \
             the session goes on)"
        ),
        None => "it is stopped or hangs".into(),
    };
    format!("the agent does not answer: {advice}")
}

/// The process at the other end.
#[cfg(target_os = "linux")]
pub fn peer_pid(stream: &UnixStream) -> Option<i32> {
    Some(rustix::net::sockopt::socket_peercred(stream).ok()?.pid.as_raw_nonzero().get())
}

/// The process at the other end.
#[cfg(not(target_os = "linux"))]
pub fn peer_pid(_: &UnixStream) -> Option<i32> {
    None
}

/// Ends the sharing, and waits until it has ended.
pub fn stop(path: &Path) -> anyhow::Result<()> {
    // One that hangs is told at once.
    if let Err(error) = status(path)
        && is_alive(path)
    {
        return Err(error);
    }
    // It may end at this very moment for another reason; then nothing is left to do.
    let Ok(mut stream) = UnixStream::connect(path) else { return Ok(()) };
    stream.set_read_timeout(Some(STOP_TIME_MAX))?;
    if let Err(error) = protocol::write(&mut stream, &Request::Stop) {
        tracing::debug!(%error, "the agent ended before it was asked to");
        return Ok(());
    }
    // Its end is as good an answer.
    read_answer(&mut stream).map(drop)
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

/// The one that is meant among these.
fn only(found: Vec<PathBuf>, nothing: impl FnOnce() -> String) -> anyhow::Result<PathBuf> {
    match found.as_slice() {
        [] => bail!(nothing()),
        [path] => return Ok(path.clone()),
        _ => {}
    }
    let asked: Vec<_> = found.iter().map(|path| (path, status(path))).collect();
    // Where sharing never came about there is nothing to ask for, if there is anything else.
    let is_shared = |answer: &anyhow::Result<Status>| match answer {
        Ok(status) => !matches!(status.connection, Connection::Failed(_)),
        Err(_) => true,
    };
    let shared: Vec<_> = asked.iter().filter(|(_, answer)| is_shared(answer)).collect();
    match shared.as_slice() {
        [] => bail!(nothing()),
        [(path, _)] => Ok(path.to_path_buf()),
        several => {
            let listed =
                several.iter().map(|(path, answer)| Listed::new(path, answer.as_ref().ok()));
            bail!(several_text(&listed.collect::<Vec<_>>()))
        }
    }
}

/// Names by which `-S` finds each sharing that there is, with what is shared.
pub fn names() -> anyhow::Result<Vec<(String, String)>> {
    let found = with_prefix("")?;
    let listed: Vec<_> =
        found.iter().map(|path| Listed::new(path, status(path).ok().as_ref())).collect();
    Ok(names_of(&listed))
}

/// One of several that may be meant.
struct Listed {
    /// Socket of its tmux.
    socket: Option<String>,
    /// What its agent's socket is called.
    name: String,
    what: String,
}

impl Listed {
    fn new(path: &Path, status: Option<&Status>) -> Self {
        Self {
            socket: status.and_then(|status| status.tmux_socket.clone()),
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            what: match status {
                Some(status) => status.shared.clone(),
                None => "its agent does not answer".into(),
            },
        }
    }
}

fn several_text(several: &[Listed]) -> String {
    let mut text = String::from("several sessions are shared; name the one you mean:");
    for (name, what) in names_of(several) {
        text += &format!("\n  -S {name}   ({what})");
    }
    text
}

/// Each with a name by which `-S` finds it and no other.
fn names_of(several: &[Listed]) -> Vec<(String, String)> {
    let named = several.iter().map(|one| {
        let is_alone = several.iter().filter(|other| other.socket == one.socket).count() == 1;
        let name = one.socket.as_ref().filter(|_| is_alone).unwrap_or(&one.name);
        (name.clone(), one.what.clone())
    });
    named.collect()
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

/// What folders of the configuration's copies are called, for the tmux at this socket; behind it is
/// the number of the process that made them.
pub fn config_prefix(tmux_socket: &Path) -> String {
    format!("{}.config-", prefix_for(tmux_socket))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_are_listed_by_names_that_mean_one_each() {
        let listed = |socket: Option<&str>, name: &str| Listed {
            socket: socket.map(str::to_owned),
            name: name.into(),
            what: "x".into(),
        };
        let several = [
            listed(Some("/a"), "tmux-1-0"),
            listed(Some("/b"), "tmux-2-0"),
            listed(Some("/b"), "tmux-2-1"),
            listed(None, "plain-7"),
        ];
        let text = several_text(&several);
        let names: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("-S ")?.split_whitespace().next())
            .collect();
        assert_eq!(names, ["/a", "tmux-2-0", "tmux-2-1", "plain-7"]);
    }
}
