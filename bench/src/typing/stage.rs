//! One system on one of netsim's networks with real packets: five programs at the host, and for each
//! a person beyond the path who types into it.

use super::programs::{Program, SIZE};
use crate::download::Download;
use crate::networks::stage::{MOSH_PORT, RelayProcess, mosh_server, wait_for_port};
use crate::pty::Pty;
use crate::sharing::Sharing;
use crate::sshd::Sshd;
use anyhow::Context as _;
use netsim::real::{Lab, LabOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Child, Command};
use std::time::Duration;
use tern_tests::World;

/// Before anybody types, a download has filled the queue.
const FILL_BYTES: u64 = 4_000_000;
/// Hosts of netsim's ready networks: where the programs run (and the relay), and where people type.
const HOST: &str = "relay";
const PERSON: &str = "laptop";
/// Port of the relay, and of sshd.
const PORT: u16 = 2200;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum System {
    /// `tern join` as it is.
    Join,
    /// `tern join --predict=never`: the truth as it comes, for reference.
    Never,
    /// mosh as it is, which predicts on slow links, too.
    Mosh,
    /// Plain ssh.
    Ssh,
}

impl System {
    /// In the table's order.
    pub(crate) const ALL: [Self; 4] = [Self::Join, Self::Mosh, Self::Ssh, Self::Never];

    /// In tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Join => "tern join",
            Self::Never => "never",
            Self::Mosh => "mosh",
            Self::Ssh => "ssh",
        }
    }

    /// Rows of the viewer's terminal: tmux has one for itself.
    fn rows(self) -> u16 {
        match self {
            Self::Join | Self::Never => SIZE.1 + 1,
            Self::Mosh | Self::Ssh => SIZE.1,
        }
    }
}

/// A network to type over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// For tables and the command line.
    pub key: &'static str,
    /// In words.
    pub title: &'static str,
    /// netsim's name of it.
    pub network: &'static str,
    /// No echo comes sooner.
    pub round_trip: Duration,
    /// Somebody downloads beside.
    pub has_download: bool,
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// All of them.
pub(crate) const PLACES: [Place; 5] = [
    place("lan", "LAN", "lan", 0, false),
    place("wifi", "home Wi-Fi and DSL, 40 ms", "home-wifi", 35, false),
    place("lossy", "100 ms, 29 % loss each way", "lossy", 99, false),
    place("lte", "LTE, deep queue, a download beside", "lte", 60, true),
    place("satellite", "satellite, 600 ms", "satellite", 590, false),
];

const fn place(
    key: &'static str,
    title: &'static str,
    network: &'static str,
    round_trip: u64,
    has_download: bool,
) -> Place {
    Place { key, title, network, round_trip: ms(round_trip), has_download }
}

/// A system that runs. All of it ends when this is dropped.
pub(crate) struct Stage {
    /// Where people type, each into one program.
    pub people: Vec<(Program, Pty)>,
    /// Rows of their terminals.
    pub rows: u16,
    _download: Option<Download>,
    _sharings: Vec<Sharing>,
    _sshd: Option<Sshd>,
    _relay: Option<RelayProcess>,
    _lab: Lab,
    _world: World,
}

impl Stage {
    /// Starts `system` over `place`. Every chance of the network is drawn from `seed`.
    pub(crate) fn start(
        system: System,
        place: &Place,
        seed: u64,
        programs: &[Program],
    ) -> anyhow::Result<Self> {
        let world = World::new();
        let description = netsim::networks::ready(place.network).context("netsim has it")??;
        let lab = Lab::new(&description, &LabOptions { seed, ..LabOptions::default() })?;
        lab.start();
        let link = description.links.iter().position(|link| link.lower == HOST);
        let link = u8::try_from(link.context("the host has a link")? + 1)?;
        let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, link, 1), PORT);
        let on = |host: &'static str| {
            let lab = &lab;
            move |command: Command| -> io::Result<Child> { lab.spawn(host, command) }
        };
        let size = (SIZE.0, system.rows());
        let (mut relay, mut sshd, mut sharings) = (None, None, Vec::new());
        let mut people = Vec::new();
        match system {
            System::Join | System::Never => {
                let started = RelayProcess::start(
                    &lab,
                    &world,
                    world.home("relay"),
                    HOST,
                    address,
                    *address.ip(),
                )?;
                let fingerprint = started.fingerprint()?;
                relay = Some(started);
                let reach = ["--relay", &address.to_string(), "--relay-fingerprint", &fingerprint]
                    .map(str::to_owned);
                let more: &[&str] =
                    if system == System::Never { &["--predict=never"] } else { &[] };
                for program in programs {
                    let line = program.command(&world.home(program.name()).join("files"))?;
                    let command = ["--", "sh", "-c", &line];
                    let sharing = Sharing::start_by(&on(HOST), &world, size, &reach, &command)?;
                    sharing.terminal.wait_for("ready-")?;
                    people.push((*program, sharing.join_by_tern(&on(PERSON), size, more)?));
                    sharings.push(sharing);
                }
            }
            System::Mosh => {
                for (number, program) in programs.iter().enumerate() {
                    let line = program.command(&world.home(program.name()).join("files"))?;
                    let port = MOSH_PORT + u16::try_from(number)?;
                    let key = mosh_server(&lab, &world, HOST, port, &line)?;
                    let home = world.home(&world.unique("person"));
                    let mut client = world.command("mosh-client", &home);
                    client.env("MOSH_KEY", key);
                    client.arg(address.ip().to_string()).arg(port.to_string());
                    people.push((*program, Pty::spawn_by(&on(PERSON), &client, size)?));
                }
            }
            System::Ssh => {
                let started = Sshd::start_by(&on(HOST), &world, address)?;
                wait_for_port(&lab, HOST, address)?;
                for program in programs {
                    let line = program.command(&world.home(program.name()).join("files"))?;
                    let command = format!("sh -c '{line}'");
                    people.push((*program, started.run_by(&on(PERSON), size, &command)?));
                }
                sshd = Some(started);
            }
        }
        for (_, person) in &people {
            person.record();
            person.wait_for("ready-")?;
        }
        let download = place
            .has_download
            .then(|| Download::start(&lab, HOST, PERSON, *address.ip(), FILL_BYTES));
        Ok(Self {
            people,
            rows: size.1,
            _download: download.transpose()?,
            _sharings: sharings,
            _sshd: sshd,
            _relay: relay,
            _lab: lab,
            _world: world,
        })
    }
}
