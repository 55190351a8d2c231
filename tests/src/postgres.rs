//! A real PostgreSQL server, from Debian's package, in a folder of its own on a port of its own.

use crate::certified::Certified;
use crate::process::{MARK, run, send_signal, text};
use crate::world::World;
use crate::{ports, process};
use rustix::process::Signal;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Of the superuser; a server that asks for none would not show that it is handed over.
const PASSWORD: &str = "pass";
/// As whom it runs if the tests run as root, which it refuses.
const SYSTEM_USER: &str = "postgres";

/// A running server.
pub struct Postgres {
    world: World,
    programs: PathBuf,
    folder: TempDir,
    child: Option<Child>,
    port: u16,
    speaks_tls: bool,
}

impl Postgres {
    /// Makes a database and starts its server.
    pub fn start(world: &World) -> Self {
        Self::start_with(world, None)
    }

    /// The same with TLS.
    pub fn start_tls(world: &World, certified: &Certified) -> Self {
        Self::start_with(world, Some(certified))
    }

    fn start_with(world: &World, certified: Option<&Certified>) -> Self {
        // Not in the sandbox's own folder, into which no other user can look.
        let folder = tempfile::Builder::new().prefix("tern-pg-").tempdir().expect("a folder");
        if rustix::process::geteuid().is_root() {
            let mut chown = Command::new("chown");
            let done = run(chown.arg(SYSTEM_USER).arg(folder.path()));
            assert!(done.status.success(), "{}", text(&done));
        }
        let password = world.folder().join("password");
        fs::write(&password, PASSWORD).expect("the sandbox can be written");
        let port = ports::free(Ipv4Addr::LOCALHOST);
        let programs = find_programs();
        let speaks_tls = certified.is_some();
        let mut server =
            Self { world: world.clone(), programs, folder, child: None, port, speaks_tls };
        let mut init = server.program("initdb");
        init.args([
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "--pwfile=/dev/stdin",
            "--no-sync",
            "-D",
        ]);
        init.arg(server.data()).stdin(File::open(password).expect("just written"));
        let done = run(&mut init);
        assert!(done.status.success(), "initdb: {}", text(&done));
        if let Some(certified) = certified {
            server.write_certificate(certified);
        }
        server.start_again();
        server
    }

    /// What connects to it.
    pub fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// The same over TLS, whose certificate must be by this authority.
    pub fn tls_url(&self, authority: &Path) -> String {
        format!(
            "postgres://postgres:{PASSWORD}@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}",
            self.port,
            authority.display()
        )
    }

    /// Under the names where PostgreSQL looks for them. Only its user may read the key.
    fn write_certificate(&self, certified: &Certified) {
        let (certificate, key) = certified.pems();
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let source = self.world.folder().join(name);
            fs::write(&source, text).expect("the sandbox can be written");
            let mut install = Command::new("install");
            install.args(["-m", "600"]);
            if rustix::process::geteuid().is_root() {
                install.args(["-o", SYSTEM_USER]);
            }
            let done = run(install.arg(source).arg(self.data().join(name)));
            assert!(done.status.success(), "{}", process::text(&done));
        }
    }

    /// It is gone at once, as in a crash.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            send_signal(child.id().try_into().expect("process numbers fit"), Signal::QUIT);
            let _ = child.wait();
        }
    }

    /// The same database, at the same port.
    pub fn start_again(&mut self) {
        let log = self.world.folder().join("postgres.log");
        let log = File::options().create(true).append(true).open(log).expect("our own folder");
        let mut server = self.program("postgres");
        server.arg("-D").arg(self.data()).args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        server.args([
            "-c",
            "unix_socket_directories=",
            "-c",
            "fsync=off",
            "-c",
            "shared_buffers=8MB",
        ]);
        if self.speaks_tls {
            server.args(["-c", "ssl=on"]);
        }
        server.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        self.child = Some(server.spawn().expect("postgres can be started"));
        self.world.wait_until("PostgreSQL is ready", || {
            let mut asked = self.program("pg_isready");
            asked.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            run(&mut asked).status.success()
        });
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={SYSTEM_USER}")).arg(format!("--regid={SYSTEM_USER}"));
            command.arg("--clear-groups").arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.env(MARK, self.world.folder()).current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian keeps them outside of the search path, a folder for each version.
fn find_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let is_there = |folder: &Path| folder.join("initdb").exists();
    let newest = folders.into_iter().rev().find(|folder| is_there(folder));
    newest.unwrap_or_else(|| {
        assert!(process::is_installed("initdb"), "PostgreSQL is not installed: run ./test");
        PathBuf::new()
    })
}
