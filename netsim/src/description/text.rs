//! A description as text, in the language that `parse` reads.

use std::fmt;

use crate::description::{
    Action, Description, Direction, Link, Nat, NatFilter, NatMapping, Scheduled,
};
use crate::units::format_duration;

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hosts.iter().try_for_each(|host| writeln!(f, "host {host}"))?;
        self.routers.iter().try_for_each(|router| writeln!(f, "router {router}"))?;
        self.nats.iter().try_for_each(|nat| writeln!(f, "{nat}"))?;
        self.links.iter().try_for_each(|link| writeln!(f, "{link}"))?;
        self.timetable.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (timeout, tcp) = (format_duration(self.timeout), format_duration(self.tcp_timeout));
        write!(f, "nat {} timeout {timeout} tcp-timeout {tcp}", self.name)?;
        f.write_str(match self.mapping {
            NatMapping::Independent => " mapping independent",
            NatMapping::Symmetric => " mapping symmetric",
        })?;
        f.write_str(match self.filter {
            NatFilter::Open => " filter open",
            NatFilter::Address => " filter address",
            NatFilter::Port => " filter port",
        })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {} {} {}", self.name, self.lower, self.upper)?;
        let ends = [(&self.lower, &self.lower_addresses), (&self.upper, &self.upper_addresses)];
        for (node, addresses) in ends.into_iter().filter(|(_, addresses)| !addresses.is_empty()) {
            write!(f, " address {node}")?;
            addresses.iter().try_for_each(|address| write!(f, " {address}"))?;
        }
        for (direction, conditions) in [("up", &self.up), ("down", &self.down)] {
            let changes = conditions.changes();
            if !changes.is_empty() {
                write!(f, "\n    {direction}")?;
                changes.iter().try_for_each(|change| write!(f, " {change}"))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = format_duration(self.at);
        match self.every {
            None => write!(f, "at {at}")?,
            Some(period) => write!(f, "every {} from {at}", format_duration(period))?,
        }
        if let Some(until) = self.until {
            write!(f, " until {}", format_duration(until))?;
        }
        write!(f, " {}", self.action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { link, is_told } => {
                write!(f, "down {link}{}", if *is_told { " told" } else { "" })
            }
            Self::Up { link } => write!(f, "up {link}"),
            Self::Address { host, link, addresses, is_told } => {
                write!(f, "address {host}")?;
                link.iter().try_for_each(|link| write!(f, "@{link}"))?;
                addresses.iter().try_for_each(|address| write!(f, " {address}"))?;
                f.write_str(if *is_told { "" } else { " untold" })
            }
            Self::Rebind { nat, addresses } => {
                write!(f, "rebind {nat}")?;
                addresses.iter().try_for_each(|address| write!(f, " {address}"))
            }
            Self::Set { link, direction, changes } => {
                write!(f, "set {link}")?;
                f.write_str(match direction {
                    None => "",
                    Some(Direction::Up) => " up",
                    Some(Direction::Down) => " down",
                })?;
                changes.iter().try_for_each(|change| write!(f, " {change}"))
            }
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::Run { host, command } => write!(f, "run {host} {command}"),
        }
    }
}
