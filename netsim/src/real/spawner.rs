//! Programs on hosts, all in one PID namespace, whose end is the end of them all.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;

use crate::real::namespace::Namespaces;

/// How long the namespace may take to end once its first process is killed: milliseconds, unless
/// there are zombies in it.
const END_TIME_MAX: Duration = Duration::from_millis(500);
/// Programs that wait to be started; whoever has one more waits too.
const REQUESTS_MAX: usize = 16;

enum Request {
    Spawn(Box<Command>, SyncSender<io::Result<Child>>),
    Stop,
}

/// The thread whose children are in the PID namespace.
///
/// One thread for all of its life: the first process gets its signal when *the thread* that made it
/// ends.
pub(crate) struct Spawner {
    requests: SyncSender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The first process of the namespace, as this process sees it.
    first: Pid,
    /// Programs that were started; some may have ended.
    started: Mutex<Vec<(u32, OwnedFd)>>,
}

impl Spawner {
    pub(crate) fn start() -> io::Result<Self> {
        let (requests, received) = mpsc::sync_channel(REQUESTS_MAX);
        let (report, reported) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("netsim-spawner".to_owned())
            .spawn(move || run(&received, &report))?;
        let ended = |_| io::Error::other("the spawning thread has ended");
        let first = reported.recv().map_err(ended)??;
        let (thread, started) = (Mutex::new(Some(thread)), Mutex::new(Vec::new()));
        Ok(Self { requests, thread, first, started })
    }

    /// Starts a program in a host's namespaces.
    pub(crate) fn spawn(
        &self,
        mut command: Command,
        namespaces: &Arc<Namespaces>,
    ) -> io::Result<Child> {
        let [network, mount] = [namespaces.network(), namespaces.mount()]
            .map(|namespace| namespace.try_clone_to_owned());
        prepare_in_namespaces(&mut command, network?, mount?)?;
        let ended = || io::Error::other("the spawning thread has ended");
        let (reply, answer) = mpsc::sync_channel(1);
        let request = Request::Spawn(Box::new(command), reply);
        self.requests.send(request).map_err(|_| ended())?;
        let child = answer.recv().map_err(|_| ended())??;
        if let Ok(handle) = pidfd(child.id()) {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            started.retain(|(_, handle)| !has_ended(handle.as_fd()));
            started.push((child.id(), handle));
        }
        Ok(child)
    }

    /// Mounts a `/proc` that shows the programs of the PID namespace, where `ps` and tmux look.
    pub(crate) fn mount_proc(&self, namespaces: &Arc<Namespaces>) -> io::Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "proc", "proc", "/proc"]).stdin(Stdio::null());
        let status = self.spawn(mount, namespaces)?.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("mount: {status}"))) }
    }

    pub(crate) fn pid_namespace_path(&self) -> PathBuf {
        format!("/proc/{}/ns/pid", self.first).into()
    }

    /// Ends all programs: asks, waits for at most `grace`, kills.
    pub(crate) fn stop(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        let started: Vec<_> =
            std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner));
        for (pid, handle) in &started {
            // The handle tells that the number is still this program's.
            if !has_ended(handle.as_fd()) {
                let _ = kill(Pid::from_raw(*pid as i32), Signal::SIGTERM);
            }
        }
        for (_, handle) in &started {
            wait_for_end(handle.as_fd(), deadline.saturating_duration_since(Instant::now()));
        }
        drop(self.requests.send(Request::Stop));
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(thread.join());
        }
    }
}

fn run(requests: &Receiver<Request>, report: &SyncSender<io::Result<Pid>>) {
    let mut first = match unshare(CloneFlags::CLONE_NEWPID)
        .map_err(io::Error::from)
        .and_then(|()| first_process())
    {
        Ok(first) => first,
        // An error of sending says that nobody waits any more.
        Err(error) => return drop(report.send(Err(error))),
    };
    drop(report.send(Ok(Pid::from_raw(first.id() as i32))));
    while let Ok(Request::Spawn(mut command, reply)) = requests.recv() {
        drop(reply.send(command.spawn()));
    }
    // With the first process, the kernel kills all others of the namespace.
    drop(first.kill());
    if let Ok(handle) = pidfd(first.id()) {
        wait_for_end(handle.as_fd(), END_TIME_MAX);
    }
    // The first process is gone only when nobody else is left in the namespace, and a program that
    // the caller started and hasn't waited for is: as a zombie, until the caller does (or ends).
    if !matches!(first.try_wait(), Ok(Some(_))) {
        // Where there is no thread to be had, it is this process's end that reaps it.
        let _ = std::thread::Builder::new().spawn(move || first.wait());
    }
}

/// The first process of the namespace: it does nothing, and takes all with it when it dies.
fn first_process() -> io::Result<Child> {
    let mut command = Command::new("sleep");
    command.arg("infinity").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Not in the terminal's foreground: Ctrl-C is not for it.
    command.process_group(0);
    // SAFETY: between fork and exec, `prctl` and `signal` only: both are async-signal-safe.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // Orphans of the namespace become its children; ignored, they leave no zombies.
            signal(Signal::SIGCHLD, SigHandler::SigIgn)?;
            Ok(())
        });
    }
    command.spawn()
}

/// Makes `command` start in a network and a mount namespace, in the working directory of the caller
/// (or that of the command, if it is set and absolute).
///
/// # Errors
/// Where the working directory can't be told.
pub fn prepare_in_namespaces(
    command: &mut Command,
    network: OwnedFd,
    mount: OwnedFd,
) -> io::Result<()> {
    let folder = match command.get_current_dir() {
        Some(folder) if folder.is_absolute() => folder.to_owned(),
        Some(folder) => std::env::current_dir()?.join(folder),
        None => std::env::current_dir()?,
    };
    let folder = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: between fork and exec, system calls only, on data made before the fork.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            setns(network.as_fd(), CloneFlags::CLONE_NEWNET)?;
            // Changes root and working directory to the namespace's root.
            setns(mount.as_fd(), CloneFlags::CLONE_NEWNS)?;
            Ok(nix::unistd::chdir(folder.as_c_str())?)
        });
    }
    Ok(())
}

/// Makes all processes that this thread starts from now on members of the PID namespace at `path`.
///
/// # Errors
/// Where there is none, or the right to it is missing.
pub fn enter_pid_namespace(path: &Path) -> io::Result<()> {
    Ok(setns(File::open(path)?, CloneFlags::CLONE_NEWPID)?)
}

fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    use nix::libc;
    // SAFETY: `pidfd_open` takes two integers and gives a new descriptor, or -1.
    #[allow(unsafe_code)]
    unsafe {
        let handle = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0);
        if handle < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(handle as i32))
    }
}

fn has_ended(handle: BorrowedFd<'_>) -> bool {
    wait_for_end(handle, Duration::ZERO)
}

/// A process's descriptor is readable when it has ended.
fn wait_for_end(handle: BorrowedFd<'_>, patience: Duration) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(handle, PollFlags::POLLIN)];
    let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    matches!(poll(&mut fds, patience), Ok(1))
}
