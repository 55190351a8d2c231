//! `at TIME EVENT` and `every PERIOD [from TIME] [until TIME] EVENT`.

use std::path::Path;
use std::time::Duration;

use crate::description::{Action, Direction, Scheduled};
use crate::link::settings::Change;
use crate::parse::cursor::{Cursor, Word};
use crate::parse::link;
use crate::units::parse_duration;

/// The events there are.
pub(super) const ACTIONS: &str = "down LINK [told], up LINK, address HOST[@LINK] ADDRESS... [untold], \
    rebind NAT [ADDRESS...], mtu LINK BYTES [silent], block LINK udp|tcp|icmp, \
    unblock LINK udp|tcp|icmp, set LINK [up|down] SETTING..., signal NAME, run HOST COMMAND...";

pub(super) fn scheduled(
    keyword: Word<'_>,
    cursor: &mut Cursor<'_>,
    base: &Path,
) -> Result<Scheduled, (usize, String)> {
    let time = cursor.value("a time from the start", parse_duration)?;
    let (mut at, mut every, mut until) = (time, None, None);
    if keyword.text == "every" {
        (at, every) = (Duration::ZERO, Some(time));
        at = if cursor.take("from") { cursor.value("a time", parse_duration)? } else { at };
    }
    if cursor.take("until") {
        until = Some(cursor.value("a time", parse_duration)?);
    }
    Ok(Scheduled { at, every, until, action: action(cursor, base)? })
}

pub(super) fn action(cursor: &mut Cursor<'_>, base: &Path) -> Result<Action, (usize, String)> {
    let word = cursor.next(ACTIONS)?;
    let set = |link: &str, change| Action::set(link, change);
    Ok(match word.text {
        "down" => {
            let link = cursor.next("a link")?.text.to_owned();
            Action::Down { link, is_told: cursor.take("told") }
        }
        "up" => Action::up(cursor.next("a link")?.text),
        "address" => address(cursor)?,
        "rebind" => {
            let nat = cursor.next("a NAT")?.text.to_owned();
            Action::Rebind { nat, addresses: link::addresses(cursor) }
        }
        "mtu" => set(cursor.next("a link")?.text, Change::Mtu(link::mtu(cursor)?)),
        "block" => set(cursor.next("a link")?.text, Change::Block(link::blockable(cursor)?)),
        "unblock" => set(cursor.next("a link")?.text, Change::Unblock(link::blockable(cursor)?)),
        "set" => set_link(cursor, base)?,
        "signal" => Action::Signal(cursor.next("a name")?.text.to_owned()),
        "run" => {
            let host = cursor.next("a host")?.text.to_owned();
            Action::Run { host, command: cursor.rest_of_line("a command")?.to_owned() }
        }
        other => return Err((word.line, format!("no event \"{other}\"; allowed: {ACTIONS}"))),
    })
}

fn address(cursor: &mut Cursor<'_>) -> Result<Action, (usize, String)> {
    let name = cursor.next("a host")?.text;
    let (host, link) = match name.split_once('@') {
        Some((host, link)) => (host, Some(link.to_owned())),
        None => (name, None),
    };
    let addresses = link::addresses(cursor);
    if addresses.is_empty() {
        let found = cursor.peek().unwrap_or("nothing");
        return Err((cursor.line(), format!("an IPv4 or IPv6 address is wanted, not \"{found}\"")));
    }
    let is_told = !cursor.take("untold");
    Ok(Action::Address { host: host.to_owned(), link, addresses, is_told })
}

fn set_link(cursor: &mut Cursor<'_>, base: &Path) -> Result<Action, (usize, String)> {
    let link = cursor.next("a link")?.text.to_owned();
    let direction = if cursor.take("up") {
        Some(Direction::Up)
    } else if cursor.take("down") {
        Some(Direction::Down)
    } else {
        None
    };
    let mut changes = vec![link::change(cursor, base)?];
    while !cursor.is_at_end() {
        changes.push(link::change(cursor, base)?);
    }
    Ok(Action::Set { link, direction, changes })
}
