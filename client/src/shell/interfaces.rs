//! Hints that the network is another one: an address came or went, or the machine slept.
//!
//! They only make a return faster; what no hint tells is found out by silence.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;

/// The wall clock ran ahead of the monotonic one, which stands still while a machine sleeps, by more
/// than anybody sets a clock right.
const SLEEP_MIN: Duration = Duration::from_secs(3);

/// Watches both.
pub struct NetworkWatch {
    changed: Arc<Notify>,
    /// Ends with this. `None` where the platform doesn't tell.
    handle: Option<netwatcher::WatchHandle>,
    clocks: (Instant, SystemTime),
}

impl NetworkWatch {
    /// From now on.
    pub fn start() -> Self {
        let changed = Arc::new(Notify::new());
        let notify = changed.clone();
        let handle = netwatcher::watch_interfaces_with_callback(move |update| {
            let has_changes = update.addrs_added().chain(update.addrs_removed()).next().is_some();
            if !update.is_initial && has_changes {
                notify.notify_one();
            }
        });
        if let Err(error) = &handle {
            tracing::info!(%error, "changes of network addresses are not told here");
        }
        Self { changed, handle: handle.ok(), clocks: (Instant::now(), SystemTime::now()) }
    }

    /// Notified when addresses have changed.
    pub fn on_change(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Whether the machine slept since this was last asked.
    pub fn has_slept(&mut self) -> bool {
        let (monotonic, wall) =
            std::mem::replace(&mut self.clocks, (Instant::now(), SystemTime::now()));
        let awake = monotonic.elapsed();
        wall.elapsed().is_ok_and(|passed| passed > awake + SLEEP_MIN)
    }
}

impl Drop for NetworkWatch {
    /// The watch ends when its pipe is closed, and its handle waits for that. Processes that were
    /// started meanwhile have the pipe as well (netwatcher makes it without `FD_CLOEXEC`), and may
    /// live as long as the session: so a thread of its own waits.
    fn drop(&mut self) {
        let handle = self.handle.take();
        std::thread::spawn(move || drop(handle));
    }
}
