//! tmate's way to be called: its flags, tmux's commands after them, and its options in tmux's
//! configuration files. Plain decisions on words and texts; [`crate::shell::drop_in`] acts.

pub mod commands;
pub mod config_text;
pub mod flags;
pub mod help;
pub mod options;
pub mod run_time;
