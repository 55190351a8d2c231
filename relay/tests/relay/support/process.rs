//! A relay that can be killed: it has a runtime of its own, which ends with everything in it at
//! once, and without a word, as a process does.

use super::{PATIENCE, config};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tern_bootstrap::identity::Identity;
use tern_relay::{Config, Limits, Relay};
use tokio::runtime::{Builder, Runtime};

/// A relay with its data folder's keys.
pub(crate) struct Process {
    pub(crate) relay: Relay,
    runtime: Own,
}

/// A runtime that a test may drop: it is not waited for.
struct Own(Option<Runtime>);

impl Own {
    /// Waits until its tasks are gone, and their sockets with them.
    async fn end(mut self) {
        let runtime = self.0.take().expect("it runs until now");
        let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE));
        ended.await.expect("no panic");
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Process {
    /// The first start: on any port.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_at(data, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Started again, where it was before.
    pub(crate) async fn start_at(data: &Path, listen: SocketAddr) -> Self {
        let identity = Identity::load_or_create(data).expect("keys");
        let config = Config { listen, identity, ..config(Limits::default()) };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let relay = runtime.spawn(Relay::start(config)).await.expect("no panic");
        Self { relay: relay.expect("the relay starts"), runtime: Own(Some(runtime)) }
    }

    /// Ends it as SIGKILL would. Gives where it was.
    pub(crate) async fn kill(self) -> SocketAddr {
        let Self { relay, runtime } = self;
        let address = relay.ssh_address();
        runtime.end().await;
        // Only now, when nobody is left to say goodbye.
        drop(relay);
        address
    }

    /// Ends it as SIGTERM would. Gives where it was.
    pub(crate) async fn stop(self) -> SocketAddr {
        let Self { relay, runtime } = self;
        let address = relay.ssh_address();
        let stopped = runtime.0.as_ref().expect("it runs until now").spawn(relay.stop());
        stopped.await.expect("no panic");
        runtime.end().await;
        address
    }

    /// Forgets nothing: killed, and started again.
    pub(crate) async fn restart(self, data: &Path) -> Self {
        let address = self.kill().await;
        Self::start_at(data, address).await
    }
}
