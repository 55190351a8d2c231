//! A real sshd on a free port, for comparison.

use crate::pty::{Pty, SIZE, Starter, wait_until};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tern_tests::World;
use tern_tests::process::is_installed;
use tern_tests::viewer::ssh_options;

/// An SSH server with one user (whoever runs this) and one key.
pub(crate) struct Sshd {
    world: World,
    child: Child,
    address: SocketAddrV4,
    folder: PathBuf,
}

impl Sshd {
    /// Starts it.
    pub(crate) fn start(world: &World) -> anyhow::Result<Self> {
        let port = tern_tests::ports::free(Ipv4Addr::LOCALHOST);
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let sshd = Self::start_by(&|mut command| command.spawn(), world, address)?;
        wait_until("sshd listens", || TcpStream::connect(address).is_ok())?;
        Ok(sshd)
    }

    /// The same, started by `starter` to listen on `address` soon.
    pub(crate) fn start_by(
        starter: Starter<'_>,
        world: &World,
        address: SocketAddrV4,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(is_installed("sshd"), "sshd is missing: install openssh-server");
        let folder = world.home("sshd");
        for name in ["host_key", "user_key"] {
            let path = folder.join(name);
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path)
                .stdin(Stdio::null())
                .status()?;
            anyhow::ensure!(status.success(), "ssh-keygen failed");
        }
        let path = folder.display();
        let config = format!(
            "ListenAddress {address}\nHostKey {path}/host_key\nPidFile none\nUsePAM no\n\
             AuthorizedKeysFile {path}/user_key.pub\nStrictModes no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\n\
             PrintLastLog no\n"
        );
        fs::write(folder.join("config"), config)?;
        // Debian's sshd wants its empty folder for privilege separation.
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd")?;
        }
        let log = fs::File::create(folder.join("sshd.log"))?;
        let mut command = world.command("/usr/sbin/sshd", &folder);
        command.arg("-f").arg(folder.join("config")).args(["-D", "-e"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = starter(command)?;
        Ok(Self { world: world.clone(), child, address, folder })
    }

    /// Runs a command behind ssh, in a terminal.
    pub(crate) fn run(&self, command: &str) -> anyhow::Result<Pty> {
        self.run_by(&|mut command| command.spawn(), SIZE, command)
    }

    /// The same, with an ssh started by `starter` in a terminal of `size`.
    pub(crate) fn run_by(
        &self,
        starter: Starter<'_>,
        size: (u16, u16),
        command: &str,
    ) -> anyhow::Result<Pty> {
        let mut ssh = self.ssh();
        ssh.arg("-tt").arg(self.destination()?).arg(command);
        Pty::spawn_by(starter, &ssh, size)
    }

    /// An ssh that will run a command without a terminal.
    pub(crate) fn command(&self, command: &str) -> anyhow::Result<Command> {
        let mut ssh = self.ssh();
        ssh.arg(self.destination()?).arg(command);
        Ok(ssh)
    }

    fn ssh(&self) -> Command {
        let home = self.world.home(&self.world.unique("person"));
        let args = ssh_options(&self.world.folder().join("known_hosts"), "accept-new");
        let mut ssh = self.world.command(&args[0], &home);
        ssh.args(&args[1..]).arg("-i").arg(self.folder.join("user_key"));
        ssh.args(["-p", &self.address.port().to_string()]);
        ssh
    }

    fn destination(&self) -> anyhow::Result<String> {
        let user = Command::new("id").arg("-un").output()?.stdout;
        let user = String::from_utf8_lossy(&user).trim().to_owned();
        Ok(format!("{user}@{}", self.address.ip()))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
