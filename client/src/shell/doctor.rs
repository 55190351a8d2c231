//! `tern doctor`: looks at everything that sharing needs, up to a session at the relay (which is
//! ended again), and tells what to do where something is missing.

use crate::core::drop_in::options::Settings;
use crate::core::findings::{Finding, Gravity, TerminalFacts, judge_terminal};
use crate::core::wishes::Wishes;
use crate::shell::board::{Board, unix_time};
use crate::shell::drop_in::config::Config;
use crate::shell::protocol::Connection;
use crate::shell::relay_options::RelayOptions;
use crate::shell::sharing::{RelayArgs, Sharing, identities};
use crate::shell::tmux::{NoTmux, Surrounding, Tmux};
use crate::shell::{own_tmux, paths, tty};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tern_sync::session;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long the relay has to answer: what a bootstrap over a bad path takes, twice.
const RELAY_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a relay that gave trouble has to do better: some trouble goes by itself.
const SECOND_CHANCE: Duration = Duration::from_secs(4);
/// How long QUIC has to take over from SSH, where that was first.
const QUIC_TIME_MAX: Duration = Duration::from_secs(5);
/// No clock that is right shows less: this code is younger (in seconds since 1970).
const TIME_MIN: u64 = 1_767_225_600;

/// Runs it; 1 if something is bad. `config` is a configuration in place of the usual.
pub fn run(options: &RelayOptions, config: Option<&Path>) -> anyhow::Result<u8> {
    let is_colored = std::io::stdout().is_terminal() && !tty::wants_no_color();
    let mut worst = Gravity::Good;
    let mut tell = |finding: Finding| {
        worst = worst.max(finding.gravity);
        print!("{}", finding.lines(is_colored));
    };
    tell(Finding::good("tern", env!("CARGO_PKG_VERSION")));
    tell(judge_tmux());
    judge_terminal(&terminal_facts()).into_iter().for_each(&mut tell);
    tell(judge_clock());
    let (settings, found) = judge_config(config);
    found.into_iter().for_each(&mut tell);
    let relay = &options.args(&settings);
    tell(judge_keys(relay));
    if std::io::stderr().is_terminal() {
        eprint!("    asking the relay...\r");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = runtime.block_on(judge_relay(relay));
    if std::io::stderr().is_terminal() {
        eprint!("\x1b[K");
    }
    findings.into_iter().for_each(&mut tell);
    Ok(u8::from(worst == Gravity::Bad))
}

fn judge_tmux() -> Finding {
    let found = match Surrounding::from_env() {
        Some(surrounding) => surrounding.tmux(),
        None => Tmux::find(PathBuf::new()),
    };
    match found {
        Ok(tmux) => Finding::good("tmux", format!("{} ({})", tmux.version, tmux.binary.display())),
        Err(reason @ (NoTmux::Missing | NoTmux::TooOld(_) | NoTmux::Unknown(_))) => {
            Finding::warning(
                "tmux",
                format!(
                    "{reason}: sharing works on a plain terminal only, without tmux's commands"
                ),
                "install tmux with your package manager",
            )
        }
    }
}

fn terminal_facts() -> TerminalFacts {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable);
    let size = tty::size();
    TerminalFacts {
        is_terminal: tty::is_terminal(),
        size: (size.cols, size.rows),
        term: variable("TERM"),
        color_term: variable("COLORTERM"),
        locale: locale.into_iter().find(|text| !text.is_empty()).unwrap_or("C".into()),
    }
}

/// Keys that expire, and certificates, are judged by the clock.
fn judge_clock() -> Finding {
    const SUBJECT: &str = "clock";
    if unix_time() < TIME_MIN {
        let text = "shows a time before this program was written";
        return Finding::bad(SUBJECT, text, "set the clock, or start a time service (NTP)");
    }
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match asked {
        Ok(output) if output.status.success() && output.stdout.trim_ascii() == b"no" => {
            Finding::warning(
                SUBJECT,
                "is not kept by a time service: keys that expire do so by this clock",
                "timedatectl set-ntp true",
            )
        }
        Ok(output) if output.status.success() => {
            Finding::good(SUBJECT, "is kept by a time service")
        }
        Ok(_) | Err(_) => Finding::good(SUBJECT, "shows a time that can be"),
    }
}

/// What sharing would read of our own options, and what is wrong with it; nothing if there is no file.
fn judge_config(named: Option<&Path>) -> (Settings, Vec<Finding>) {
    const SUBJECT: &str = "config";
    if let Some(path) = named
        && let Err(error) = std::fs::File::open(path)
    {
        let text = format!("cannot read {}: {error}", path.display());
        return (Settings::default(), vec![Finding::bad(SUBJECT, text, "name one that is there")]);
    }
    let config = Config::to_look_into(named);
    let Some(file) = config.file() else { return (Settings::default(), Vec::new()) };
    let (settings, bad) = match config.settings(&config.plain_values()) {
        Ok(read) => read,
        Err(error) => {
            let found = Finding::bad(SUBJECT, format!("{error:#}"), "set HOME");
            return (Settings::default(), vec![found]);
        }
    };
    let relays = match settings.relays.as_slice() {
        [] => "names no relay".to_owned(),
        relays => format!("names {}", relays.join(", ")),
    };
    let mut found = vec![Finding::good(SUBJECT, format!("{} {relays}", file.display()))];
    for text in tmuxs_complaints(&config) {
        let remedy = "mend it: tmux carries out nothing of such a file";
        found.push(Finding::bad(SUBJECT, text, remedy));
    }
    let wrong = bad.iter().map(|bad| config.complaint_about(bad));
    for text in wrong.chain(config.unknown_options()).chain(settings.notices.clone()) {
        found.push(Finding::warning(SUBJECT, text, "mend that line; the others count"));
    }
    (settings, found)
}

/// What tmux can't read of the files, which it only parses, in a server of its own without a session. None
/// where there is no tmux, or one before 3.0, which can't do that.
fn tmuxs_complaints(config: &Config) -> Vec<String> {
    let Ok(socket) = paths::runtime_folder().and_then(|folder| own_tmux::new_socket(&folder))
    else {
        return Vec::new();
    };
    let Some(tmux) = Tmux::find(socket).ok().filter(|tmux| tmux.version.can_only_parse()) else {
        return Vec::new();
    };
    let complaint = |file: &Path| {
        let output = tmux
            .command()
            .args(["-u", "-f", "/dev/null", "start-server", ";", "source-file", "-n"])
            .arg(file)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        (!output.status.success() && !said.is_empty()).then_some(said)
    };
    let complaints = config.files().filter_map(complaint).collect();
    let _ = std::fs::remove_file(&tmux.socket);
    complaints
}

/// Only a relay or a session that asks for keys needs them.
fn judge_keys(relay: &RelayArgs) -> Finding {
    const SUBJECT: &str = "keys";
    let files = match identities(relay) {
        Ok(files) => files.into_iter().filter(|path| path.exists()).count(),
        Err(error) => return Finding::bad(SUBJECT, format!("{error:#}"), "name a key that exists"),
    };
    let agent = match std::env::var_os("SSH_AUTH_SOCK") {
        Some(_) => "an ssh-agent",
        None => "no ssh-agent",
    };
    Finding::good(
        SUBJECT,
        format!("{files} in ~/.ssh or named, {agent} (asked for by some relays)"),
    )
}

async fn judge_relay(args: &RelayArgs) -> Vec<Finding> {
    const SUBJECT: &str = "relay";
    let sharing = match Sharing::start(args, &Wishes::default()).await {
        Ok(sharing) => sharing,
        Err(error) => {
            let remedy = "tern --relay HOST[:PORT], or TERN_RELAY";
            return vec![Finding::bad(SUBJECT, format!("{error:#}"), remedy)];
        }
    };
    let mut findings = Vec::new();
    for notice in sharing.notices() {
        findings.push(Finding::warning(SUBJECT, notice, "join a network, or use another relay"));
    }
    let name = sharing.relay_name();
    let board = Board::new("nothing".into(), None, None, name.clone());
    let mut content = board.subscribe();
    // Nothing is said about who may join: so nobody may.
    let settings = watch::channel(session::Settings::default()).1;
    let uplink = sharing.link(board.clone(), settings, watch::channel(None).1);
    let mut time_max = RELAY_TIME_MAX;
    let connected = loop {
        let status = content.borrow_and_update().status.clone();
        match status.connection {
            Connection::Connected(_) => break Ok(Ok(())),
            Connection::Failed(reason) => break Ok(Err(reason)),
            Connection::Connecting | Connection::Reconnecting(_) => {}
        }
        if status.trouble.is_some() {
            time_max = SECOND_CHANCE;
        }
        match timeout(time_max, content.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break Ok(Err("the link ended".into())),
            Err(late) => break Err(late),
        }
    };
    match connected {
        Ok(Ok(())) => {
            let text = format!("{name} answers over SSH with a trusted key, and lets you share");
            findings.push(Finding::good(SUBJECT, text));
            findings.extend(notices(&board).map(|text| Finding::good("host key", text)));
            findings.push(judge_transport(&board).await);
        }
        Ok(Err(reason)) => {
            let remedy = "compare with what the relay's operator tells: tern-relay prints \
                          fingerprint and line at its start";
            findings.push(Finding::bad(SUBJECT, reason, remedy));
        }
        Err(_) => {
            let trouble = board.subscribe().borrow().status.trouble.clone();
            let text = trouble.unwrap_or(format!("{name} does not answer"));
            let remedy = "start tern-relay there, or name another: tern doctor --relay HOST[:PORT]";
            findings.push(Finding::bad(SUBJECT, text, remedy));
        }
    }
    uplink.finish("[the host only looked whether it could share]".into()).await;
    sharing.finish().await;
    findings
}

/// What the relay's key gave reason to say.
fn notices(board: &Board) -> impl Iterator<Item = String> {
    let messages = board.subscribe().borrow().messages.clone();
    let texts: Vec<_> = messages.since(0).map(|message| message.text.clone()).collect();
    texts.into_iter().filter(|text| text.contains("host key"))
}

/// QUIC, or SSH where UDP doesn't pass; the first may follow the second.
async fn judge_transport(board: &Board) -> Finding {
    const SUBJECT: &str = "UDP";
    let over = || board.subscribe().borrow().status.over.clone().unwrap_or_default();
    let quic = async {
        let mut content = board.subscribe();
        while !over().starts_with("QUIC") {
            if content.changed().await.is_err() {
                sleep(QUIC_TIME_MAX).await;
            }
        }
    };
    if timeout(QUIC_TIME_MAX, quic).await.is_ok() {
        let took = board.round_trip_ms().map_or(String::new(), |ms| format!(", {ms} ms away"));
        return Finding::good(SUBJECT, format!("passes: QUIC works{took}"));
    }
    Finding::warning(
        SUBJECT,
        format!(
            "does not pass: the session goes over {}, which roams and sleeps less well",
            over()
        ),
        "open UDP to the relay's port, here and there",
    )
}
