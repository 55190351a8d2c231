//! Whether a description fits together: names exist once and where they are needed, addresses are
//! one host's, NATs have an outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thiserror::Error;

use crate::description::{Action, Description, INTERNET, Link, Scheduled};
use crate::link::settings::{Change, Conditions, MTU_MAX, MTU_MIN};

/// Bytes of a link's name: Linux allows an interface no more (`IFNAMSIZ` with its closing zero).
pub(crate) const LINK_NAME_MAX: usize = 15;
/// Links that a network may have; addresses chosen by the link's place end here.
pub(crate) const LINKS_MAX: usize = 250;
/// The shortest period of a repeated event.
pub(crate) const PERIOD_MIN: Duration = Duration::from_millis(1);

/// What doesn't fit in a description.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct DescriptionError {
    /// What is wrong, and what is allowed.
    pub message: String,
    /// Where.
    pub part: Part,
}

/// A part of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// No single one.
    Whole,
    /// The host at this place, from 0.
    Host(usize),
    /// The router at this place.
    Router(usize),
    /// The NAT at this place.
    Nat(usize),
    /// The link at this place.
    Link(usize),
    /// The event at this place of the timetable.
    Event(usize),
}

impl DescriptionError {
    fn at(self, part: Part) -> Self {
        Self { part, ..self }
    }
}

pub(super) fn check(network: &Description) -> Result<(), DescriptionError> {
    let nodes = check_nodes(network)?;
    if network.links.len() > LINKS_MAX {
        return wrong(format!("{} links; at most {LINKS_MAX} are possible", network.links.len()));
    }
    let mut names = BTreeSet::new();
    for (place, link) in network.links.iter().enumerate() {
        let checked = if names.insert(link.name.as_str()) {
            check_link(link, &nodes)
        } else {
            wrong(format!("two links are called \"{}\"", link.name))
        };
        checked.map_err(|error| error.at(Part::Link(place)))?;
    }
    check_nats(network)?;
    check_addresses(network)?;
    for (place, event) in network.timetable.iter().enumerate() {
        check_event(event, network).map_err(|error| error.at(Part::Event(place)))?;
    }
    Ok(())
}

fn check_nodes(network: &Description) -> Result<BTreeSet<&str>, DescriptionError> {
    let hosts = network.hosts.iter().enumerate().map(|(at, name)| (Part::Host(at), name));
    let routers = network.routers.iter().enumerate().map(|(at, name)| (Part::Router(at), name));
    let nats = network.nats.iter().enumerate().map(|(at, nat)| (Part::Nat(at), &nat.name));
    let mut nodes = BTreeSet::from([INTERNET]);
    for (part, name) in hosts.chain(routers).chain(nats) {
        check_name(name).map_err(|error| error.at(part))?;
        if !nodes.insert(name) {
            return wrong(format!("two nodes are called \"{name}\""))
                .map_err(|e: DescriptionError| e.at(part));
        }
    }
    Ok(nodes)
}

fn check_name(name: &str) -> Result<(), DescriptionError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 63 && name.chars().all(is_plain) {
        return Ok(());
    }
    wrong(format!("\"{name}\" is no name; allowed: up to 63 letters, digits, \"-\" and \"_\""))
}

fn check_link(link: &Link, nodes: &BTreeSet<&str>) -> Result<(), DescriptionError> {
    check_name(&link.name)?;
    if link.name.len() > LINK_NAME_MAX || link.name == "lo" {
        let name = &link.name;
        return wrong(format!(
            "link \"{name}\": it names a network interface, so at most {LINK_NAME_MAX} bytes, and not \"lo\""
        ));
    }
    for end in [&link.lower, &link.upper] {
        if !nodes.contains(end.as_str()) {
            let known = nodes.iter().copied().collect::<Vec<_>>().join(", ");
            return wrong(format!("link \"{}\": no node \"{end}\"; there are: {known}", link.name));
        }
    }
    if link.lower == link.upper {
        return wrong(format!("link \"{}\" has both ends at \"{}\"", link.name, link.lower));
    }
    [&link.up, &link.down].into_iter().try_for_each(|path| check_conditions(&link.name, path))
}

fn check_conditions(link: &str, path: &Conditions) -> Result<(), DescriptionError> {
    check_mtu(link, path.mtu.size)
}

fn check_mtu(link: &str, size: usize) -> Result<(), DescriptionError> {
    if (MTU_MIN..=MTU_MAX).contains(&size) {
        return Ok(());
    }
    wrong(format!("link \"{link}\": an MTU is {MTU_MIN} to {MTU_MAX} bytes, not {size}"))
}

/// A NAT has one outside, and an inside.
fn check_nats(network: &Description) -> Result<(), DescriptionError> {
    for (place, nat) in network.nats.iter().enumerate() {
        let outside = network.links.iter().filter(|link| link.lower == nat.name).count();
        let inside = network.links.iter().filter(|link| link.upper == nat.name).count();
        if outside != 1 || inside == 0 {
            return wrong(format!(
                "nat \"{}\" needs one link to the outside (named first in it) and links inside (named second); it has {outside} and {inside}",
                nat.name
            ))
            .map_err(|error: DescriptionError| error.at(Part::Nat(place)));
        }
    }
    Ok(())
}

/// No node has an address twice.
fn check_addresses(network: &Description) -> Result<(), DescriptionError> {
    let mut owners = BTreeMap::new();
    for (place, link) in network.links.iter().enumerate() {
        let ends = [(&link.lower, &link.lower_addresses), (&link.upper, &link.upper_addresses)];
        for (node, addresses) in ends {
            for address in addresses {
                if owners.insert((address, node), &link.name).is_some() {
                    return wrong(format!("\"{node}\" has the address {address} twice"))
                        .map_err(|error: DescriptionError| error.at(Part::Link(place)));
                }
            }
        }
    }
    Ok(())
}

fn check_event(event: &Scheduled, network: &Description) -> Result<(), DescriptionError> {
    if event.every.is_some_and(|period| period < PERIOD_MIN) {
        return wrong(format!("a period is at least {PERIOD_MIN:?}"));
    }
    check_action(&event.action, network)
}

/// Whether all that `action` names exists.
pub(crate) fn check_action(action: &Action, network: &Description) -> Result<(), DescriptionError> {
    let links = || network.links.iter().map(|link| link.name.as_str());
    match action {
        Action::Down { link, .. } | Action::Up { link } => known(link, "link", links()),
        Action::Set { link, changes, .. } => {
            known(link, "link", links())?;
            changes.iter().try_for_each(|change| match change {
                Change::Mtu(mtu) => check_mtu(link, mtu.size),
                _ => Ok(()),
            })
        }
        Action::Address { host, link, .. } => {
            known(host, "host", network.hosts.iter().map(String::as_str))?;
            let own = network.links.iter().filter(|l| l.lower == *host || l.upper == *host);
            let own: Vec<_> = own.map(|link| link.name.as_str()).collect();
            match link {
                Some(link) => known(link, "link of that host", own.into_iter()),
                None if own.len() == 1 => Ok(()),
                None => wrong(format!(
                    "{host} has {} links ({}); write {host}@LINK",
                    own.len(),
                    own.join(", ")
                )),
            }
        }
        Action::Rebind { nat, .. } => {
            known(nat, "nat", network.nats.iter().map(|nat| nat.name.as_str()))
        }
        Action::Signal(_) => Ok(()),
        Action::Run { host, .. } => known(host, "host", network.hosts.iter().map(String::as_str)),
    }
}

fn known<'a>(
    name: &str,
    kind: &str,
    mut known: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), DescriptionError> {
    if known.clone().any(|each| each == name) {
        return Ok(());
    }
    let first = known.next().unwrap_or("none");
    let all = known.fold(first.to_owned(), |all, each| all + ", " + each);
    wrong(format!("no {kind} \"{name}\"; there are: {all}"))
}

fn wrong<T>(message: String) -> Result<T, DescriptionError> {
    Err(DescriptionError { message, part: Part::Whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Nat;

    #[test]
    fn what_does_not_fit_is_named() {
        let base = || Description::new().host("laptop").host("relay");
        let cases = [
            (base().link(Link::new("wifi", "laptop", "home")), "no node \"home\""),
            (base().host("relay"), "two nodes"),
            (base().link(Link::new("wifi", "laptop", "laptop")), "both ends"),
            (base().link(Link::new("a-very-long-name", "laptop", "relay")), "15 bytes"),
            (base().nat(Nat::new("home")), "one link to the outside"),
            (base().at(Duration::ZERO, Action::down("dsl")), "no link \"dsl\""),
            (base().at(Duration::ZERO, Action::address("relay", &[])), "0 links"),
            (base().every(Duration::ZERO, Duration::ZERO, Action::up("dsl")), "a period"),
            (base().host("a b"), "is no name"),
        ];
        for (description, message) in cases {
            let error = description.check().expect_err(message);
            assert!(error.message.contains(message), "{error}");
        }
    }
}
