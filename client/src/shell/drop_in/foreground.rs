//! `tern -F`: nobody sits here. The log goes to standard output, the program is run again when it
//! ends, a signal ends the session.

use super::config::Program;
use super::start::{self, Opening, Plan};
use crate::core::drop_in::commands::Command;
use crate::core::drop_in::flags::Flags;
use crate::core::messages::Message;
use crate::shell::cli::{LogFormat, ShareArgs};
use crate::shell::protocol::{self, Answer, Connection, Request};
use crate::shell::tmux::{Tmux, shell_quoted};
use crate::shell::{agent_start, agents, own_tmux};
use anyhow::Context;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Said at the end, as tmate does.
const CLOSED: &str = "Session closed";
/// Messages that wait to be printed.
const MESSAGES_MAX: usize = 64;
/// How often it is looked whether sharing has failed for good.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// What happened.
enum Event {
    Said(Message),
    /// The agent has ended.
    Over,
}

/// Until the session ends or a signal comes; gives the exit code.
pub fn run(
    program: Program,
    flags: &Flags,
    args: &ShareArgs,
    tmux: &Tmux,
    mut plan: Plan,
) -> anyhow::Result<u8> {
    let printer = Printer { format: args.log_format };
    let name = program.name();
    let socket = tmux.socket.display();
    printer.print(&format!("To connect to the session locally, run: {name} -S {socket} attach"))?;
    // It must not be gone before we could say that it is to stay.
    plan.list.push(keep_dead_panes(tmux));
    let opened = match start::open(tmux, &plan)? {
        Opening::Opened(opened) => *opened,
        Opening::Over(code) => {
            own_tmux::clean_up(tmux);
            return Ok(code.max(1));
        }
    };
    if !opened.complaints.is_empty() {
        start::print_all(&opened.complaints);
        own_tmux::end_session(tmux);
        return Ok(1);
    }
    let agent_socket = agents::path_for_tmux(&tmux.socket, &opened.id)?;
    let pane = tmux.run(&["display-message", "-p", "-t", &opened.id, "#{pane_id}"])?;
    let restarts = opened.settings.restarts_foreground;
    if restarts {
        watch_panes(tmux, &agent_socket)?;
    } else {
        let is_dead = tmux.run(&["display-message", "-p", "-t", &pane, "#{pane_dead}"])?;
        tmux.run(&["set-option", unset_flags(tmux), "-t", &pane, "remain-on-exit"])?;
        if is_dead == "1" {
            own_tmux::end_session(tmux);
            printer.print(CLOSED)?;
            return Ok(0);
        }
    }
    let config = own_tmux::agent_config(args, tmux, &opened, &agent_socket);
    let started = config.and_then(|mut config| {
        config.wishes.is_foreground = true;
        config.verbosity = flags.verbosity.max(config.verbosity);
        config.respawned_pane = restarts.then_some(pane);
        agent_start::start(&config)
    });
    if let Err(error) = started {
        own_tmux::end_session(tmux);
        return Err(error);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(watch(&printer, &agent_socket, tmux))?;
    runtime.shutdown_background();
    Ok(code)
}

async fn watch(printer: &Printer, agent: &Path, tmux: &Tmux) -> anyhow::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let stream = agents::connect(agent, Request::Follow)?;
    stream.set_read_timeout(None)?;
    let (sender, mut events) = mpsc::channel(MESSAGES_MAX);
    std::thread::spawn(move || follow(stream, &sender));
    let mut look = tokio::time::interval(STATUS_INTERVAL);
    loop {
        let is_told = tokio::select! {
            event = events.recv() => match event {
                Some(Event::Said(message)) => {
                    printer.print_message(&message)?;
                    continue;
                }
                Some(Event::Over) | None => false,
            },
            _ = look.tick() => {
                let status = agents::status(agent);
                if let Ok(Connection::Failed(_)) = status.map(|status| status.connection) {
                    // The reason is in the log, which may be a moment behind.
                    while let Ok(Event::Said(message)) = events.try_recv() {
                        printer.print_message(&message)?;
                    }
                    let _ = agents::stop(agent);
                    own_tmux::end_session(tmux);
                    return Ok(1);
                }
                continue;
            }
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            _ = hang_up.recv() => true,
        };
        if is_told {
            own_tmux::end_session(tmux);
            // Viewers are told, which takes a moment at most.
            while let Some(Event::Said(message)) = events.recv().await {
                printer.print_message(&message)?;
            }
        }
        own_tmux::clean_up(tmux);
        printer.print(CLOSED)?;
        return Ok(0);
    }
}

fn follow(mut stream: UnixStream, events: &mpsc::Sender<Event>) {
    while let Ok(Some(answer)) = protocol::read(&mut stream) {
        match answer {
            Answer::Message(message) => {
                if events.blocking_send(Event::Said(message)).is_err() {
                    return;
                }
            }
            Answer::Status(_)
            | Answer::Stopped
            | Answer::Ready
            | Answer::Done(_)
            | Answer::Undone(_)
            | Answer::Refused(_) => {}
            Answer::End => break,
        }
    }
    let _ = events.blocking_send(Event::Over);
}

/// tmux keeps the pane of a program that ended.
fn keep_dead_panes(tmux: &Tmux) -> Command {
    let scope = if tmux.version.has_pane_options() { "-p" } else { "-w" };
    Command { words: ["set-option", scope, "remain-on-exit", "on"].map(Into::into).to_vec() }
}

fn unset_flags(tmux: &Tmux) -> &'static str {
    if tmux.version.has_pane_options() { "-pu" } else { "-wu" }
}

/// tmux tells the agent when a program ends.
fn watch_panes(tmux: &Tmux, agent: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find tern's own program file")?;
    let shell = format!("{} pane-died {}", shell_quoted(&program), shell_quoted(agent));
    let shell = shell.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    let hook = format!("run-shell -b \"{shell}\"");
    // The user's own hooks stay, where there can be several.
    let flags = if tmux.version.has_pane_options() { "-ga" } else { "-g" };
    tmux.run(&["set-hook", flags, "pane-died", &hook]).map(drop)
}

struct Printer {
    format: LogFormat,
}

impl Printer {
    fn print(&self, text: &str) -> anyhow::Result<()> {
        let at = crate::shell::board::unix_time();
        self.print_message(&Message { number: 0, at, text: text.to_owned() })
    }

    /// One line, at once.
    fn print_message(&self, message: &Message) -> anyhow::Result<()> {
        let line = match self.format {
            LogFormat::Text => message.text.clone(),
            LogFormat::Json => json(message)?,
        };
        let mut out = std::io::stdout();
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    }
}

fn json(message: &Message) -> anyhow::Result<String> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        timestamp: String,
        message: &'a str,
    }
    let line = Line { timestamp: message.rfc3339(), message: &message.text };
    Ok(serde_json::to_string(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_json_where_that_is_wanted() {
        let message = Message { number: 1, at: 0, text: "a \"mate\"".into() };
        let line = json(&message).expect("it can be written");
        assert_eq!(line, r#"{"timestamp":"1970-01-01T00:00:00Z","message":"a \"mate\""}"#);
    }
}
