//! A host's namespaces: its network, and mounts in which `/etc/hosts` knows all hosts.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::network::Interface;
use crate::real::tun::Tun;

/// Namespaces that live as long as this, and what runs in them.
#[derive(Debug)]
pub(crate) struct Namespaces {
    network: File,
    mount: File,
}

/// Makes namespaces, and a TUN device in them for each interface.
pub(crate) fn create(
    hosts_file: &str,
    interfaces: &[Interface],
) -> io::Result<(Namespaces, Vec<Tun>)> {
    // A thread of its own, for namespaces are a thread's.
    in_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        replace_hosts_file(hosts_file)?;
        // A host with two ways out gets answers on the one that its routes don't prefer.
        for scope in ["all", "default"] {
            fs::write(format!("/proc/sys/net/ipv4/conf/{scope}/rp_filter"), "0")?;
        }
        let tuns = interfaces.iter().map(|interface| Tun::create(&interface.link));
        let tuns = tuns.collect::<io::Result<Vec<_>>>()?;
        let network = File::open("/proc/thread-self/ns/net")?;
        let mount = File::open("/proc/thread-self/ns/mnt")?;
        Ok((Namespaces { network, mount }, tuns))
    })?
}

impl Namespaces {
    /// Runs a function in the network namespace.
    pub(crate) fn enter<T: Send>(&self, run: impl FnOnce() -> T + Send) -> io::Result<T> {
        in_thread(|| {
            setns(&self.network, CloneFlags::CLONE_NEWNET)?;
            Ok(run())
        })?
    }

    pub(crate) fn network(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }

    pub(crate) fn mount(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }

    /// Paths by which other processes reach them.
    pub(crate) fn paths(&self) -> [PathBuf; 2] {
        let path = |file: &File| format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        [path(&self.network).into(), path(&self.mount).into()]
    }
}

/// Binds a file of our own over `/etc/hosts`, in this mount namespace only. The file lives on a tmpfs
/// that nobody else sees and that goes with the namespace.
fn replace_hosts_file(text: &str) -> io::Result<()> {
    const HOSTS: &str = "/etc/hosts";
    // Covered by the tmpfs for a moment; any folder does.
    const COVERED: &str = "/tmp";
    if !Path::new(HOSTS).exists() {
        return Ok(());
    }
    let none = None::<&str>;
    mount(Some("tmpfs"), COVERED, Some("tmpfs"), MsFlags::empty(), Some("size=1m,mode=755"))?;
    let bound = fs::write("/tmp/hosts", text)
        .and_then(|()| Ok(mount(Some("/tmp/hosts"), HOSTS, none, MsFlags::MS_BIND, none)?));
    umount2(COVERED, MntFlags::MNT_DETACH)?;
    bound
}

fn in_thread<T: Send>(run: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, run)?;
        thread.join().map_err(|_| io::Error::other("the thread in the namespace panicked"))
    })
}
