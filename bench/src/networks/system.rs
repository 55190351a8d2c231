//! What is measured side by side, and how: each in a network of its own, all described alike, at the
//! same time.

use super::place::{HOST, Place, VIEWER};
use super::stage::{Setting, Stage};
use std::process::Command;
use tern_tests::process::{find_program, is_installed};

/// A system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum System {
    /// Host, relay, and a viewer by stock ssh beside the relay.
    Tern,
    /// Host and relay, and a viewer by `tern join`, without prediction, beyond the path.
    Join,
    /// `mosh-server` and `mosh-client`, without prediction.
    Mosh,
    /// `sshd` and `ssh`. tmate's way from the host to its server is TCP too, so it stands for that.
    Ssh,
}

impl System {
    /// All, in the table's order.
    pub(crate) const ALL: [Self; 4] = [Self::Tern, Self::Join, Self::Mosh, Self::Ssh];

    /// In the table, and as a folder's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tern => "Tern",
            Self::Join => "tern join",
            Self::Mosh => "mosh",
            Self::Ssh => "ssh",
        }
    }

    /// The same in the name of a file, also one that a shell reads.
    pub(crate) fn file_name(self) -> String {
        self.name().replace(' ', "-")
    }

    /// Whose address may change: Tern's host, or its guest; mosh survives only its client's moves.
    pub(crate) fn mobile(self) -> &'static str {
        match self {
            Self::Tern => HOST,
            Self::Join | Self::Mosh | Self::Ssh => VIEWER,
        }
    }
}

/// What a system's run gave; an error says why there is nothing.
pub(crate) type Outcome<T> = (System, anyhow::Result<T>);

/// Starts `systems`, all at once, and measures each.
pub(crate) fn side_by_side<T: Send>(
    systems: &[System],
    place: impl Fn(System) -> Place + Sync,
    setting: &Setting<'_>,
    measure: impl Fn(&mut Stage) -> anyhow::Result<T> + Sync,
) -> Vec<Outcome<T>> {
    let run = |system| {
        let mut stage = Stage::start(system, &place(system), setting)?;
        measure(&mut stage)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> =
            systems.iter().map(|system| (*system, scope.spawn(|| run(*system)))).collect();
        running
            .into_iter()
            .map(|(system, thread)| {
                let ended = || anyhow::anyhow!("panicked; its message is above");
                (system, thread.join().unwrap_or_else(|_| Err(ended())))
            })
            .collect()
    })
}

/// Programs that all need, and those that a system needs, with their Debian packages.
const NEEDS: [(&str, &str); 3] = [("tmux", "tmux"), ("ssh", "openssh-client"), ("ip", "iproute2")];

fn needs(system: System) -> &'static [(&'static str, &'static str)] {
    match system {
        System::Tern | System::Join => &[],
        System::Mosh => &[("mosh-server", "mosh"), ("mosh-client", "mosh")],
        System::Ssh => &[("sshd", "openssh-server")],
    }
}

/// Installs what `systems` miss, or says what it is; and whoever runs this has to be root.
pub(crate) fn require_programs(systems: &[System]) -> anyhow::Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    anyhow::ensure!(
        is_root,
        "network namespaces need root{}",
        match missing(systems).as_slice() {
            [] => String::new(),
            packages => format!("; packages needed, too: {}", packages.join(" ")),
        }
    );
    require_packages(systems)
}

/// Installs what `systems` miss, or says what it is.
pub(crate) fn require_packages(systems: &[System]) -> anyhow::Result<()> {
    let packages = missing(systems);
    let is_root = rustix::process::geteuid().is_root();
    if is_root && !packages.is_empty() && find_program("apt-get").is_file() {
        println!("installing {}", packages.join(" "));
        apt_get(&["update", "-qq"])?;
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        apt_get(&[&install, packages.as_slice()].concat())?;
    }
    let packages = missing(systems);
    anyhow::ensure!(packages.is_empty(), "these packages are needed: {}", packages.join(" "));
    Ok(())
}

fn missing(systems: &[System]) -> Vec<&'static str> {
    let all = NEEDS.iter().chain(systems.iter().flat_map(|system| needs(*system)));
    let all = all.filter(|(program, _)| !is_installed(program));
    let mut packages: Vec<&str> = all.map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

fn apt_get(args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    let output = command.args(args).env("DEBIAN_FRONTEND", "noninteractive").output()?;
    let said = tern_tests::process::text(&output);
    anyhow::ensure!(output.status.success(), "apt-get {}: {said}", args.join(" "));
    Ok(())
}
