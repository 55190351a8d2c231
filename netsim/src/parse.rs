//! The text form of a network (see the README for the language).

use std::path::Path;

use thiserror::Error;

use crate::description::{Action, Description, Part};

mod cursor;
mod event;
mod link;
mod node;

use cursor::{Cursor, Statement, statements};

/// Bytes of a description: far more than anybody writes, and little to hold.
pub const TEXT_MAX: usize = 1 << 20;

const STATEMENTS: &str = "host, nat, router, link, at, every";

/// What is wrong in a description, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file}:{line}: {message}")]
pub struct ParseError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub message: String,
}

pub(crate) fn description(text: &str, file: &str) -> Result<Description, ParseError> {
    let at_line = |line, message| ParseError { file: file.to_owned(), line, message };
    if text.len() > TEXT_MAX {
        return Err(at_line(1, format!("the description is longer than {TEXT_MAX} bytes")));
    }
    let base = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut network = Description::new();
    let mut lines = Lines::default();
    for statement in statements(text).map_err(|(line, message)| at_line(line, message))? {
        self::statement(&statement, base, &mut network)
            .map_err(|(line, message)| at_line(line, message))?;
        lines.note(&network, statement.line);
    }
    network.check().map_err(|error| at_line(lines.of(error.part), error.message))?;
    Ok(network)
}

/// Reads a single event's action, as in a timetable; for control sockets.
///
/// # Errors
/// What is allowed; the line is 1.
pub fn action(text: &str) -> Result<Action, ParseError> {
    let wrong = |(line, message)| ParseError { file: "event".to_owned(), line, message };
    let statements = statements(text).map_err(wrong)?;
    match statements.as_slice() {
        [statement] => {
            let mut cursor = Cursor::new(statement);
            let action = event::action(&mut cursor, Path::new("")).map_err(wrong)?;
            cursor.end().map_err(wrong)?;
            Ok(action)
        }
        _ => Err(wrong((1, format!("one event is wanted: {}", event::ACTIONS)))),
    }
}

fn statement(
    statement: &Statement<'_>,
    base: &Path,
    network: &mut Description,
) -> Result<(), (usize, String)> {
    let mut cursor = Cursor::new(statement);
    let keyword = cursor.next(STATEMENTS)?;
    match keyword.text {
        "host" => network.hosts.push(cursor.next("a host's name")?.text.to_owned()),
        "router" => network.routers.push(cursor.next("a router's name")?.text.to_owned()),
        "nat" => network.nats.push(node::nat(&mut cursor)?),
        "link" => network.links.push(link::link(&mut cursor, base)?),
        "at" | "every" => network.timetable.push(event::scheduled(keyword, &mut cursor, base)?),
        other => {
            return Err((
                keyword.line,
                format!("unknown statement \"{other}\"; allowed: {STATEMENTS}"),
            ));
        }
    }
    cursor.end()
}

/// Which line each part of a description is from.
#[derive(Default)]
struct Lines {
    hosts: Vec<usize>,
    routers: Vec<usize>,
    nats: Vec<usize>,
    links: Vec<usize>,
    events: Vec<usize>,
}

impl Lines {
    /// What `network` has more than was noted is from `line`.
    fn note(&mut self, network: &Description, line: usize) {
        self.hosts.resize(network.hosts.len(), line);
        self.routers.resize(network.routers.len(), line);
        self.nats.resize(network.nats.len(), line);
        self.links.resize(network.links.len(), line);
        self.events.resize(network.timetable.len(), line);
    }

    fn of(&self, part: Part) -> usize {
        match part {
            Part::Whole => 1,
            Part::Host(at) => self.hosts[at],
            Part::Router(at) => self.routers[at],
            Part::Nat(at) => self.nats[at],
            Part::Link(at) => self.links[at],
            Part::Event(at) => self.events[at],
        }
    }
}

#[cfg(test)]
mod tests;
