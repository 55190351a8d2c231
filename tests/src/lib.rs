//! The end-to-end harness: real binaries, real tmux, the stock `ssh` client, real sockets.
//!
//! A [`World`] is one test's sandbox: a temporary folder that holds every home, socket and log, and
//! a mark in the environment by which each process started inside is found and killed at the end.
//! A [`Terminal`] is what a person sits at: a tmux server of its own whose only pane has a fixed
//! size. It is also the independent emulator that says what is on the screen ([`Screen`]).
//! [`Relay`], [`Host`] and [`Viewer`] are Tern's parts, run in such terminals as people run them.
//!
//! [`simulated`] is another world: both sides in one process, over a simulated network in virtual
//! time.
//!
//! Tests wait on conditions ([`World::wait_until`]); a condition that doesn't come true in time
//! fails the test with every terminal's screen in the message.

pub mod accounts;
pub mod answering;
pub mod certified;
pub mod drop_in;
pub mod fixtures;
pub mod foreground;
pub mod host;
pub mod keys;
pub mod lab;
pub mod netns;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod relay;
pub mod screen;
pub mod shared;
pub mod shell;
pub mod simulated;
pub mod smtp;
pub mod terminal;
pub mod viewer;
pub mod web;
pub mod world;

pub use host::{Host, HostOptions, JoinLine};
pub use lab::Labbed;
pub use netns::Namespace;
pub use relay::Relay;
pub use screen::Screen;
pub use shared::Shared;
pub use terminal::Terminal;
pub use viewer::{Viewer, ViewerOptions};
pub use world::World;

/// Runs scenarios, which take a world, with other versions of tmux than the machine's.
#[macro_export]
macro_rules! with_other_versions {
    ($($name:ident: $scenario:ident($version:literal);)*) => { $(
        #[test]
        fn $name() {
            match $crate::process::tmux_folder($version) {
                Some(folder) => $scenario($crate::World::with_tmux(Some(&folder))),
                None => eprintln!("skipped: tmux {} is not built (./test does)", $version),
            }
        }
    )* };
}
