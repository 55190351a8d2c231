//! A shared session over a simulated network, in virtual time: the real sync engine on both sides,
//! the relay's real session, real QUIC; a program with a real screen on one side, a viewer who types
//! on the other. Hours pass in seconds, and the same [`Scenario`] gives the same bytes.
//!
//! ```no_run
//! use std::time::Duration;
//! use tern_tests::simulated::{Scenario, path};
//!
//! let network = path(Duration::from_millis(50));
//! let outcome = Scenario::typing(network, 1, 100).run();
//! assert!(outcome.violations.is_empty());
//! ```
//!
//! [`Scenario`] says what happens and gives an [`Outcome`]; [`random`] makes scenarios of chance and
//! shrinks those that fail; [`times`] measures echoes and returns over many seeds.

mod download;
mod hello;
mod host;
mod journal;
mod program;
mod quic;
pub mod random;
mod relay;
mod scenario;
pub mod times;

pub use journal::Echo;
pub use program::Printing;
pub use scenario::{Outcome, SIZE, Scenario, path};

use journal::Journal;
use netsim::quinn_socket::QuinnNetwork;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The name of the sharing host in a network.
pub const HOST: &str = "laptop";
/// The name of the relay's host in a network.
pub const RELAY: &str = "relay";
/// The relay's UDP port.
pub const RELAY_PORT: u16 = 2200;
/// The signal at which the relay's process is killed.
pub const RELAY_DOWN: &str = "relay-down";
/// The signal at which it is started again.
pub const RELAY_UP: &str = "relay-up";

/// What both sides have in common. A handle.
#[derive(Clone)]
struct Shared {
    network: QuinnNetwork,
    /// A lock, for quinn wants tasks that could be sent to other threads; there is one thread, and
    /// it is never held over a wait.
    journal: Arc<Mutex<Journal>>,
    start: Instant,
}

impl Shared {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since the network's beginning.
    fn now(&self) -> Duration {
        self.network.now()
    }

    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// The moment of a network's time.
    fn at(&self, time: Duration) -> Instant {
        self.start + time
    }

    fn look(&self) {
        self.journal().look(self.now());
    }
}
