//! A network of one's own: a namespace that is joined to this machine by a cable that can be pulled,
//! or a host of a [`Lab`].

use crate::process::{run, text};
use netsim::real::Lab;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A network namespace; clones share it, the last removes it.
#[derive(Clone)]
pub struct Namespace {
    place: Place,
}

#[derive(Clone)]
enum Place {
    /// At a cable to this machine.
    Cabled(Arc<Inner>),
    /// The same, with a file of names.
    Named(Arc<Inner>, PathBuf),
    /// A lab's host: what enters it, and what it lives as long as.
    InLab { enter: Vec<String>, _lab: Arc<Lab> },
}

struct Inner {
    name: String,
    cable: String,
    /// Third byte of the network 10.233.N.0/24.
    number: u8,
}

impl Namespace {
    /// A host of a lab, with this file as `/etc/hosts`. What happens to its network is said to the lab.
    pub fn of_lab(lab: &Arc<Lab>, host: &str, hosts: &Path) -> Self {
        let [network, ..] = lab.namespace_paths(host).expect("a host of the lab");
        let network = format!("--net={}", network.display());
        // The lab's own mounts have a /proc of other processes, so only the names are taken over.
        let mut enter = ["nsenter", &network, "--"].map(str::to_owned).to_vec();
        enter.extend(with_names(hosts));
        Self { place: Place::InLab { enter, _lab: Arc::clone(lab) } }
    }

    /// Makes one with a cable. `None`, with the reason printed, where that takes rights that we don't
    /// have.
    pub fn make() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: network namespaces can only be made by root");
            return None;
        }
        if !crate::process::is_installed("ip") {
            println!("skipped: `ip` (package iproute2) is not installed");
            return None;
        }
        // The number must be free on this machine: other tests run at the same time.
        (1..=250).find_map(|number| {
            let inner =
                Inner { name: format!("tern-t{number}"), cable: format!("tern-t{number}"), number };
            ip(&["netns", "add", &inner.name]).is_ok().then(|| {
                inner.connect();
                Self { place: Place::Cabled(Arc::new(inner)) }
            })
        })
    }

    /// The same, with this file as `/etc/hosts`.
    pub fn with_hosts(&self, hosts: &Path) -> Self {
        Self { place: Place::Named(Arc::clone(self.cable()), hosts.to_owned()) }
    }

    /// This machine's address at the cable.
    pub fn host_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 233, self.cable().number, 1)
    }

    /// What runs a command inside, to be put before it.
    pub fn exec_args(&self) -> Vec<String> {
        match &self.place {
            Place::Cabled(inner) => {
                ["ip", "netns", "exec", &inner.name].map(str::to_owned).to_vec()
            }
            Place::Named(inner, hosts) => {
                let mut enter = ["ip", "netns", "exec", &inner.name].map(str::to_owned).to_vec();
                enter.extend(with_names(hosts));
                enter
            }
            Place::InLab { enter, .. } => enter.clone(),
        }
    }

    fn cable(&self) -> &Arc<Inner> {
        match &self.place {
            Place::Cabled(inner) | Place::Named(inner, _) => inner,
            Place::InLab { .. } => panic!("a lab's host has no cable: make events in the lab"),
        }
    }

    /// Pulls the cable: not a packet more, in either direction, and nobody is told.
    pub fn cut(&self) {
        // The far end goes down, so that this machine's routes stay and only silence comes back.
        ip(&["-n", &self.cable().name, "link", "set", "eth0", "down"]).expect("our own namespace");
    }

    /// Puts it back.
    pub fn mend(&self) {
        ip(&["-n", &self.cable().name, "link", "set", "eth0", "up"]).expect("our own namespace");
    }
}

/// What runs a command that finds names in this file.
fn with_names(hosts: &Path) -> Vec<String> {
    let names = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let words = ["unshare", "--mount", "sh", "-c", names, &hosts.display().to_string()];
    words.map(str::to_owned).to_vec()
}

impl Inner {
    fn connect(&self) {
        let Inner { name, cable, number } = self;
        let (ours, theirs) = (format!("10.233.{number}.1/24"), format!("10.233.{number}.2/24"));
        let steps: &[&[&str]] = &[
            &["link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name],
            &["addr", "add", &ours, "dev", cable],
            &["link", "set", cable, "up"],
            &["-n", name, "addr", "add", &theirs, "dev", "eth0"],
            &["-n", name, "link", "set", "eth0", "up"],
            &["-n", name, "link", "set", "lo", "up"],
        ];
        for step in steps {
            if let Err(error) = ip(step) {
                panic!("ip {}: {error}", step.join(" "));
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = ip(&["link", "delete", &self.cable]);
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = run(Command::new("ip").args(args));
    if output.status.success() { Ok(()) } else { Err(text(&output)) }
}
