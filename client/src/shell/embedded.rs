//! A relay in the agent's own process, for when none is configured: people in the same network
//! join without anything being set up.

use anyhow::Context;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use tern_bootstrap::client::RelayAddress;
use tern_bootstrap::grant::PORT_DEFAULT;
use tern_bootstrap::identity::Identity;
use tern_relay::core::limits::Limits;
use tern_relay::{Config, Relay};
use tern_web::core::address::Reach;

/// A running relay of one's own.
pub struct Embedded {
    relay: Relay,
    /// Where it is, seen from here.
    pub address: RelayAddress,
    /// Its host key.
    pub fingerprint: String,
    /// Where it is, seen from the network.
    pub host: IpAddr,
}

impl Embedded {
    /// Starts it, on the usual port or, if that is taken, a free one. Its keys are kept in
    /// `state_folder`, so that viewers' known_hosts stay right.
    pub async fn start(state_folder: &Path) -> anyhow::Result<Self> {
        let folder = state_folder.join("relay");
        let identity = Identity::load_or_create(&folder)
            .with_context(|| format!("cannot keep a relay's keys in {}", folder.display()))?;
        let fingerprint = identity.ssh_fingerprint();
        let host = primary_address();
        let relay = listen_somewhere(&folder, host)
            .await
            .context("cannot start a relay on this machine; name another one with --relay")?;
        let port = relay.ssh_address().port();
        let address = RelayAddress { host: Ipv4Addr::LOCALHOST.to_string(), port };
        Ok(Self { relay, address, fingerprint, host })
    }

    /// Whether only this machine can reach it.
    pub fn is_local_only(&self) -> bool {
        self.host.is_loopback()
    }

    /// Ends it; viewers are told.
    pub async fn stop(self) {
        self.relay.stop().await;
    }
}

/// On the usual port if it is free, for IPv6 and IPv4 if the machine has both.
async fn listen_somewhere(folder: &Path, host: IpAddr) -> anyhow::Result<Relay> {
    let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
    let mut last = None;
    for port in [PORT_DEFAULT, 0] {
        for address in any {
            let config = Config {
                listen: SocketAddr::new(address, port),
                quic_listen: None,
                host: Some(host.to_string()),
                ssh_port_advertised: None,
                authorized_hosts: None,
                is_for_this_machine: true,
                accounts: None,
                registrar: None,
                webhooks: Some(Reach::Any),
                identity: Identity::load_or_create(folder)?,
                limits: limits(),
            };
            match Relay::start(config).await {
                Ok(relay) => return Ok(relay),
                Err(error) => last = Some(error),
            }
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("no address to listen on"), Into::into))
}

/// One session of one's own, and the next while the last one ends.
fn limits() -> Limits {
    Limits { sessions: 2, viewers: 200, ..Limits::default() }
}

/// The address under which others most likely reach this machine: a private IPv4 address of a
/// real interface; else any other address; else loopback.
pub fn primary_address() -> IpAddr {
    let candidates = if_addrs::get_if_addrs().unwrap_or_default();
    candidates
        .iter()
        .filter_map(|interface| Some((rank(&interface.name, interface.ip())?, interface.ip())))
        .min_by_key(|(rank, _)| *rank)
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |(_, address)| address)
}

/// Smaller is better; `None` if it is of no use.
fn rank(interface: &str, address: IpAddr) -> Option<u8> {
    /// Bridges and tunnels to machines inside of this one.
    const VIRTUAL: [&str; 8] = ["docker", "br-", "veth", "virbr", "vmnet", "cni", "lxc", "podman"];
    let is_virtual = VIRTUAL.iter().any(|prefix| interface.starts_with(prefix));
    match address {
        IpAddr::V4(address) if address.is_loopback() || address.is_link_local() => None,
        IpAddr::V4(_) if is_virtual => Some(3),
        IpAddr::V4(address) if address.is_private() => Some(0),
        IpAddr::V4(_) => Some(1),
        // An IPv4 address is easier to type, and known on every network.
        IpAddr::V6(address) if address.is_loopback() || address.is_unicast_link_local() => None,
        IpAddr::V6(_) => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_address_of_a_real_interface_is_preferred() {
        let rank = |name, address: &str| rank(name, address.parse().expect("an address"));
        assert!(rank("eth0", "192.168.1.2") < rank("eth0", "203.0.113.1"));
        assert!(rank("wlan0", "203.0.113.1") < rank("docker0", "172.17.0.1"));
        assert_eq!(rank("lo", "127.0.0.1"), None);
        assert_eq!(rank("eth0", "fe80::1"), None);
    }
}
