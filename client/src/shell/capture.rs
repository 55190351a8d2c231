//! Captures what scrolled off the active pane, by a tmux client of its own: what programs wrote has
//! no place in the control client's stream, where it could pass for tmux's own words.

use crate::core::pane_history::HISTORY_FORMAT;
use crate::shell::orphan;
use crate::shell::tmux::Tmux;
use std::future::Future;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

/// Most bytes of what is captured: 5000 lines of 200 columns, every fourth cell in another colour.
/// Who draws more has no scrollback.
const CAPTURE_SIZE_MAX: u64 = 8 * 1024 * 1024;
/// How long tmux may take.
const CAPTURE_TIME_MAX: Duration = Duration::from_secs(5);

/// The line of [`HISTORY_FORMAT`] and the last `count` lines, as they are at one moment; `None` if
/// that failed.
pub fn capture(
    tmux: &Tmux,
    id: &str,
    count: usize,
) -> impl Future<Output = Option<Vec<u8>>> + use<> {
    let mut command = tmux.command();
    let start = format!("-{count}");
    command.args(["-u", "display-message", "-p", "-t", id, HISTORY_FORMAT, ";"]);
    command.args(["capture-pane", "-p", "-e", "-t", id, "-S", &start, "-E", "-1"]);
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    orphan::dies_with_us(&mut command);
    async move { timeout(CAPTURE_TIME_MAX, read(command)).await.ok().flatten() }
}

async fn read(mut command: Command) -> Option<Vec<u8>> {
    let mut child = command.spawn().ok()?;
    let mut captured = Vec::new();
    let output = child.stdout.take()?;
    output.take(CAPTURE_SIZE_MAX + 1).read_to_end(&mut captured).await.ok()?;
    let size = u64::try_from(captured.len()).unwrap_or(u64::MAX);
    if size > CAPTURE_SIZE_MAX {
        tracing::debug!("more scrolled off than is captured at once");
        return None;
    }
    child.wait().await.ok()?.success().then_some(captured)
}
