//! The shell: processes, ptys, sockets and the user's terminal. It does what the core decides.

pub mod agent;
pub mod agent_start;
pub mod agents;
pub mod attach;
pub mod board;
pub mod cli;
pub mod commands;
pub mod control_client;
pub mod embedded;
pub mod hidden_client;
pub mod inside_tmux;
pub mod link;
pub mod local_socket;
pub mod logging;
pub mod orphan;
pub mod own_tmux;
pub mod passthrough;
pub mod paths;
pub mod plain;
pub mod protocol;
pub mod pty;
pub mod quic;
pub mod sharing;
pub mod start_view;
pub mod tmux;
pub mod tty;
