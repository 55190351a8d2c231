//! `bootstrap` is how two ends that trust nothing come to share keys: SSH authenticates and hands
//! over a session's secret and the pin of the relay's certificate; QUIC then trusts exactly that
//! pin, and both sides prove that they hold the secret, bound to that very connection.
//!
//! It knows no terminal and no session's content.

pub mod authorized_keys;
pub mod client;
pub mod credentials;
pub mod direct;
pub mod grant;
pub mod hello;
pub mod host_key;
pub mod identity;
pub mod name;
pub mod register;
pub mod ticket;
pub mod token;
pub mod view;
mod wire;
