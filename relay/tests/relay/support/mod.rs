//! A relay on loopback, hosts and viewers that are tasks of the test.

pub(crate) mod gate;
pub(crate) mod host;
pub(crate) mod process;
pub(crate) mod viewer;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tern_bootstrap::identity::Identity;
use tern_relay::{Config, Limits, Relay};
use tern_term::Size;
use tern_web::core::address::Reach;
use tokio::time::timeout;

/// Longest wait for anything: only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Commands that a host or viewer may have before it has carried them out.
const COMMANDS_MAX: usize = 4096;

/// The size that everybody has.
pub(crate) const SIZE: Size = Size { cols: 80, rows: 24 };

/// Waits for what must happen.
#[track_caller]
pub(crate) fn must<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> + use<F> {
    let (what, place) = (what.to_owned(), std::panic::Location::caller());
    async move {
        let done = timeout(PATIENCE, future).await;
        done.unwrap_or_else(|_| panic!("{place}: waited in vain: {what}"))
    }
}

/// A relay on loopback with these limits.
pub(crate) async fn relay_with(limits: Limits) -> Relay {
    let config = config(limits);
    Relay::start(config).await.expect("the relay starts")
}

/// One with the default limits.
pub(crate) async fn relay() -> Relay {
    relay_with(Limits::default()).await
}

/// What a test's relay starts with.
pub(crate) fn config(limits: Limits) -> Config {
    Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        quic_listen: None,
        host: Some("relay.example".into()),
        ssh_port_advertised: None,
        authorized_hosts: None,
        is_for_this_machine: false,
        accounts: None,
        registrar: None,
        webhooks: Some(Reach::Any),
        identity: Identity::ephemeral(),
        limits,
    }
}
