//! Real packets: a network namespace for each host, joined by TUN devices; one loop in user space
//! carries every packet through the same machine as in virtual time.
//!
//! ```text
//!  namespace "laptop"                 this process                  namespace "relay"
//!  ┌───────────────────┐                                          ┌───────────────────┐
//!  │ programs ─► wifi ─┼─ TUN fd ─► forwarder (Network) ─► TUN fd ─┼─► data ─► programs │
//!  └───────────────────┘                                          └───────────────────┘
//! ```
//!
//! **Nothing of it outlives this process**, however it ends. Namespaces have no names: file
//! descriptors hold them. TUN devices are not persistent. All programs run in one PID namespace,
//! whose first process gets SIGKILL when its parent dies, and with it all others do.

mod configure;
pub mod control;
mod forwarder;
mod headers;
mod log;
mod namespace;
mod spawner;
mod tun;

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use crate::address;
use crate::description::{Action, Description, DescriptionError};
use crate::network::{Interface, InterfaceId, Network};
use crate::stats::{Histogram, NetworkStats};
pub use forwarder::become_punctual;
use forwarder::{Order, Remote};
use namespace::Namespaces;
use spawner::Spawner;
use tun::Tun;

pub use spawner::{enter_pid_namespace, prepare_in_namespaces};

/// Events that wait for a slow subscriber; further ones are lost to it.
const EVENTS_WAITING_MAX: usize = 1024;
/// Changes of interfaces that wait for `ip` (some milliseconds each), and events. A timetable that is
/// faster for so long stalls the network: it can't be kept.
const HAPPENINGS_MAX: usize = 4096;
/// How long programs have between SIGTERM and SIGKILL at the end.
const GRACE: Duration = Duration::from_millis(500);

/// Why there is no lab.
#[derive(Debug, Error)]
pub enum LabError {
    /// The description doesn't fit together.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// No rights, or a kernel without what is needed.
    #[error(
        "{what}: {source}; network namespaces and /dev/net/tun need root (or CAP_SYS_ADMIN and CAP_NET_ADMIN)"
    )]
    System {
        /// What was attempted.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No such host.
    #[error("no host \"{0}\"; there are: {1}")]
    NoHost(String, String),
    /// The forwarding loop is gone.
    #[error("the forwarding loop has ended")]
    Ended,
}

/// What a lab is made with.
#[derive(Clone, Debug, Default)]
pub struct LabOptions {
    /// Every chance is drawn from it.
    pub seed: u64,
    /// A folder for a log per link and direction, in Mahimahi's format.
    pub log_folder: Option<PathBuf>,
    /// Leaves the timetable out.
    pub is_without_timetable: bool,
}

/// Statistics of a lab.
#[derive(Clone, Debug, Serialize)]
pub struct LabStats {
    /// Since the start.
    pub elapsed_ms: u64,
    /// What has passed.
    pub network: NetworkStats,
    /// How much later than the network says packets were handed to their hosts: the simulator's own
    /// error.
    pub lateness: Histogram,
    /// Packets that a host's device didn't take.
    pub write_errors: u64,
}

/// Who is told of events. A lock, for callers of the lab add to it while its thread sends.
type Subscribers = Arc<Mutex<Vec<SyncSender<(Duration, Action)>>>>;

/// A described network with real packets. Ends when dropped: programs, namespaces and devices.
pub struct Lab {
    hosts: Vec<(String, Arc<Namespaces>)>,
    spawner: Spawner,
    remote: Remote,
    subscribers: Subscribers,
    happenings: SyncSender<Happening>,
    threads: Vec<JoinHandle<()>>,
}

/// What the forwarding loop leaves to a thread that may take its time.
enum Happening {
    InterfaceChanged(Interface),
    Event(Duration, Action),
    /// Answered when all before it is done.
    Sync(SyncSender<()>),
    Stop,
}

impl Lab {
    /// Makes namespaces and devices; time stands still until [`Self::start`].
    ///
    /// # Errors
    /// Where the description doesn't fit, or the system refuses.
    pub fn new(description: &Description, options: &LabOptions) -> Result<Self, LabError> {
        let mut network = Network::new(description, options.seed)?;
        if options.is_without_timetable {
            network.clear_timetable();
        }
        let system = |what| move |source| LabError::System { what, source };
        let spawner = Spawner::start().map_err(system("making a PID namespace"))?;
        let names = hosts_file(description);
        let mut hosts = Vec::new();
        let mut tuns: Vec<(InterfaceId, Tun)> = Vec::new();
        for host in &description.hosts {
            let interfaces: Vec<Interface> =
                network.interfaces().into_iter().filter(|each| each.host == *host).collect();
            let (namespaces, devices) = namespace::create(&names, &interfaces)
                .map_err(system("making a network namespace with its devices"))?;
            configure::loopback(&namespaces).map_err(system("running \"ip\" (iproute2)"))?;
            for (metric, interface) in interfaces.iter().enumerate() {
                configure::interface(&namespaces, interface, metric)
                    .map_err(system("running \"ip\" (iproute2)"))?;
            }
            let namespaces = Arc::new(namespaces);
            spawner.mount_proc(&namespaces).map_err(system("mounting /proc for a host"))?;
            tuns.extend(interfaces.iter().map(|interface| interface.id).zip(devices));
            hosts.push((host.clone(), namespaces));
        }
        let writer = options.log_folder.as_deref().map(log::Writer::create).transpose();
        let writer = writer.map_err(system("creating the logs' folder"))?;
        Self::with_threads(network, hosts, spawner, tuns, writer)
            .map_err(system("starting threads"))
    }

    fn with_threads(
        network: Network,
        hosts: Vec<(String, Arc<Namespaces>)>,
        spawner: Spawner,
        tuns: Vec<(InterfaceId, Tun)>,
        writer: Option<log::Writer>,
    ) -> io::Result<Self> {
        let subscribers = Arc::new(Mutex::new(Vec::new()));
        let (happenings, happened) = mpsc::sync_channel(HAPPENINGS_MAX);
        let order: Vec<InterfaceId> = tuns.iter().map(|(id, _)| *id).collect();
        let (remote, forwarder) = forwarder::start(network, tuns, happenings.clone(), writer)?;
        let carrier =
            Happened { hosts: hosts.clone(), order, subscribers: Arc::clone(&subscribers) };
        let carrier = std::thread::Builder::new()
            .name("netsim-events".to_owned())
            .spawn(move || carrier.run(&happened))?;
        let threads = vec![forwarder, carrier];
        Ok(Self { hosts, spawner, remote, subscribers, happenings, threads })
    }

    /// Lets time begin.
    pub fn start(&self) {
        self.remote.send(Order::Start);
    }

    /// The hosts' names.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|(name, _)| name.as_str())
    }

    /// Starts a program on a host. It is killed, with all that it started, when the lab ends.
    ///
    /// # Errors
    /// Where there is no such host, or the program can't be started.
    pub fn spawn(&self, host: &str, command: Command) -> io::Result<Child> {
        let namespaces = self.namespaces(host).map_err(io::Error::other)?;
        self.spawner.spawn(command, namespaces)
    }

    /// Runs a function in a host's network namespace, in a thread of its own: the sockets that it
    /// opens are the host's.
    ///
    /// # Errors
    /// Where there is no such host, or the system refuses.
    pub fn in_host<T: Send>(&self, host: &str, run: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.namespaces(host).map_err(io::Error::other)?.enter(run)
    }

    /// Makes an event happen now. Changes of interfaces are done when it returns.
    ///
    /// # Errors
    /// Where it names what the network hasn't.
    pub fn handle_event(&self, action: Action) -> Result<(), LabError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.remote.send(Order::Event(action, reply));
        answer.recv().map_err(|_| LabError::Ended)??;
        let (reply, done) = mpsc::sync_channel(1);
        self.happenings.send(Happening::Sync(reply)).map_err(|_| LabError::Ended)?;
        done.recv().map_err(|_| LabError::Ended)
    }

    /// Statistics so far.
    ///
    /// # Errors
    /// Where the forwarding loop has ended.
    pub fn stats(&self) -> Result<LabStats, LabError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.remote.send(Order::Stats(reply));
        answer.recv().map_err(|_| LabError::Ended)
    }

    /// All events from now on, with their times.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<(Duration, Action)> {
        let (sender, receiver) = mpsc::sync_channel(EVENTS_WAITING_MAX);
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.push(sender);
        receiver
    }

    /// Where another process finds a host: the paths of its network and mount namespaces, and of the
    /// PID namespace, for `setns`. They last as long as the lab.
    ///
    /// # Errors
    /// Where there is no such host.
    pub fn namespace_paths(&self, host: &str) -> Result<[PathBuf; 3], LabError> {
        let [network, mount] = self.namespaces(host)?.paths();
        Ok([network, mount, self.spawner.pid_namespace_path()])
    }

    fn namespaces(&self, host: &str) -> Result<&Arc<Namespaces>, LabError> {
        let found = self.hosts.iter().find(|(name, _)| name == host);
        found.map(|(_, namespaces)| namespaces).ok_or_else(|| {
            let all = self.hosts().collect::<Vec<_>>().join(", ");
            LabError::NoHost(host.to_owned(), all)
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.spawner.stop(GRACE);
        self.remote.send(Order::Stop);
        // An error says that the thread has ended already.
        drop(self.happenings.send(Happening::Stop));
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// Carries out what the forwarding loop has no time for.
struct Happened {
    hosts: Vec<(String, Arc<Namespaces>)>,
    /// All interfaces in the hosts' order: the earlier of a host's are preferred by its kernel.
    order: Vec<InterfaceId>,
    subscribers: Subscribers,
}

impl Happened {
    fn run(self, happened: &Receiver<Happening>) {
        while let Ok(happening) = happened.recv() {
            match happening {
                Happening::InterfaceChanged(interface) => self.configure(&interface),
                Happening::Event(at, action) => {
                    let mut all = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
                    all.retain(|subscriber| {
                        let sent = subscriber.try_send((at, action.clone()));
                        !matches!(sent, Err(mpsc::TrySendError::Disconnected(_)))
                    });
                }
                // An error says that nobody waits any more.
                Happening::Sync(reply) => drop(reply.send(())),
                Happening::Stop => return,
            }
        }
    }

    fn configure(&self, interface: &Interface) {
        let metric = self.order.iter().position(|id| *id == interface.id).unwrap_or(0);
        let host = self.hosts.iter().find(|(name, _)| *name == interface.host);
        if let Some((_, namespaces)) = host
            && let Err(error) = configure::interface(namespaces, interface, metric)
        {
            eprintln!("netsim: {} of {} was not changed: {error}", interface.link, interface.host);
        }
    }
}

/// `/etc/hosts` for all hosts: each knows the others by name.
fn hosts_file(description: &Description) -> String {
    let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for (host, _, addresses) in address::of_hosts(description) {
        for address in addresses {
            text.push_str(&format!("{address} {host}\n"));
        }
    }
    text
}
