//! Dialling the relay over QUIC: attempts follow each other at a steady pace, whatever happened to
//! those before, and the first that answers wins.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tern_bootstrap::grant::SessionGrant;
use tern_bootstrap::hello::{SERVER_NAME, is_wrong_certificate, quic_client_config};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A new attempt begins this often. QUIC's own repetition of a lost first packet backs off to
/// many seconds; ours doesn't, so a path that comes back is used within this time.
pub const DIAL_INTERVAL: Duration = Duration::from_secs(1);
/// An attempt that isn't through after this time won't be: 3 round trips of a satellite path with
/// some losses.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(6);
/// Most addresses that are tried.
const ADDRESSES_MAX: usize = 8;

/// Why dialling is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongCertificate;

/// A socket of its own for each time that the relay is dialled: the network may be another one.
pub fn endpoint(relay: SocketAddr) -> std::io::Result<quinn::Endpoint> {
    let local: SocketAddr = match relay {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    quinn::Endpoint::client(local)
}

/// Dials until a connection stands. `name` is looked up anew each time, since a relay may move.
pub async fn dial(
    grant: &SessionGrant,
    first: SocketAddr,
    name: &str,
) -> Result<quinn::Connection, WrongCertificate> {
    let mut attempts = JoinSet::new();
    let mut tick = interval(DIAL_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut addresses = vec![first];
    let mut lookups = JoinSet::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                for &address in &addresses {
                    attempts.spawn(attempt(grant.clone(), address));
                }
                if lookups.is_empty() {
                    lookups.spawn(look_up(name.to_owned(), grant.quic_port));
                }
            }
            Some(Ok(found)) = lookups.join_next() => {
                addresses = vec![first];
                addresses.extend(found.into_iter().filter(|&address| address != first));
                addresses.truncate(ADDRESSES_MAX);
            }
            Some(Ok(outcome)) = attempts.join_next() => match outcome {
                Ok(connection) => return Ok(connection),
                Err(Failure::WrongCertificate) => return Err(WrongCertificate),
                Err(Failure::Unreachable) => {}
            },
        }
    }
}

enum Failure {
    WrongCertificate,
    Unreachable,
}

async fn attempt(grant: SessionGrant, address: SocketAddr) -> Result<quinn::Connection, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::debug!(%address, %error, "the relay was not reached over QUIC");
        Failure::Unreachable
    };
    let endpoint = endpoint(address).map_err(|error| failed(&error))?;
    let config = quic_client_config(grant.certificate, tern_sync::link::transport_config());
    let connecting =
        endpoint.connect_with(config, address, SERVER_NAME).map_err(|error| failed(&error))?;
    match timeout(ATTEMPT_TIME_MAX, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if is_wrong_certificate(&error) => Err(Failure::WrongCertificate),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(failed(&"no answer in time")),
    }
}

async fn look_up(name: String, port: u16) -> Vec<SocketAddr> {
    match tokio::net::lookup_host((name, port)).await {
        Ok(addresses) => addresses.collect(),
        Err(_) => Vec::new(),
    }
}
