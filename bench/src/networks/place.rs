//! Where a row is measured: the network between host and viewer, and who is where in it.

use netsim::{Action, Description, Link, Nat, Probability, Rate};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The path of the mosh paper, and of all rows here: 100 ms there and back.
pub(crate) const RTT: Duration = Duration::from_millis(100);
/// The link that all rows mistreat.
pub(crate) const LINE: &str = "line";
/// The NAT of [`Place::mobile`].
pub(crate) const NAT: &str = "home";
/// Where the shared terminal, `mosh-server` or `sshd` runs.
pub(crate) const HOST: &str = "h";
/// Where the relay and the person who measures are: key and echo cross the path.
pub(crate) const VIEWER: &str = "r";
/// Between the relay and who doesn't move, if the relay is by itself.
pub(crate) const FAR: &str = "far";
/// Where it is then.
const RELAY: &str = "m";
/// A mapping lasts longer than any pause here: rebinding is what is measured, not forgetting.
const MAPPING_TIME: Duration = Duration::from_secs(3600);

/// A network with its two hosts.
pub(crate) struct Place {
    /// The network.
    pub description: Description,
    /// Address of [`HOST`].
    pub host: Ipv4Addr,
    /// Address of [`VIEWER`].
    pub viewer: Ipv4Addr,
    /// Who is behind the NAT and changes addresses, if anybody does.
    pub mobile: Option<&'static str>,
    /// Tern's relay, if it is neither beside the host nor beside the viewer.
    pub relay: Option<Halfway>,
}

/// A relay by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Halfway {
    /// Its machine.
    pub at: &'static str,
    /// Its address for the host, and for the viewer.
    pub addresses: (Ipv4Addr, Ipv4Addr),
}

impl Place {
    /// `h ─line─ r`, nothing but the delay.
    pub(crate) fn line() -> Self {
        Self {
            description: Description::new().host(HOST).host(VIEWER).link(line(HOST, VIEWER)),
            host: Ipv4Addr::new(10, 0, 1, 1),
            viewer: Ipv4Addr::new(10, 0, 1, 2),
            mobile: None,
            relay: None,
        }
    }

    /// The same at `rate`, with a queue of `bytes`.
    pub(crate) fn narrow(rate: Rate, bytes: usize) -> Self {
        let link = line(HOST, VIEWER).rate(rate).queue(bytes);
        let description = Description::new().host(HOST).host(VIEWER).link(link);
        Self { description, ..Self::line() }
    }

    /// `mobile ─line─ NAT ─data─ the other`.
    pub(crate) fn mobile(mobile: &'static str) -> Self {
        let fixed = if mobile == HOST { VIEWER } else { HOST };
        let description = Description::new()
            .host(mobile)
            .host(fixed)
            .nat(Nat::new(NAT).timeout(MAPPING_TIME))
            .link(line(mobile, NAT))
            .link(Link::new("data", NAT, fixed));
        let (inside, outside) = (Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 2, 2));
        let (host, viewer) = if mobile == HOST { (inside, outside) } else { (outside, inside) };
        Self { description, host, viewer, mobile: Some(mobile), relay: None }
    }

    /// `mobile ─line─ NAT ─data─ relay ─far─ the other`: half of the delay on either side.
    pub(crate) fn mobile_with_relay_halfway(mobile: &'static str) -> Self {
        let fixed = if mobile == HOST { VIEWER } else { HOST };
        let description = Description::new()
            .host(mobile)
            .host(RELAY)
            .host(fixed)
            .nat(Nat::new(NAT).timeout(MAPPING_TIME))
            .link(Link::new(LINE, mobile, NAT).delay(RTT / 4))
            .link(Link::new("data", NAT, RELAY))
            .link(Link::new(FAR, RELAY, fixed).delay(RTT / 4));
        let (inside, outside) = (Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 3, 2));
        let (host, viewer) = if mobile == HOST { (inside, outside) } else { (outside, inside) };
        let (near, far) = (Ipv4Addr::new(10, 0, 2, 2), Ipv4Addr::new(10, 0, 3, 1));
        let addresses = if mobile == HOST { (near, far) } else { (far, near) };
        let relay = Some(Halfway { at: RELAY, addresses });
        Self { description, host, viewer, mobile: Some(mobile), relay }
    }
}

fn line(lower: &str, upper: &str) -> Link {
    Link::new(LINE, lower, upper).delay(RTT / 2)
}

/// From now on the line loses so many percent, each way.
pub(crate) fn lose(percent: f64) -> Action {
    use netsim::link::loss::Loss;
    use netsim::link::settings::Change;
    Action::set(LINE, Change::Loss(Loss::Independent(Probability::percent(percent))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn described_networks_fit_together() {
        for place in [
            Place::line(),
            Place::narrow(Rate::mbit(1), 64_000),
            Place::mobile(HOST),
            Place::mobile(VIEWER),
            Place::mobile_with_relay_halfway(HOST),
            Place::mobile_with_relay_halfway(VIEWER),
        ] {
            place.description.check().expect("a network");
            let text = place.description.to_string();
            let again = Description::parse(&text, "bench").expect("what was written is read");
            assert_eq!(again, place.description);
        }
    }
}
