//! A real `tern-relay`.

use crate::netns::Namespace;
use crate::process::{binary, is_running, send_signal};
use crate::world::World;
use crate::{ports, process};
use rustix::process::Signal;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;

/// A relay in its own process.
pub struct Relay {
    world: World,
    child: Mutex<Child>,
    output: PathBuf,
    /// Address that it listens on.
    pub address: IpAddr,
    /// Port of SSH (TCP) and QUIC (UDP).
    pub port: u16,
    /// Its host key's fingerprint, as printed.
    pub fingerprint: String,
    /// Address or name that it is reached by.
    host: String,
    folder: PathBuf,
}

impl Relay {
    /// Starts a relay on a free port of 127.0.0.1.
    pub fn start(world: &World) -> Self {
        Self::start_with(world, Ipv4Addr::LOCALHOST, &[])
    }

    /// Starts a relay on a free port of `address` with more flags.
    pub fn start_with(world: &World, address: impl Into<IpAddr>, flags: &[&str]) -> Self {
        let folder = world.home(&world.unique("relay"));
        let address = address.into();
        Self::start_in(world, folder, address, ports::free(address), flags)
    }

    /// Starts a relay with this home, address and port; what it needs is there afterwards.
    pub fn start_in(
        world: &World,
        folder: PathBuf,
        address: impl Into<IpAddr>,
        port: u16,
        flags: &[&str],
    ) -> Self {
        let address = address.into();
        let at = SocketAddr::new(address, port);
        Self::start_at(world, folder, at, &address.to_string(), None, flags)
    }

    /// The same in another network, under a name that is known there.
    pub fn start_at(
        world: &World,
        folder: PathBuf,
        at: SocketAddr,
        host: &str,
        namespace: Option<&Namespace>,
        flags: &[&str],
    ) -> Self {
        let output = folder.join("output.log");
        let log = File::create(&output).expect("the sandbox can be written");
        let mut words = namespace.map_or_else(Vec::new, Namespace::exec_args);
        words.push(binary("tern-relay").display().to_string());
        let mut command = world.command(&words[0], &folder);
        command.args(&words[1..]);
        command.args(["--listen", &at.to_string(), "--host", host]);
        command.arg("--data").arg(folder.join("data"));
        // What covers a row for seconds holds up everybody who waits for two terminals to be the
        // same; whoever wants it says so.
        command.env("TERN_RELAY_HINT_TIME", "0").args(flags);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be shared"));
        let child = command.stderr(log).spawn().expect("tern-relay can be started");
        let mut relay = Self {
            world: world.clone(),
            child: Mutex::new(child),
            output,
            address: at.ip(),
            host: host.to_owned(),
            port: at.port(),
            fingerprint: String::new(),
            folder,
        };
        relay.fingerprint = world.wait_for("the relay prints its fingerprint", || {
            assert!(relay.is_running(), "tern-relay ended: {}", relay.output());
            find_fingerprint(&relay.output())
        });
        relay
    }

    /// All it has printed and logged.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// What `tern --relay` and `ssh` need to reach it.
    pub fn name(&self) -> String {
        match self.host.parse() {
            Ok(address) => SocketAddr::new(address, self.port).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }

    /// Number of its process.
    pub fn pid(&self) -> i32 {
        self.child().id().try_into().expect("process numbers fit")
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        is_running(self.pid())
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        process::resident_bytes(self.pid()).unwrap_or(0)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// Waits until it has ended and returns its exit code (`None`: killed by a signal).
    pub fn wait(&self) -> Option<i32> {
        let mut child = self.child();
        self.world.wait_for("the relay ends", || child.try_wait().expect("our own child")).code()
    }

    /// Its home, to start it again with the same identity.
    pub fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().expect("no test panics while it holds this")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The first `SHA256:...` in a text.
pub fn find_fingerprint(text: &str) -> Option<String> {
    let start = text.find("SHA256:")?;
    let end = text[start..]
        .find(|c: char| c.is_whitespace() || c == '"' || c == '\'')
        .map_or(text.len(), |length| start + length);
    // A line that is still being written has no end yet.
    (end < text.len()).then(|| text[start..end].to_owned())
}
