//! Carries the core out: sockets, SSH, QUIC, tasks and time.
//!
//! One task per session owns its machine and link ([`session`]). One task per viewer owns its
//! painter ([`viewer`]), russh's task reads what it types ([`handler`]); one that keeps a replica has
//! one that owns its machine and link ([`replica`]). Nobody waits for a viewer: frames go through a
//! `watch` that holds the newest only, keys through credits per viewer.

mod admission;
mod authorized;
mod bind;
mod channel;
mod doors;
mod grants;
mod handler;
mod host;
mod line;
pub mod log_filter;
mod naming;
mod places;
mod quic;
mod register;
pub mod relay;
mod replica;
mod session;
mod socket;
mod ssh;
mod ssh_link;
mod subsystem;
mod typing;
mod view;
mod viewer;
mod waiting;
mod webhooks;
