//! The start view: the agent's messages, join lines among them, on the local terminal only, until
//! a key is pressed.

use crate::shell::protocol::{self, Answer, Request};
use crate::shell::{agents, paths, tmux, tty};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";
const HEADER: [&str; 2] = [
    "Press <q> or <ctrl-c> to continue",
    "---------------------------------------------------------------------",
];
/// How the lines begin that this view is for.
const JOIN_LINES: [&str; 2] = ["ssh session", "web session"];
const NAME: &str = "tern";
/// Where shells find programs, whatever their configuration: in the system and in a home.
const FOLDERS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/bin"];
const HOME_FOLDERS: [&str; 3] = [".cargo/bin", ".local/bin", "bin"];
/// How often the terminal's size is looked at, to draw anew.
const RESIZE_POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
/// Messages that are shown; more would not fit.
const SHOWN_MAX: usize = 100;

/// Shows what the agent at this socket says, until a key is pressed.
pub fn follow_agent(socket: &Path) -> anyhow::Result<()> {
    let stream = agents::connect(socket, Request::Follow)?;
    view(Vec::new(), Some(stream))
}

/// Shows a text, until a key is pressed.
pub fn show_text(text: &str) -> anyhow::Result<()> {
    view(text.lines().map(str::to_owned).collect(), None)
}

fn view(mut lines: Vec<String>, mut stream: Option<UnixStream>) -> anyhow::Result<()> {
    let _signals = SignalWatch::start();
    let _raw = tty::RawMode::enter(LEAVE)?;
    tty::write(ENTER)?;
    let mut size = tty::size();
    let again = format!("To see the join lines again, run in the session: {}", own_name());
    draw(&again, &lines)?;
    loop {
        let stdin = rustix::stdio::stdin();
        let mut watched = vec![PollFd::new(&stdin, PollFlags::IN)];
        if let Some(stream) = &stream {
            watched.push(PollFd::new(stream, PollFlags::IN));
        }
        match poll(&mut watched, Some(&RESIZE_POLL)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |at: usize| watched.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (has_key, has_message) = (is_ready(0), is_ready(1));
        drop(watched);
        if has_key {
            // Whatever was typed is for this view.
            let _ = std::io::stdin().read(&mut [0; 4096]);
            return Ok(());
        }
        let mut is_changed = false;
        if has_message && let Some(messages) = &mut stream {
            match protocol::read(messages) {
                Ok(Some(Answer::Message(message))) => lines.push(message.text),
                Ok(Some(Answer::Refused(text))) => lines.push(text),
                Ok(Some(
                    Answer::Status(_)
                    | Answer::Stopped
                    | Answer::Ready
                    | Answer::Done(_)
                    | Answer::Undone(_),
                )) => {}
                Ok(Some(Answer::End) | None) | Err(_) => {
                    lines.push("The sharing has ended.".into());
                    stream = None;
                }
            }
            is_changed = true;
        }
        if is_changed || tty::size() != size {
            size = tty::size();
            let surplus = lines.len().saturating_sub(SHOWN_MAX);
            lines.drain(..surplus);
            draw(&again, &lines)?;
        }
    }
}

fn draw(again: &str, lines: &[String]) -> std::io::Result<()> {
    let mut text = String::from("\x1b[H\x1b[2J");
    let header = [again].into_iter().chain(HEADER);
    for line in header.chain(fitting(lines, tty::size())) {
        text += line;
        text += "\r\n";
    }
    tty::write(text.as_bytes())
}

/// What fits below the header, with the join lines in any case, and of all else the newest.
fn fitting(lines: &[String], size: tern_term::Size) -> impl Iterator<Item = &str> {
    let rows = |line: &String| line.chars().count().div_ceil(usize::from(size.cols).max(1)).max(1);
    let is_join = |line: &String| JOIN_LINES.iter().any(|begin| line.starts_with(begin));
    let mut room = usize::from(size.rows).saturating_sub(HEADER.len() + 2);
    room = room.saturating_sub(lines.iter().filter(|line| is_join(line)).map(rows).sum());
    let mut is_shown: Vec<bool> = lines
        .iter()
        .rev()
        .map(|line| {
            if is_join(line) {
                return true;
            }
            let fits = rows(line) <= room;
            room = if fits { room - rows(line) } else { 0 };
            fits
        })
        .collect();
    is_shown.reverse();
    let shown = lines.iter().zip(is_shown).filter(|(_, is_shown)| *is_shown);
    shown.map(|(line, _)| line.as_str())
}

/// What to type to run this program: its path, unless it is where every shell looks for programs. A login
/// shell may make its own PATH.
fn own_name() -> String {
    let Ok(program) = std::env::current_exe().and_then(|path| path.canonicalize()) else {
        return NAME.into();
    };
    let home = paths::home().ok();
    let of_home = HOME_FOLDERS.iter().filter_map(|folder| Some(home.as_ref()?.join(folder)));
    let mut folders = FOLDERS.iter().map(PathBuf::from).chain(of_home);
    let is_it = |folder: PathBuf| folder.join(NAME).canonicalize().is_ok_and(|it| it == program);
    if folders.any(is_it) { NAME.into() } else { tmux::shell_quoted(&program) }
}

/// A signal that ends the process gives the terminal back first.
struct SignalWatch {
    _done: oneshot::Sender<()>,
}

impl SignalWatch {
    fn start() -> Self {
        let (done, is_done) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let (Ok(mut terminate), Ok(mut hang_up)) =
                    (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
                else {
                    return;
                };
                let number = tokio::select! {
                    _ = is_done => return,
                    _ = terminate.recv() => 15,
                    _ = hang_up.recv() => 1,
                };
                tty::undo();
                std::process::exit(128 + number);
            });
        });
        Self { _done: done }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_term::Size;

    #[test]
    fn join_lines_stay_however_much_is_told() {
        let mut lines: Vec<String> = (0..10).map(|n| format!("before {n}")).collect();
        lines.push("ssh session read only: ssh ro".into());
        lines.push("ssh session: ssh rw".into());
        lines.extend((0..20).map(|n| format!("A mate has joined {n}")));
        let shown: Vec<&str> = fitting(&lines, Size { cols: 90, rows: 14 }).collect();
        assert_eq!(shown.len(), 10);
        assert_eq!(shown[..2], ["ssh session read only: ssh ro", "ssh session: ssh rw"]);
        assert_eq!(shown.last(), Some(&"A mate has joined 19"));
        assert_eq!(fitting(&lines[..3], Size { cols: 90, rows: 14 }).count(), 3);
        assert_eq!(fitting(&lines, Size { cols: 1, rows: 1 }).count(), 2);
    }
}
