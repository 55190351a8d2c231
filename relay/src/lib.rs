//! `relay` is where hosts and viewers meet: it keeps a replica of each shared session and draws it
//! for every viewer at that viewer's pace.
//!
//! [`core`] decides, without I/O; [`shell`] carries it out over SSH, QUIC and tokio. The relay
//! knows no tmux, runs no program, and can make a host do nothing but take a viewer's keys.

pub mod core;
pub mod shell;

pub use crate::core::limits::Limits;
pub use crate::shell::log_filter::without_secrets;
pub use crate::shell::relay::{Config, Relay, StartError};
