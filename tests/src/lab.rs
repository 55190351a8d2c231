//! A shared session in a described network with real packets: host - NAT - internet - relay, and a
//! guest behind another NAT. Who joins by ssh sits beside the relay, so that only the host meets what
//! happens to the network; who joins by `tern` is the guest.

use crate::host::{Host, HostOptions};
use crate::netns::Namespace;
use crate::process::text;
use crate::relay::Relay;
use crate::viewer::{Viewer, ViewerOptions};
use crate::world::World;
use netsim::link::settings::{Blockable, Change};
use netsim::real::{Lab, LabOptions};
use netsim::stats::DropReason;
use netsim::{Action, Description, Link, Nat};
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the relay listens: at its addresses of both families.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 2200);
/// Name of the relay in the lab.
pub const RELAY: &str = "relay";
/// `/etc/hosts` in the lab.
const NAMES: &str = "127.0.0.1 localhost\n10.0.3.1 relay\n2001:db8:3::1 relay\n";
/// The link that the host is at.
pub const WIFI: &str = "wifi";
/// The NAT that the host is behind.
pub const HOME: &str = "home";
/// Name of the host in the lab.
pub const HOST: &str = "laptop";
/// Name of a viewer's machine in the lab.
pub const GUEST: &str = "guest";
/// The link that the guest is at.
pub const HOTSPOT: &str = "hotspot";
/// The NAT that the guest is behind.
pub const CAFE: &str = "cafe";
/// How long a packet from the host takes to the NAT, and from there to the internet.
const DELAY: Duration = Duration::from_millis(5);

/// Such a network with a relay in it.
pub struct Labbed {
    /// The sandbox.
    pub world: World,
    /// In between; `None` while there is none.
    pub relay: Option<Relay>,
    /// Columns and rows of the terminals.
    pub size: (u16, u16),
    folder: PathBuf,
    lab: Arc<Lab>,
}

impl Labbed {
    /// Makes the network and starts the relay. `None`, with the reason printed, where the rights for
    /// it are missing.
    pub fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: a network with real packets can only be made by root");
            return None;
        }
        let description = Description::new()
            .host(HOST)
            .host(RELAY)
            .nat(Nat::new(HOME))
            .link(Link::new(WIFI, HOST, HOME).delay(DELAY))
            .link(Link::new("dsl", HOME, "internet").delay(DELAY))
            .link(Link::new("data", RELAY, "internet"))
            .host(GUEST)
            .nat(Nat::new(CAFE))
            .link(Link::new(HOTSPOT, GUEST, CAFE).delay(DELAY))
            .link(Link::new("cable", CAFE, "internet").delay(DELAY));
        let lab = Lab::new(&description, &LabOptions::default()).expect("root may make a lab");
        lab.start();
        let world = World::new();
        let folder = world.home("relay");
        fs::write(folder.join("hosts"), NAMES).expect("the sandbox can be written");
        let size = (80, 24);
        let mut labbed = Self { world, relay: None, size, folder, lab: Arc::new(lab) };
        labbed.start_relay();
        Some(labbed)
    }

    fn place(&self, host: &str) -> Namespace {
        Namespace::of_lab(&self.lab, host, &self.folder.join("hosts"))
    }

    /// Starts the relay, with the data folder of before if there was one.
    pub fn start_relay(&mut self) {
        let place = self.place(RELAY);
        let folder = self.folder.clone();
        self.relay = Some(Relay::start_at(&self.world, folder, LISTEN, RELAY, Some(&place), &[]));
    }

    /// Kills the relay as a crash would.
    pub fn kill_relay(&mut self) {
        self.relay = None;
    }

    /// Shares a shell from the laptop.
    pub fn share(&self) -> Host {
        let namespace = Some(self.place(HOST));
        let options = HostOptions { namespace, size: self.size, ..HostOptions::default() };
        Host::share_with(&self.world, self.relay.as_ref(), options)
    }

    /// Joins, and waits until the session shows.
    pub fn join(&self, host: &Host) -> Viewer {
        let viewer = self.open(host);
        viewer.wait_until_same(host);
        viewer
    }

    /// Runs `ssh`, and waits for nothing.
    pub fn open(&self, host: &Host) -> Viewer {
        let namespace = Some(self.place(RELAY));
        let options = ViewerOptions { namespace, size: self.size, ..ViewerOptions::default() };
        Viewer::open(&self.world, &host.read_write, options)
    }

    /// The guest joins by `tern`, and waits until the session shows.
    pub fn join_by_tern(&self, host: &Host) -> Viewer {
        let options = self.guest(ViewerOptions::tern());
        let viewer = Viewer::open(&self.world, &host.read_write, options);
        viewer.wait_until_same(host);
        viewer
    }

    /// The same options for somebody at the guest's place.
    pub fn guest(&self, options: ViewerOptions) -> ViewerOptions {
        let namespace = Some(self.place(GUEST));
        ViewerOptions { namespace, size: self.size, ..options }
    }

    /// Makes something happen to the network.
    pub fn happens(&self, action: Action) {
        self.lab.handle_event(action).expect("the lab has such a thing");
    }

    /// From now on no UDP passes.
    pub fn block_udp(&self) {
        self.happens(Action::block_udp(WIFI));
    }

    /// UDP passes again.
    pub fn unblock_udp(&self) {
        self.happens(Action::set(WIFI, Change::Unblock(Blockable::Udp)));
    }

    /// Waits until `tern status` says this.
    #[track_caller]
    pub fn wait_for_status(&self, host: &Host, said: &str) {
        self.world.wait_until_ok(&format!("`tern status` says {said:?}"), || {
            let status = text(&host.tern(&["status"]));
            if status.contains(said) { Ok(()) } else { Err(status) }
        });
    }

    /// Packets that were too big for the host's link so far.
    pub fn too_big(&self) -> u64 {
        let stats = self.lab.stats().expect("the lab lives").network;
        let links = stats.links.iter().filter(|each| each.link == WIFI);
        links
            .flat_map(|each| [&each.up, &each.down])
            .map(|path| path.dropped(DropReason::TooBig))
            .sum()
    }

    /// What `tern show-messages` says.
    pub fn messages(&self, host: &Host) -> String {
        text(&host.tern(&["show-messages"]))
    }
}
