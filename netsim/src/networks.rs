//! The ready networks, by name.

use crate::description::Description;
use crate::parse::ParseError;

/// Name and text of each ready network.
pub const ALL: &[(&str, &str)] = &[
    ("lan", include_str!("../networks/lan.net")),
    ("home-wifi", include_str!("../networks/home-wifi.net")),
    ("conference-wifi", include_str!("../networks/conference-wifi.net")),
    ("train", include_str!("../networks/train.net")),
    ("3g", include_str!("../networks/3g.net")),
    ("lte", include_str!("../networks/lte.net")),
    ("satellite", include_str!("../networks/satellite.net")),
    ("lossy", include_str!("../networks/lossy.net")),
    ("roaming", include_str!("../networks/roaming.net")),
];

/// The text of a ready network.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(each, _)| *each == name).map(|(_, text)| *text)
}

/// A ready network; `None` where there is none of this name.
#[must_use]
pub fn ready(name: &str) -> Option<Result<Description, ParseError>> {
    Some(Description::parse(text(name)?, name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::network::Network;

    #[test]
    fn every_ready_network_is_whole_and_runs_for_a_minute() {
        for (name, _) in ALL {
            let description = ready(name).expect(name).unwrap_or_else(|error| panic!("{error}"));
            for host in ["laptop", "relay", "viewer"] {
                assert!(description.hosts.iter().any(|each| each == host), "{name} has no {host}");
            }
            let mut network =
                Network::new(&description, 1).unwrap_or_else(|e| panic!("{name}: {e}"));
            network.handle_timeout(Duration::from_secs(60));
        }
    }
}
