//! `tern` inside of tmux: the session that it runs in is shared where it is.

use crate::core::drop_in::options::{self, Settings};
use crate::core::said_access::SaidAccess;
use crate::core::tmux_clients::{self, CLIENT_FORMAT, TmuxClient};
use crate::core::wishes::Wishes;
use crate::shell::agent::AgentConfig;
use crate::shell::cli::ShareArgs;
use crate::shell::drop_in::start;
use crate::shell::protocol::{Connection, Request};
use crate::shell::tmux::{Surrounding, Tmux, shell_quoted};
use crate::shell::{agent_start, agents, paths, remembered, tty};
use anyhow::{Context, bail};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use tern_term::Size;

/// Columns and rows of the popup: the longest line (80 characters with an IPv4 address) and some.
/// tmux shows none that is larger than its client.
const POPUP_SIZE: Size = Size { cols: 90, rows: 14 };

/// tmux's `$N` of the session that this process runs in.
pub fn session_id(tmux: &Tmux) -> anyhow::Result<String> {
    let pane = std::env::var("TMUX_PANE").ok();
    let mut args = vec!["display-message", "-p"];
    if let Some(pane) = &pane {
        args.extend(["-t", pane]);
    }
    args.push("#{session_id}");
    let id = tmux.run(&args).context("the surrounding tmux does not tell its session")?;
    anyhow::ensure!(id.starts_with('$'), "the surrounding tmux tells no session, but '{id}'");
    Ok(id)
}

/// Shares the session and comes back at once.
pub fn run(args: &ShareArgs, surrounding: &Surrounding) -> anyhow::Result<()> {
    let tmux = surrounding.tmux()?;
    let id = session_id(&tmux)?;
    let agent_socket = agents::path_for_tmux(&tmux.socket, &id)?;
    let is_shared = agents::is_alive(&agent_socket) && !has_given_up(&agent_socket)?;
    if !is_shared {
        let size = tty::size();
        // A server of ours knows what its configuration came to, and what was set since.
        let is_own_server = start::is_own(&tmux);
        if args.forget_access {
            remembered::forget_access(&tmux, &id)?;
        }
        let options = start::options_in(&tmux, &id)?;
        let values = options::parse(&options.0);
        if is_own_server {
            start::check_read(&tmux, &values)?;
        }
        let home = paths::home()?;
        let (settings, configured) = match is_own_server {
            true => (Settings::read(&values, &home).0, Wishes::default()),
            false => {
                let settings = args.plain_settings();
                let configured = settings.wishes.clone();
                (settings, configured)
            }
        };
        let relay = args.relay_args_again(&settings, remembered::recall(&tmux, &id));
        remembered::remember(&tmux, &id, &relay);
        let (flags, before) = (args.wishes(), remembered::recall_access(&tmux, &id)?);
        let said = before.clone().and(&flags, &values);
        remembered::remember_access(&tmux, &id, &said)?;
        let access = said.wishes_with(&values, &configured, &home);
        let started = agent_start::start(&AgentConfig {
            tmux_binary: tmux.binary.clone(),
            tmux_socket: tmux.socket.clone(),
            tmux_version: tmux.version.to_string(),
            session_id: id.clone(),
            size: (size.cols, size.rows),
            is_own_server,
            agent_socket: agent_socket.clone(),
            relay,
            verbosity: args.verbosity,
            display_time_ms: args.display_time_ms(&settings),
            respawned_pane: None,
            wishes: flags.clone().or(settings.wishes).with_access_of(access),
            wishes_of_flags: flags.with_access_of(said.wishes().or(configured)),
            notices: Vec::new(),
            options,
        });
        let kept_to = as_before(&before, &said);
        if let Err(error) = started {
            match kept_to {
                Some(text) => bail!("{error:#} ({text}; to take that back: tern --forget-access)"),
                None => return Err(error),
            }
        }
        if let Some(text) = kept_to {
            println!("{text}; to take that back: tern stop, then tern --forget-access");
        }
    }
    if is_shared {
        for line in wish_anew(args, &tmux, &id, &agent_socket)? {
            println!("{line}");
        }
    }
    // What is printed here is seen by every viewer, so the lines come where only this client is.
    let what = if is_shared { "This session is shared already" } else { "Sharing this session" };
    let place = match local_client(&tmux, &id, &agent_socket)? {
        Some(client) if tmux.version.has_popup() => {
            show_popup(&tmux, &client, &agent_socket)?;
            "is in the popup"
        }
        Some(client) => {
            // The first time, the agent does so when it knows them.
            if is_shared {
                show_on_status_line(&tmux, &client.tty, &agent_socket)?;
            }
            "is on the status line"
        }
        None => "is told by `tern status`",
    };
    println!("{what}; how to join {place}. Again: tern. End: tern stop");
    Ok(())
}

/// What still holds of what command lines said before of who may join, for the person.
fn as_before(before: &SaidAccess, now: &SaidAccess) -> Option<String> {
    let what = match (before.wants_keys(), before.wants_approval()) {
        (false, false) => return None,
        (true, false) => "SSH keys are asked for",
        (false, true) => "you are asked before somebody joins",
        (true, true) => "SSH keys are asked for, and so are you",
    };
    (before == now).then(|| format!("As before, {what}"))
}

/// What the command line wishes of a session that is shared already: who may join counts at once, by
/// our options. Gives what can't, for the person.
fn wish_anew(
    args: &ShareArgs,
    tmux: &Tmux,
    id: &str,
    agent_socket: &Path,
) -> anyhow::Result<Vec<String>> {
    let wishes = args.wishes();
    let set = |name: &str, value: &str| {
        tmux.run(&["set-option", "-t", id, &options::user_option(name), value]).map(drop)
    };
    if wishes.is_asking() {
        set("approve", "on")?;
    }
    if let Some(path) = &wishes.authorized_keys {
        set("authorized-keys", path.to_str().context("the path of the keys is not UTF-8")?)?;
    }
    let forges = &wishes.forges;
    for (name, words) in [
        ("github-user", &forges.github_users),
        ("gitlab-user", &forges.gitlab_users),
        ("keys-user", &forges.users),
        ("keys-url", &forges.urls),
    ] {
        if !words.is_empty() {
            set(name, &words.join(" "))?;
        }
    }
    if wishes.is_access_limited() {
        agents::ask(agent_socket, Request::ReadOptions)?;
    }
    let later = [
        ("--relay", args.is_relay_named),
        ("--relay-fingerprint", args.are_fingerprints_named),
        ("--forget-access", args.forget_access),
    ];
    let line = |(name, is_named): (&str, bool)| {
        let text = "counts when the sharing begins anew: tern stop, then tern";
        is_named.then(|| format!("{name} {text}"))
    };
    Ok(later.into_iter().filter_map(line).collect())
}

/// Whether the agent that shared this session has failed for good; then it makes way for another.
fn has_given_up(agent_socket: &Path) -> anyhow::Result<bool> {
    match agents::status(agent_socket)?.connection {
        Connection::Failed(_) => {
            agents::stop(agent_socket)?;
            Ok(true)
        }
        Connection::Connecting | Connection::Connected(_) | Connection::Reconnecting(_) => {
            Ok(false)
        }
    }
}

/// The terminal of the person who typed: the session's client that was active last. `None` if no
/// terminal is attached.
fn local_client(tmux: &Tmux, id: &str, agent_socket: &Path) -> anyhow::Result<Option<TmuxClient>> {
    let hidden = agents::status(agent_socket)?.hidden_tty;
    let list = tmux.run(&["list-clients", "-t", id, "-F", CLIENT_FORMAT])?;
    let clients = tmux_clients::parse(list.lines())
        .into_iter()
        .filter(|client| client.is_terminal() && hidden.as_deref() != Some(client.tty.as_str()));
    Ok(clients.max_by_key(|client| client.active_at))
}

fn show_popup(tmux: &Tmux, client: &TmuxClient, agent_socket: &Path) -> anyhow::Result<()> {
    let cols = POPUP_SIZE.cols.min(client.size.cols).to_string();
    let rows = POPUP_SIZE.rows.min(client.size.rows).to_string();
    let program = std::env::current_exe().context("cannot find tern's own program file")?;
    let command = format!("{} start-view {}", shell_quoted(&program), shell_quoted(agent_socket));
    // It lasts as long as the popup does; this command doesn't wait.
    tmux.command()
        .args(["display-popup", "-c", &client.tty, "-E", "-w", &cols, "-h", &rows])
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run tmux")?;
    Ok(())
}

fn show_on_status_line(tmux: &Tmux, client: &str, agent_socket: &Path) -> anyhow::Result<()> {
    if let Some(lines) = agents::status(agent_socket)?.lines {
        let text = format!("ssh session: {}", lines.read_write);
        let text = crate::core::notice::for_tmux(&text).replace('\'', "");
        // From a file of ours: everybody on the machine can read a command line.
        let path = agent_socket.with_extension("lines");
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        writeln!(file, "display-message -c '{client}' '{text}'")?;
        let shown = tmux.run(&["source-file", &path.to_string_lossy()]);
        std::fs::remove_file(&path)?;
        shown?;
    }
    Ok(())
}
