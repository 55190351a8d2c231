//! `tern` shares the terminal it runs in: it starts or finds a tmux session (or runs a program on
//! a plain pty), keeps a relay's copy of the screen in step, and lets viewers type.
//!
//! [`core`] holds the machines that decide, without I/O; [`shell`] holds processes, sockets and
//! terminals.

pub mod core;
pub mod shell;
