//! Starting an agent: a process of its own that outlives its terminal.

use crate::shell::agent::AgentConfig;
use crate::shell::{logging, paths};
use anyhow::{Context, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest line that an agent says before it is ready.
const LINE_SIZE_MAX: u64 = 8 * 1024;

/// Exit code of an agent whose session was never shared, since the relay could not be had.
const NEVER_SHARED: u8 = 3;

/// An agent that was started by this process. It goes on when this is dropped.
#[derive(Debug)]
pub struct StartedAgent {
    process: Child,
}

impl StartedAgent {
    /// Whether it ended in a way in which no agent means to end.
    pub fn has_failed(&mut self) -> bool {
        let Ok(Some(status)) = self.process.try_wait() else { return false };
        !status.success() && status.code() != Some(NEVER_SHARED.into())
    }

    /// Whether it ended, or ends within `time`, without that anybody could ever join.
    pub fn has_never_shared(mut self, time: Duration) -> bool {
        let (sender, ended) = mpsc::sync_channel(1);
        // If it goes on, so does this thread, until this process ends.
        std::thread::spawn(move || sender.send(self.process.wait()));
        match ended.recv_timeout(time) {
            Ok(Ok(status)) => status.code() == Some(NEVER_SHARED.into()),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

/// Starts an agent and waits until its socket answers. The error says what hinders it.
pub fn start(config: &AgentConfig) -> anyhow::Result<StartedAgent> {
    let (log_path, log) = logging::create_file(&paths::state_folder()?)?;
    let program = std::env::current_exe().context("cannot find tern's own program file")?;
    let mut agent = Command::new(program)
        .arg("agent")
        .env_remove("TMUX")
        .env_remove("TMUX_PANE")
        // A folder that it stays in could not be unmounted.
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("cannot start the agent")?;
    let bytes = rmp_serde::to_vec_named(config).context("a path is not UTF-8")?;
    if let Some(mut stdin) = agent.stdin.take() {
        // If it is gone, it said why.
        let _ = stdin.write_all(&bytes);
    }
    let mut line = String::new();
    if let Some(stdout) = agent.stdout.take() {
        BufReader::new(stdout.take(LINE_SIZE_MAX)).read_line(&mut line)?;
    }
    match line.as_str() {
        "\n" => Ok(StartedAgent { process: agent }),
        "" => bail!("the agent ended at once; its log is {}", log_path.display()),
        reason => bail!("{}", reason.trim_end()),
    }
}

/// The agent's side: reads what it was told, runs, and says what hinders it. Gives the exit code.
pub fn run() -> anyhow::Result<u8> {
    let mut bytes = Vec::new();
    std::io::stdin().take(1024 * 1024).read_to_end(&mut bytes)?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    let config =
        rmp_serde::from_slice(&bytes).context("`tern agent` is started by `tern`, not by hand")?;
    let result = crate::shell::agent::run(config);
    if let Err(error) = &result {
        // After the first line nobody reads any more.
        println!("{}", crate::core::notice::printable(&format!("{error:#}")));
    }
    Ok(if result? { 0 } else { NEVER_SHARED })
}
