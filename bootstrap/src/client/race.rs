//! Several relays, or several addresses of one: all are asked at once, and the first whose SSH
//! handshake is through, with the right key, is the one.

use super::ssh::{self, Ssh};
use super::{BootstrapError, CONNECT_TIME_MAX, Granted, Options, RelayAddress};
use crate::grant::HOST_USER;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// As [`request_session`](super::request_session), of the most responsive of these relays; if it
/// grants none, of the next. Gives which one it is. The errors, one of each relay, are in the order in
/// which they came.
pub async fn request_session_of(
    relays: &[Options],
) -> Result<(usize, Granted), Vec<BootstrapError>> {
    if let [options] = relays {
        let granted = super::request_session(options).await;
        return granted.map(|granted| (0, granted)).map_err(|error| vec![error]);
    }
    // By SSH alone: over QUIC each would have granted a session before one is chosen.
    let mut attempts = JoinSet::new();
    for (at, options) in relays.iter().enumerate() {
        let options = options.clone();
        attempts.spawn(async move { (at, connect(&options).await) });
    }
    let mut errors = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        let (at, connected) = attempt.expect("connecting doesn't panic and isn't cancelled");
        let granted = match connected {
            Ok(ssh) => super::ask_for_session(&relays[at], ssh).await,
            Err(error) => Err(error),
        };
        match granted {
            Ok(granted) => return Ok((at, granted)),
            Err(error) => errors.push(error),
        }
    }
    Err(errors)
}

/// All addresses of one relay at once.
pub(super) async fn connect(options: &Options) -> Result<Ssh, BootstrapError> {
    let relay = &options.relay;
    let addresses = timeout(CONNECT_TIME_MAX, tokio::net::lookup_host((&*relay.host, relay.port)));
    let addresses = addresses
        .await
        .map_err(|_| unreachable(relay, no_answer()))?
        .map_err(|error| BootstrapError::Lookup { relay: relay.clone(), error })?;
    let mut attempts = JoinSet::new();
    for address in addresses.take(ADDRESSES_MAX) {
        let options = options.clone();
        attempts.spawn(async move { connect_at(&options, address).await });
    }
    let mut reasons = Vec::new();
    let mut telling = None;
    while let Some(attempt) = attempts.join_next().await {
        match attempt.expect("connecting doesn't panic and isn't cancelled") {
            Ok(ssh) => return Ok(ssh),
            Err(Unfit::Silent(reason)) => reasons.push(reason),
            // One that answers wrongly says more than one that doesn't.
            Err(Unfit::Wrong(error)) => drop(telling.get_or_insert(error)),
        }
    }
    Err(telling.unwrap_or_else(|| unreachable(relay, reasons.join(", "))))
}

/// Why it is not this address.
enum Unfit {
    /// Nobody answers.
    Silent(String),
    /// Somebody else answers, or doesn't let us in.
    Wrong(BootstrapError),
}

async fn connect_at(options: &Options, address: SocketAddr) -> Result<Ssh, Unfit> {
    let silent = |reason| Unfit::Silent(format!("{}: {reason}", address.ip()));
    let stream = match timeout(CONNECT_TIME_MAX, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(silent(error.to_string())),
        Err(_) => return Err(silent(no_answer())),
    };
    let connected = ssh::connect(options, HOST_USER, (stream, address));
    ssh::in_time(options, connected).await.map_err(Unfit::Wrong)
}

fn unreachable(relay: &RelayAddress, reason: String) -> BootstrapError {
    BootstrapError::Connect { relay: relay.clone(), reason }
}

fn no_answer() -> String {
    format!("no answer in {} s", CONNECT_TIME_MAX.as_secs())
}
