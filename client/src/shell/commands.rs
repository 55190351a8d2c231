//! The subcommands that ask an agent.

use crate::core::viewers::Viewer;
use crate::shell::agents;
use crate::shell::board::unix_time;
use crate::shell::protocol::{Answer, Connection, Request, Since, Status};
use std::io::IsTerminal;
use std::path::Path;

/// `tern stop`.
pub fn stop(socket: Option<&Path>) -> anyhow::Result<()> {
    agents::stop(&agents::find(socket)?)?;
    println!("The sharing has ended; the session goes on.");
    Ok(())
}

/// What stands in place of the read-write line where viewers would see it.
const HIDDEN: &str = "(not shown on the screen that is shared: `tern` shows it to you alone)";

/// `tern status`.
pub fn status(socket: Option<&Path>, reveals: bool) -> anyhow::Result<()> {
    let agent = agents::find(socket)?;
    let mut status = agents::status(&agent)?;
    if let Some(lines) = &mut status.lines
        && !reveals
        && is_seen_by_viewers(&agent)
    {
        lines.read_write = HIDDEN.into();
    }
    print!("{}", status_text(&status, unix_time()));
    Ok(())
}

/// `tern show-messages`.
pub fn show_messages(socket: Option<&Path>, reveals: bool) -> anyhow::Result<()> {
    let agent = agents::find(socket)?;
    let hides = !reveals && is_seen_by_viewers(&agent);
    let secret = agents::status(&agent)?.lines.filter(|_| hides).map(|lines| lines.read_write);
    let mut stream = agents::connect(&agent, Request::Messages)?;
    while let Some(answer) = agents::read_answer(&mut stream)? {
        match answer {
            Answer::Message(message) => {
                let line = message.line();
                match &secret {
                    Some(secret) => println!("{}", line.replace(secret, HIDDEN)),
                    None => println!("{line}"),
                }
            }
            Answer::End => break,
            Answer::Status(_)
            | Answer::Stopped
            | Answer::Ready
            | Answer::Done(_)
            | Answer::Undone(_)
            | Answer::Refused(_) => {}
        }
    }
    Ok(())
}

/// Whether what is printed here appears on the screen that this agent shares. A script that reads
/// the output is nobody's screen.
fn is_seen_by_viewers(agent: &Path) -> bool {
    let is_shared = || agents::surrounding().is_ok_and(|here| here.as_deref() == Some(agent));
    std::io::stdout().is_terminal() && is_shared()
}

fn status_text(status: &Status, now: u64) -> String {
    let seconds = |since: u64| now.saturating_sub(since);
    let connection = match &status.connection {
        Connection::Connecting => "connecting".into(),
        Connection::Connected(since) => {
            let over = status.over.as_ref().map_or(String::new(), |over| format!(" over {over}"));
            let round_trip = status.round_trip_ms;
            let round_trip = round_trip.map_or(String::new(), |ms| format!(" ({ms} ms)"));
            format!("connected for {} s{over}{round_trip}", seconds(*since))
        }
        Connection::Reconnecting(since) => format!("reconnecting since {} s", seconds(*since)),
        Connection::Failed(text) => text.clone(),
    };
    let mut text = format!("shared: {}\n", status.shared);
    if let Some(attach) = &status.attach {
        text += &format!("attach: {attach}\n");
    }
    text += &format!("relay: {}\nconnection: {connection}\n", status.relay);
    if let Some(lines) = &status.lines {
        text += &format!(
            "ssh session read only: {}\nssh session: {}\n",
            lines.read_only, lines.read_write
        );
    }
    text += &format!("viewers: {}\n", status.viewers.len());
    for Since { who: Viewer { person, cols, rows }, .. } in &status.viewers {
        let (number, name, rights) = (person.number, person.name(), person.rights());
        text += &format!("  {number}: {name} {rights} {cols}x{rows}\n");
    }
    if !status.away.is_empty() {
        text += &format!("away: {} (see `tern viewers`)\n", status.away.len());
    }
    if !status.waiting.is_empty() {
        let count = status.waiting.len();
        text += &format!("waiting to be let in: {count} (see `tern viewers`)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::messages::JoinLines;
    use crate::core::person::{Person, ViewerRole};

    #[test]
    fn status_tells_lines_relay_connection_and_viewers() {
        let person = Person {
            number: 1,
            role: ViewerRole::ReadOnly,
            address: "192.0.2.1".into(),
            key: None,
            is_by_tern: false,
        };
        let status = Status {
            software: "tern".into(),
            pid: 1,
            shared: "session $0".into(),
            tmux_socket: Some("/x".into()),
            attach: Some("tmux -S /x attach".into()),
            relay: "relay.example:2200".into(),
            connection: Connection::Connected(100),
            over: Some("QUIC".into()),
            round_trip_ms: Some(23),
            trouble: None,
            lines: Some(JoinLines::new("tok", "ro-tok", "relay.example", 22)),
            is_ready: true,
            viewers: vec![Since { who: Viewer { person, cols: 80, rows: 24 }, since: 100 }],
            away: Vec::new(),
            waiting: Vec::new(),
            banned: Vec::new(),
            is_asking: false,
            hidden_tty: None,
        };
        assert_eq!(
            status_text(&status, 160),
            "shared: session $0\nattach: tmux -S /x attach\nrelay: relay.example:2200\n\
             connection: connected for 60 s over QUIC (23 ms)\nssh session read only: ssh ro-tok@relay.example\n\
             ssh session: ssh tok@relay.example\nviewers: 1\n  1: 192.0.2.1 read-only 80x24\n"
        );
    }
}
