//! Carries requests out: names, sockets, TLS, HTTP and time.

pub mod client;
pub mod courier;
mod own;
mod shares;
mod tls;
