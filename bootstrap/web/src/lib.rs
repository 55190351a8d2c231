//! `web` is what Tern says to web servers that somebody names: webhooks, and requests for lists of
//! keys. Nobody is reached who shouldn't be, nothing takes longer or is larger than it may, and what
//! a session tells stays in order.
//!
//! It knows no terminal and no link; what happens in a session comes as plain data.

pub mod core;
pub mod shell;
