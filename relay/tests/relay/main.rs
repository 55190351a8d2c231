//! A relay with real sockets: hosts by SSH and QUIC, viewers by SSH, and those who mean harm.

mod access;
mod admission;
mod doors;
mod hostile;
mod life;
mod names;
mod pace;
mod restart;
mod secrecy;
mod ssh_link;
mod support;
