//! The host's side of a webhook: what the relay is told for it, or, where the host sends it itself,
//! what happens.

use super::Link;
use crate::core::messages::JoinLines;
use crate::core::notice;
use crate::core::wishes::WebhookWish;
use crate::shell::board::software;
use crate::shell::embedded::primary_address;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_bootstrap::grant::{SessionGrant, SessionId};
use tern_sync::Endpoint;
use tern_sync::log::Whole;
use tern_sync::session::{About, System, ViewerEvent, WEBHOOK, Webhook, WebhookReport};
use tern_web::core::address::Reach;
use tern_web::core::event::Sender;
use tern_web::core::herald::Happening;
use tern_web::shell::courier::{Courier, Post};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the end of the sharing waits for a webhook's last events.
const LAST_EVENTS_TIME_MAX: Duration = Duration::from_secs(3);

/// One sharing's webhook.
pub(super) struct Webhooks {
    pub(super) wish: watch::Receiver<Option<WebhookWish>>,
    /// The session that people can join now, if there is one.
    session: Option<(SessionId, About)>,
    /// 1, and one more each time that the session is back after an outage.
    generation: u32,
    /// If the host sends them.
    pub(super) courier: Option<Courier>,
    /// What the person was told.
    told: WebhookReport,
}

impl Webhooks {
    pub(super) fn new(wish: watch::Receiver<Option<WebhookWish>>) -> Self {
        let told = WebhookReport::default();
        Self { wish, session: None, generation: 1, courier: None, told }
    }

    /// People can join. `lines` has `%s` for the token.
    pub(super) fn on_session(&mut self, grant: &SessionGrant, lines: JoinLines, is_named: bool) {
        // The courier of a session that was lost says that it is over.
        self.courier = None;
        self.generation = 1;
        let about = About {
            token: grant.token.clone(),
            token_ro: grant.token_ro.clone(),
            ssh_cmd_fmt: lines.read_write,
            software: software(),
            is_foreground: false,
            is_named,
            system: Some(system()),
        };
        self.session = Some((grant.session, about));
    }

    /// What is wished holds from now on, for the relay at the other end of `endpoint`.
    pub(super) fn apply(&mut self, endpoint: &mut Endpoint, now: Instant) {
        let wish = self.wish.borrow_and_update().clone();
        let Some((session, about)) = &self.session else { return };
        let is_from_host = wish.as_ref().is_some_and(|wish| wish.is_from_host);
        let webhook = wish.map(|wish| Webhook {
            url: wish.url,
            userdata: wish.userdata,
            secret: wish.secret,
            generation: self.generation,
            about: About { is_foreground: wish.is_foreground, ..about.clone() },
        });
        let (for_relay, own) = if is_from_host { (None, webhook) } else { (webhook, None) };
        if endpoint.current(WEBHOOK).0 != for_relay {
            endpoint.set(WEBHOOK, Whole(for_relay), now);
        }
        if self.courier.is_none() && own.is_some() {
            let post = Arc::new(Post::new(Reach::Any));
            self.courier = post.courier((*session, None), Sender::Host, false, pending(), ());
            self.tell(Happening::HostAt(primary_address()));
        }
        self.tell(Happening::Wanted(own));
    }

    fn tell(&mut self, happening: Happening) {
        if let Some(courier) = &mut self.courier {
            courier.tell(happening);
        }
    }

    pub(super) fn on_viewer(&mut self, event: &ViewerEvent) {
        if let (Some(_), Some(happening)) = (&self.courier, Happening::of_viewer(event)) {
            self.tell(happening);
        }
    }

    /// The relay will tell of its viewers again.
    pub(super) fn on_viewers_forgotten(&mut self) {
        self.tell(Happening::AllLeft);
    }

    /// The relay is out of reach.
    pub(super) fn on_lost(&mut self) {
        self.tell(Happening::Lost);
    }

    /// The session is back after an outage.
    pub(super) fn on_back(&mut self, endpoint: &mut Endpoint, now: Instant) {
        self.generation = self.generation.saturating_add(1);
        self.apply(endpoint, now);
        self.tell(Happening::Present);
    }

    /// The sharing ends: gives last events some time.
    pub(super) async fn finish(&mut self) {
        if let Some(courier) = self.courier.take() {
            let _ = timeout(LAST_EVENTS_TIME_MAX, courier.finish()).await;
        }
    }

    /// What of a report is new to the person; the first is for their eyes, too.
    fn news(&mut self, report: WebhookReport) -> (Option<String>, Option<String>) {
        let told = std::mem::replace(&mut self.told, report);
        let trouble = notice::printable(&self.told.trouble);
        let notice = match (told.trouble.is_empty(), trouble.is_empty()) {
            (_, false) if told.trouble != self.told.trouble => {
                Some(format!("The webhook fails: {trouble}"))
            }
            (false, true) => Some("The webhook works again".into()),
            (true, true) | (_, false) => None,
        };
        let lost = self.told.dropped_count.saturating_sub(told.dropped_count);
        let log = (lost > 0).then(|| format!("Events that the webhook lost: {lost}"));
        (notice, log)
    }
}

/// How it goes, when that has changed, if the host sends it.
pub(super) async fn report(courier: &mut Option<Courier>) -> WebhookReport {
    match courier {
        Some(courier) => courier.next_report().await,
        None => pending().await,
    }
}

impl Link {
    /// The relay, or the host's own courier, says how the webhook goes.
    pub(super) async fn on_webhook_report(&mut self, report: WebhookReport) {
        let (notice, log) = self.webhooks.news(report);
        if let Some(text) = log {
            self.board.log(&text);
        }
        if let Some(text) = notice {
            self.notice(&text).await;
        }
    }
}

fn system() -> System {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    System {
        sysname: text(uname.sysname()),
        nodename: text(uname.nodename()),
        release: text(uname.release()),
        version: text(uname.version()),
        machine: text(uname.machine()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn person_is_told_what_is_new_and_only_once() {
        let (_sender, wish) = watch::channel(None);
        let mut webhooks = Webhooks::new(wish);
        let report =
            |trouble: &str, dropped_count| WebhookReport { trouble: trouble.into(), dropped_count };
        let is = |text: &str| Some(text.to_owned());
        let fails = is("The webhook fails: it answers 404");
        assert_eq!(webhooks.news(report("it answers 404", 0)), (fails, None));
        let lost = is("Events that the webhook lost: 2");
        assert_eq!(webhooks.news(report("it answers 404", 2)), (None, lost));
        assert_eq!(webhooks.news(report("", 2)), (is("The webhook works again"), None));
        assert_eq!(webhooks.news(report("", 2)), (None, None));
    }
}
