//! One end of a session, or a viewer's place in one, over one link after another: a silent link is
//! kept while others are tried beside it, and whichever answers first goes on.

mod ways;

pub use ways::{Failure, Welcomed};

use crate::core::dialling::{Answers, Carrier, Dialling};
use crate::shell::interfaces::NetworkWatch;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tern_bootstrap::client::Options;
use tern_bootstrap::credentials::Credentials;
use tern_sync::Endpoint;
use tern_sync::link::{Incoming, Link, LinkError};
use ways::Ways;

/// Code of a link that is closed since all is said, or since there is another.
const CLOSE_ENDED: u32 = 0;

/// A route often comes a moment after the address that it is for. What was sent in between went nowhere.
const ROUTE_TIME: Duration = Duration::from_millis(20);

/// What happened.
pub enum Happening {
    /// Something came over the link, or it is gone.
    Received(Result<Incoming, LinkError>),
    /// An attempt came to an end.
    Found(Result<Welcomed, Failure>),
    /// This machine's addresses changed.
    AddressesChanged,
}

/// The link, and the ways to another one.
pub struct Roaming {
    link: Option<(Link, Carrier)>,
    /// What carried the last one, also when it is gone.
    carrier: Option<Carrier>,
    ways: Ways,
    dialling: Dialling,
    network: NetworkWatch,
    /// When the latest hint came, until [`ROUTE_TIME`] later.
    hinted_at: Option<Instant>,
    /// Why the last link was lost.
    reason: String,
}

impl Roaming {
    /// Nothing was tried yet. `address` is where SSH reached the relay.
    pub fn new(options: &Options, who: &Credentials, address: SocketAddr, now: Instant) -> Self {
        Self {
            link: None,
            carrier: None,
            ways: Ways::new(options, who, address),
            dialling: Dialling::new(now),
            network: NetworkWatch::start(),
            hinted_at: None,
            reason: String::new(),
        }
    }

    /// The next thing that happens. Cancel-safe; what comes is to be handed to the other methods.
    pub async fn next(&mut self) -> Happening {
        let on_change = self.network.on_change();
        tokio::select! {
            received = receive(&mut self.link) => Happening::Received(received),
            found = self.ways.next() => Happening::Found(found),
            () = on_change.notified() => Happening::AddressesChanged,
        }
    }

    /// Sends what is due, over the link and on new ways. `epoch` names the endpoint's states.
    pub fn pump(&mut self, endpoint: &mut Endpoint, epoch: u64, now: Instant) {
        if self.network.has_slept() {
            self.handle_hint(endpoint, "the machine slept", now);
        }
        if self.hinted_at.is_some_and(|at| at + ROUTE_TIME <= now) {
            let is_heard = endpoint.last_heard() > self.hinted_at.take();
            if self.link.is_some() && !is_heard {
                endpoint.handle_path_change(now);
            }
        }
        if let Some((link, _)) = &mut self.link {
            link.pump(endpoint, now);
            if self.dialling.handle_answers(answers(endpoint), now) {
                self.ways.relax();
            }
        }
        while let Some(carrier) = self.dialling.poll_attempt(now) {
            let deference = self.dialling.deference(endpoint.rtt());
            self.ways.attempt(carrier, epoch, deference);
        }
    }

    /// When to [`Self::pump`] if nothing happens.
    pub fn poll_timeout(&self, endpoint: &Endpoint) -> Option<Instant> {
        let link = self.link.as_ref().and_then(|(link, _)| {
            let overdue = self.dialling.overdue_at(answers(endpoint));
            [link.poll_timeout(endpoint), overdue].into_iter().flatten().min()
        });
        let again = self.hinted_at.map(|at| at + ROUTE_TIME);
        [link, again, self.dialling.poll_timeout()].into_iter().flatten().min()
    }

    /// Since when nothing answers, if so.
    pub fn silent_since(&self) -> Option<Instant> {
        self.dialling.silent_since()
    }

    /// Why nothing answers, for people.
    pub fn reason(&self) -> &str {
        if self.link.is_some() { "the relay is silent" } else { &self.reason }
    }

    /// The network may be another one.
    pub fn handle_hint(&mut self, endpoint: &mut Endpoint, what: &str, now: Instant) {
        tracing::info!(what, "the network may be another one");
        if self.link.is_some() {
            endpoint.handle_path_change(now);
        }
        self.hinted_at = Some(now);
        self.dialling.handle_hint(now);
    }

    /// The link is gone.
    pub fn lose(&mut self, reason: String, now: Instant) {
        tracing::info!(reason, "the link is lost");
        self.link = None;
        self.reason = reason;
        self.dialling.handle_lost(now);
    }

    /// The other side broke the protocol over it.
    pub fn break_off(&mut self, reason: String, now: Instant) {
        self.close("bad message");
        self.lose(reason, now);
    }

    /// Goes on over another link. Gives what carried the one before, if there was one.
    pub fn take_up(&mut self, link: Link, carrier: Carrier, now: Instant) -> Option<Carrier> {
        self.ways.stop();
        self.dialling.handle_linked(carrier, now);
        if let Some((mut old, _)) = self.link.replace((link, carrier)) {
            old.close(CLOSE_ENDED, "another link took over");
        }
        self.carrier.replace(carrier)
    }

    /// Closes the link, if there is one; gives whether there was. The close leaves by a task of its
    /// own.
    pub fn close(&mut self, reason: &str) -> bool {
        let link = self.link.as_mut();
        link.map(|(link, _)| link.close(CLOSE_ENDED, reason)).is_some()
    }
}

fn answers(endpoint: &Endpoint) -> Answers {
    Answers {
        asked_at: endpoint.unanswered_since(),
        heard_at: endpoint.last_heard(),
        round_trip: endpoint.rtt(),
    }
}

async fn receive(link: &mut Option<(Link, Carrier)>) -> Result<Incoming, LinkError> {
    match link {
        Some((link, _)) => link.recv().await,
        None => std::future::pending().await,
    }
}
