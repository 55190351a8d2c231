//! Addresses and routes of a host's interface, by `ip` (iproute2).

use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::network::Interface;
use crate::real::namespace::Namespaces;

/// Packets that may wait between a namespace and the forwarding loop.
const DEVICE_QUEUE_PACKETS: usize = 2000;
/// Routes over a host's first interface have this metric, over the next one more, and so on.
const METRIC_BASE: usize = 100;

/// Brings `lo` up.
pub(crate) fn loopback(namespaces: &Namespaces) -> io::Result<()> {
    batch(namespaces, "link set lo up\n".to_owned())
}

/// Gives an interface the addresses and the state that it is said to have, and no others.
pub(crate) fn interface(
    namespaces: &Namespaces,
    interface: &Interface,
    metric: usize,
) -> io::Result<()> {
    batch(namespaces, commands(interface, metric))
}

fn commands(interface: &Interface, metric: usize) -> String {
    let Interface { link, mtu, addresses, is_up, .. } = interface;
    let mut text = format!("addr flush dev {link}\n");
    if !is_up {
        text.push_str(&format!("link set {link} down\n"));
        return text;
    }
    text.push_str(&format!(
        "link set {link} mtu {mtu} txqueuelen {DEVICE_QUEUE_PACKETS} addrgenmode none up\n"
    ));
    let metric = METRIC_BASE + metric;
    for address in addresses {
        let (length, flags) = if address.is_ipv4() { (32, "") } else { (128, " nodad") };
        text.push_str(&format!("addr add {address}/{length} dev {link}{flags}\n"));
    }
    for (all, is_there) in [
        ("0.0.0.0/0", addresses.iter().any(|address| address.is_ipv4())),
        ("::/0", addresses.iter().any(|address| address.is_ipv6())),
    ] {
        if is_there {
            text.push_str(&format!("route replace {all} dev {link} metric {metric}\n"));
        }
    }
    text
}

fn batch(namespaces: &Namespaces, commands: String) -> io::Result<()> {
    namespaces.enter(move || {
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = ip.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(commands.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io::Error::other(format!("ip: {said} (of: {})", commands.trim().replace('\n', "; "))))
    })?
}
