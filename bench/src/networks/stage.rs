//! One system on a network with real packets: the host's program, and a viewer who types into it.

use super::place::{FAR, HOST, Halfway, Place, VIEWER};
use super::system::System;
use crate::download::Download;
use crate::pty::{Pty, Starter, wait_until};
use crate::sharing::Sharing;
use crate::sshd::Sshd;
use anyhow::Context as _;
use netsim::Action;
use netsim::real::{Lab, LabOptions};
use netsim::stats::PathStats;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tern_tests::World;
use tern_tests::process::{binary, text};
use tern_tests::relay::find_fingerprint;

/// Port of the relay, and of sshd.
const PORT: u16 = 2200;
/// mosh's first port.
pub(crate) const MOSH_PORT: u16 = 60_001;
/// How long a port may take to open.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(20);

/// What a row asks for.
pub(crate) struct Setting<'a> {
    /// Every chance of the network is drawn from it.
    pub seed: u64,
    /// Columns and rows of all terminals.
    pub size: (u16, u16),
    /// A command for `sh`, run in the host's terminal; it prints `ready-` first. `SYSTEM` in it
    /// stands for the system's name.
    pub program: &'a str,
    /// Gets logs of single packets.
    pub log_folder: Option<&'a Path>,
}

/// A system that runs. All of it ends when this is dropped.
pub(crate) struct Stage {
    /// Which one.
    pub system: System,
    /// Where a person types and looks.
    pub viewer: Pty,
    /// Who is behind the NAT, if there is one.
    pub mobile: Option<&'static str>,
    host_address: Ipv4Addr,
    size: (u16, u16),
    sharing: Option<Sharing>,
    _sshd: Option<Sshd>,
    relay: Option<RelayProcess>,
    lab: Lab,
    world: World,
}

/// A `tern-relay` that runs.
pub(crate) struct RelayProcess {
    child: Child,
    folder: PathBuf,
    /// Which host it runs on.
    at: &'static str,
    address: SocketAddrV4,
    /// The one that is in viewers' lines.
    name: Ipv4Addr,
}

impl Stage {
    /// Starts `system` at `place`, and waits until the program is ready before the viewer's eyes.
    pub(crate) fn start(
        system: System,
        place: &Place,
        setting: &Setting<'_>,
    ) -> anyhow::Result<Self> {
        let world = World::new();
        let log_folder = setting.log_folder.map(|folder| folder.join(system.name()));
        let options = LabOptions { seed: setting.seed, log_folder, ..LabOptions::default() };
        let lab = Lab::new(&place.description, &options)?;
        lab.start();
        if let Some(Halfway { at, .. }) = place.relay {
            // A host of netsim's routes all over its first link.
            let fixed = if place.mobile == Some(HOST) { place.viewer } else { place.host };
            let mut route = Command::new("ip");
            route.args(["route", "replace", &fixed.to_string(), "dev", FAR]);
            let output = lab.spawn(at, route)?.wait_with_output()?;
            anyhow::ensure!(output.status.success(), "no route to {fixed}");
        }
        let size = setting.size;
        let program = &setting.program.replace("SYSTEM", &system.file_name());
        let on = |host: &'static str| {
            let lab = &lab;
            move |command: Command| -> io::Result<Child> { lab.spawn(host, command) }
        };
        let (mut relay, mut sharing, mut sshd) = (None, None, None);
        let viewer = match system {
            System::Tern | System::Join => {
                let beside = match system {
                    System::Join => Halfway { at: HOST, addresses: (place.host, place.host) },
                    _ => Halfway { at: VIEWER, addresses: (place.viewer, place.viewer) },
                };
                let Halfway { at, addresses: (address, viewers) } = place.relay.unwrap_or(beside);
                let address = SocketAddrV4::new(address, PORT);
                let home = world.home("relay");
                let started = RelayProcess::start(&lab, &world, home, at, address, viewers)?;
                let fingerprint = started.fingerprint()?;
                relay = Some(started);
                let reach = ["--relay", &address.to_string(), "--relay-fingerprint", &fingerprint]
                    .map(str::to_owned);
                let more = ["--", "sh", "-c", program];
                let shared = Sharing::start_by(&on(HOST), &world, size, &reach, &more)?;
                sharing = Some(shared);
                let shared = sharing.as_ref().expect("just set");
                shared.terminal.wait_for("ready-")?;
                join(shared, system, &on(VIEWER), size)?
            }
            System::Mosh => {
                let key = mosh_server(&lab, &world, HOST, MOSH_PORT, program)?;
                let mut client = world.command("mosh-client", &world.home("person"));
                client.env("MOSH_KEY", key).env("MOSH_PREDICTION_DISPLAY", "never");
                client.arg(place.host.to_string()).arg(MOSH_PORT.to_string());
                Pty::spawn_by(&on(VIEWER), &client, size)?
            }
            System::Ssh => {
                let address = SocketAddrV4::new(place.host, PORT);
                let started = Sshd::start_by(&on(HOST), &world, address)?;
                wait_for_port(&lab, HOST, address)?;
                let pty = started.run_by(&on(VIEWER), size, &format!("sh -c '{program}'"))?;
                sshd = Some(started);
                pty
            }
        };
        let mobile = place.mobile;
        let host_address = place.host;
        let stage = Self {
            system,
            viewer,
            mobile,
            host_address,
            size,
            sharing,
            _sshd: sshd,
            relay,
            lab,
            world,
        };
        stage.viewer.wait_for("ready-")?;
        Ok(stage)
    }

    /// Makes something happen to the network.
    pub(crate) fn event(&self, action: Action) -> anyhow::Result<()> {
        Ok(self.lab.handle_event(action)?)
    }

    /// What went over the line so far: from the host, and to it.
    pub(crate) fn passed(&self) -> anyhow::Result<(PathStats, PathStats)> {
        let stats = self.lab.stats()?.network;
        let line = stats.links.into_iter().next().context("a network has links")?;
        let is_host_below = self.mobile.is_none_or(|mobile| mobile == HOST);
        Ok(if is_host_below { (line.up, line.down) } else { (line.down, line.up) })
    }

    /// Somebody beside the viewer begins to download from the host, and has got so much already.
    pub(crate) fn download(&self, fill_bytes: u64) -> anyhow::Result<Download> {
        Download::start(&self.lab, HOST, VIEWER, self.host_address, fill_bytes)
    }

    /// Kills the relay without warning and starts it again; returns when it listens.
    pub(crate) fn restart_relay(&mut self) -> anyhow::Result<()> {
        let mut relay = self.relay.take().context("this system has no relay")?;
        relay.child.kill()?;
        relay.child.wait()?;
        let (folder, at, address, name) =
            (relay.folder.clone(), relay.at, relay.address, relay.name);
        let relay = RelayProcess::start(&self.lab, &self.world, folder, at, address, name)?;
        self.relay = Some(relay);
        Ok(())
    }

    /// The shared terminal itself, and the viewer's.
    pub(crate) fn terminals(&mut self) -> anyhow::Result<(&mut Pty, &Pty)> {
        let sharing = self.sharing.as_mut().context("this system shares nothing")?;
        Ok((&mut sharing.terminal, &self.viewer))
    }

    /// Another viewer joins with the session's line.
    pub(crate) fn join_again(&self) -> anyhow::Result<Pty> {
        let sharing = self.sharing.as_ref().context("this system shares nothing")?;
        join(sharing, self.system, &|command| self.lab.spawn(VIEWER, command), self.size)
    }
}

/// By what `system` joins with.
fn join(
    sharing: &Sharing,
    system: System,
    starter: Starter<'_>,
    size: (u16, u16),
) -> anyhow::Result<Pty> {
    match system {
        System::Join => sharing.join_by_tern(starter, size, &["--predict=never"]),
        System::Tern | System::Mosh | System::Ssh => sharing.join_by(starter, size),
    }
}

impl RelayProcess {
    /// Starts it; returns when it listens. Viewers are told to join at `name`.
    pub(crate) fn start(
        lab: &Lab,
        world: &World,
        folder: PathBuf,
        at: &'static str,
        address: SocketAddrV4,
        name: Ipv4Addr,
    ) -> anyhow::Result<Self> {
        let output = File::create(folder.join("output.log"))?;
        let mut command = world.command(binary("tern-relay"), &folder);
        let listen = format!("0.0.0.0:{}", address.port());
        command.args(["--listen", &listen, "--host", &name.to_string()]);
        command.arg("--data").arg(folder.join("data"));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = lab.spawn(at, command)?;
        wait_for_port(lab, at, address)?;
        Ok(Self { child, folder, at, address, name })
    }

    /// Of its host key, as it prints it.
    pub(crate) fn fingerprint(&self) -> anyhow::Result<String> {
        let mut found = None;
        wait_until("the relay prints its fingerprint", || {
            let text = fs::read_to_string(self.folder.join("output.log")).unwrap_or_default();
            found = find_fingerprint(&text);
            found.is_some()
        })?;
        found.context("just found")
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `host` itself can connect to `address`. A millisecond matters where a restart is
/// measured.
pub(crate) fn wait_for_port(lab: &Lab, host: &str, address: SocketAddrV4) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    while !lab.in_host(host, || TcpStream::connect(address).is_ok())? {
        anyhow::ensure!(start.elapsed() < LISTEN_TIME_MAX, "nobody listens on {address}");
        crate::pty::pause(Duration::from_millis(1));
    }
    Ok(())
}

/// Starts a `mosh-server` on `host` as `mosh` does over ssh; gives the key.
pub(crate) fn mosh_server(
    lab: &Lab,
    world: &World,
    host: &str,
    port: u16,
    program: &str,
) -> anyhow::Result<String> {
    let mut command = world.command("mosh-server", &world.home("host"));
    command.args(["new", "-c", "256", "-p", &port.to_string(), "--", "sh", "-c", program]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = text(&lab.spawn(host, command)?.wait_with_output()?);
    mosh_key(&said).with_context(|| format!("mosh-server gave no key: {said}"))
}

/// The key in `MOSH CONNECT 60001 KEY`.
pub(crate) fn mosh_key(said: &str) -> Option<String> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("MOSH CONNECT "))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_of_mosh_is_found_among_what_it_says() {
        let said =
            "\r\n\r\nMOSH CONNECT 60001 MiAeSt4ymX8HCdvY9ZWVtw\r\n\r\nmosh-server (mosh 1)\n";
        assert_eq!(mosh_key(said).as_deref(), Some("MiAeSt4ymX8HCdvY9ZWVtw"));
        assert_eq!(mosh_key("Network error"), None);
    }
}
