//! A session's webhook: opened when its host wants one, told what happens.

use super::admission::{Running, Shared};
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use tern_bootstrap::grant::SessionId;
use tern_sync::session::WebhookReport;
use tern_web::core::event::Sender;
use tern_web::core::herald::Happening;
use tern_web::shell::courier::{Courier, Post};
use tokio::sync::{mpsc, watch};

/// A host wants a webhook and the relay sends none.
const OFF: &str = "this relay sends no webhooks, by its operator's will";
/// There are too many.
const FULL: &str = "this relay has all the webhooks that it may";

/// Of one session.
pub(super) struct Webhooks {
    session: SessionId,
    /// A ticket brought the session back.
    is_restored: bool,
    /// `None`: the operator wants none.
    post: Option<Arc<Post>>,
    running: watch::Receiver<Running>,
    /// Held by a courier, so that draining waits for its last words.
    alive: Option<mpsc::Sender<()>>,
    address: Option<IpAddr>,
    courier: Option<Courier>,
}

impl Webhooks {
    pub(super) fn new(shared: &Shared, session: SessionId, is_restored: bool) -> Self {
        Self {
            session,
            is_restored,
            post: shared.post.clone(),
            running: shared.running.clone(),
            alive: shared.keep_alive(),
            address: None,
            courier: None,
        }
    }

    /// Where the host is now.
    pub(super) fn on_address(&mut self, address: IpAddr) {
        self.address = Some(address);
        if let Some(courier) = &mut self.courier {
            courier.tell(Happening::HostAt(address));
        }
    }

    /// Something happened. Gives what the host should know at once.
    pub(super) fn on_happened(&mut self, happening: Happening) -> Option<WebhookReport> {
        if self.courier.is_none() && matches!(happening, Happening::Wanted(Some(_))) {
            match self.open() {
                Ok(courier) => self.courier = Some(courier),
                Err(trouble) => {
                    return Some(WebhookReport { trouble: trouble.into(), dropped_count: 0 });
                }
            }
        }
        if let Some(courier) = &mut self.courier {
            courier.tell(happening);
        }
        None
    }

    fn open(&self) -> Result<Courier, &'static str> {
        let post = self.post.as_ref().ok_or(OFF)?;
        let mut running = self.running.clone();
        let stop = async move {
            // A relay that was dropped without a word has stopped as well.
            let _ = running.wait_for(|running| *running != Running::Yes).await;
        };
        let (session, alive) = ((self.session, self.address), self.alive.clone());
        let courier = post.courier(session, Sender::Relay, self.is_restored, stop, alive);
        let mut courier = courier.ok_or(FULL)?;
        if let Some(address) = self.address {
            courier.tell(Happening::HostAt(address));
        }
        Ok(courier)
    }

    /// How it goes, when that has changed.
    pub(super) async fn report(&mut self) -> WebhookReport {
        match &mut self.courier {
            Some(courier) => courier.next_report().await,
            None => pending().await,
        }
    }
}
