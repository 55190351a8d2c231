//! `link NAME LOWER UPPER` and the settings of its two directions.

use std::net::IpAddr;
use std::path::Path;

use crate::description::{Direction, Link};
use crate::link::cellular::Cellular;
use crate::link::delay::Reorder;
use crate::link::loss::Loss;
use crate::link::queue::Capacity;
use crate::link::settings::{Blockable, Change, Mtu};
use crate::link::trace::{Trace, TraceSource};
use crate::parse::cursor::Cursor;
use crate::units::{Probability, parse_duration, parse_probability, parse_rate, parse_size};

const SETTINGS: &str = "delay, jitter, rate, trace, cellular, queue, loss, reorder, duplicate, \
                        mtu, block, unblock";

pub(super) fn link(cursor: &mut Cursor<'_>, base: &Path) -> Result<Link, (usize, String)> {
    let name = cursor.next("the link's name")?.text;
    let lower = cursor.next("the node at its lower end")?.text;
    let upper = cursor.next("the node at its upper end")?.text;
    let mut link = Link::new(name, lower, upper);
    let mut direction = None;
    while let Some(word) = cursor.peek() {
        match word {
            "up" => direction = Some(Direction::Up),
            "down" => direction = Some(Direction::Down),
            "both" => direction = None,
            "address" => {
                cursor.next("address")?;
                link = end_addresses(link, cursor)?;
                continue;
            }
            _ => {
                let change = change(cursor, base)?;
                link = match direction {
                    None => link.both(change),
                    Some(Direction::Up) => link.up(change),
                    Some(Direction::Down) => link.down(change),
                };
                continue;
            }
        }
        cursor.next("a direction")?;
    }
    Ok(link)
}

fn end_addresses(link: Link, cursor: &mut Cursor<'_>) -> Result<Link, (usize, String)> {
    let node = cursor.next("the node that has the address")?;
    if node.text != link.lower && node.text != link.upper {
        let Link { name, lower, upper, .. } = &link;
        return Err((
            node.line,
            format!("link {name} ends at {lower} and {upper}, not at {}", node.text),
        ));
    }
    let addresses = addresses(cursor);
    if addresses.is_empty() {
        return Err((cursor.line(), format!("{} wants an IPv4 or IPv6 address", node.text)));
    }
    Ok(link.addresses(node.text, &addresses))
}

/// As many addresses as stand there.
pub(super) fn addresses(cursor: &mut Cursor<'_>) -> Vec<IpAddr> {
    cursor.while_some(|word| word.parse().ok())
}

/// One setting of a direction.
pub(super) fn change(cursor: &mut Cursor<'_>, base: &Path) -> Result<Change, (usize, String)> {
    let word = cursor.next(SETTINGS)?;
    Ok(match word.text {
        "delay" => Change::Delay(cursor.value("a duration", parse_duration)?),
        "jitter" => Change::Jitter(cursor.value("a duration", parse_duration)?),
        "rate" if cursor.take("unlimited") => Change::Capacity(Capacity::Unlimited),
        "rate" => Change::Capacity(Capacity::Rate(cursor.value("a rate", parse_rate)?)),
        "trace" => Change::Capacity(Capacity::Trace(trace(cursor, base)?)),
        "cellular" => Change::Capacity(Capacity::Trace(cellular(cursor)?.trace())),
        "queue" => Change::Queue(cursor.value("a size", parse_size)?),
        "loss" => Change::Loss(loss(cursor)?),
        "reorder" => Change::Reorder(reorder(cursor)?),
        "duplicate" => Change::Duplicate(cursor.value("a probability", parse_probability)?),
        "mtu" => Change::Mtu(mtu(cursor)?),
        "block" => Change::Block(blockable(cursor)?),
        "unblock" => Change::Unblock(blockable(cursor)?),
        other => {
            return Err((
                word.line,
                format!("a link has no setting \"{other}\"; allowed: {SETTINGS}"),
            ));
        }
    })
}

pub(super) fn mtu(cursor: &mut Cursor<'_>) -> Result<Mtu, (usize, String)> {
    let size = cursor.value("a number of bytes", |text| {
        text.parse().map_err(|_| format!("\"{text}\" is not a number of bytes; write 1280"))
    })?;
    Ok(Mtu { size, is_silent: cursor.take("silent") })
}

pub(super) fn blockable(cursor: &mut Cursor<'_>) -> Result<Blockable, (usize, String)> {
    cursor.value("udp, tcp or icmp", |text| match text {
        "udp" => Ok(Blockable::Udp),
        "tcp" => Ok(Blockable::Tcp),
        "icmp" => Ok(Blockable::Icmp),
        other => Err(format!("\"{other}\" can't be blocked; allowed: udp, tcp, icmp")),
    })
}

fn trace(cursor: &mut Cursor<'_>, base: &Path) -> Result<Trace, (usize, String)> {
    cursor.value("a trace's file", |file| {
        let path = base.join(file);
        let wrong = |what: String| format!("trace {}: {what}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        Trace::parse(&text, TraceSource::File(file.into()))
            .map_err(|error| wrong(error.to_string()))
    })
}

fn cellular(cursor: &mut Cursor<'_>) -> Result<Cellular, (usize, String)> {
    let mut model = Cellular::new(cursor.value("the mean rate", parse_rate)?);
    loop {
        if cursor.take("spread") {
            model.spread = cursor.value("a number", number)?;
        } else if cursor.take("memory") {
            model.memory = cursor.value("a duration", parse_duration)?;
        } else if cursor.take("outage-every") {
            model.outage_every = Some(cursor.value("a duration", parse_duration)?);
        } else if cursor.take("outage") {
            model.outage = cursor.value("a duration", parse_duration)?;
        } else if cursor.take("length") {
            model.length = cursor.value("a duration", parse_duration)?;
        } else if cursor.take("seed") {
            model.seed = cursor.value("a number", |text| {
                text.parse().map_err(|_| format!("\"{text}\" is not a seed (a whole number)"))
            })?;
        } else {
            return Ok(model);
        }
    }
}

fn loss(cursor: &mut Cursor<'_>) -> Result<Loss, (usize, String)> {
    let chance = |cursor: &mut Cursor<'_>| cursor.value("a probability", parse_probability);
    if cursor.take("gilbert") {
        let (enter, leave) = (chance(cursor)?, chance(cursor)?);
        let is_full = cursor.peek().is_some_and(|next| parse_probability(next).is_ok());
        let (good, bad) = if is_full {
            (chance(cursor)?, chance(cursor)?)
        } else {
            (Probability::NEVER, Probability::ALWAYS)
        };
        return Ok(Loss::Bursts { enter, leave, good, bad });
    }
    let mean = chance(cursor)?;
    if !cursor.take("bursts") {
        return Ok(Loss::Independent(mean));
    }
    let line = cursor.line();
    let length = cursor.value("the mean length of a burst, in packets", number)?;
    if length < 1.0 || length * (1.0 - mean.value()) < mean.value() {
        let message = format!(
            "bursts of {length} packets can't make a loss of {mean}; allowed: 1 and more, and long enough"
        );
        return Err((line, message));
    }
    Ok(Loss::bursts(mean, length))
}

fn reorder(cursor: &mut Cursor<'_>) -> Result<Reorder, (usize, String)> {
    let chance = cursor.value("a probability", parse_probability)?;
    cursor.value("by", |word| match word {
        "by" => Ok(()),
        other => Err(format!("\"{other}\" stands where \"by\" is wanted: reorder 1% by 10ms")),
    })?;
    Ok(Reorder { chance, by: cursor.value("a duration", parse_duration)? })
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1e9).contains(&number) => Ok(number),
        _ => Err(format!("\"{text}\" is not a number (0 or more)")),
    }
}
