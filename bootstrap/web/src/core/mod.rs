//! What is decided about requests, without I/O: whom they may reach, what they say, in which order
//! and when again.

pub mod address;
pub mod event;
pub mod herald;
pub mod queue;
pub mod rate;
pub mod signature;
pub mod url;
