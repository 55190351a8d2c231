//! The parts of a link, each a machine of its own, and [`pipe`], one direction of a link made of
//! them:
//!
//! ```text
//! packet ─► down? blocked? too big? ─► queue, rate or trace ─► loss ─► duplicate ─► delay ─► packet
//! ```
//!
//! Loss stands behind the rate, for a packet lost on the air has used the air.

pub mod cellular;
pub mod delay;
pub mod loss;
pub mod pipe;
pub mod queue;
pub mod settings;
pub mod trace;
