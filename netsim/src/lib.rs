//! `netsim` plays a described network: to endpoints in this process in virtual time, or to unmodified
//! programs with real packets.
//!
//! A network is described once, as text ([`Description::parse`]) or with a builder
//! ([`Description`]): hosts, links, NATs, and a timetable of what happens when. [`Network`] is the
//! machine that plays it: packets and the time go in; packets and the next deadline come out. It
//! does no I/O, reads no clock, and draws every chance from the caller's seed, so a seed replays to
//! the byte. Around it stand two shells:
//!
//! - [`virtual_time`]: endpoints in one process exchange datagrams; hours pass in seconds. With the
//!   feature `quinn`, real `quinn` endpoints run over it in tokio's paused time (`quinn_socket`).
//! - [`real`] (Linux, root): network namespaces joined by TUN devices; the program `netsim` is its
//!   command line.
//!
//! It knows nothing of what is sent.

pub mod address;
pub mod description;
pub mod link;
mod nat;
pub mod network;
pub mod networks;
pub mod packet;
pub mod parse;
#[cfg(feature = "quinn")]
pub mod quinn_socket;
#[cfg(target_os = "linux")]
pub mod real;
#[cfg(feature = "quinn")]
pub mod replay;
mod routes;
pub mod stats;
mod timetable;
pub mod units;
pub mod virtual_time;

pub use description::{Action, Description, Link, Nat, Scheduled};
pub use network::{InterfaceId, Network, Output};
pub use parse::ParseError;
pub use units::{Probability, Rate};
