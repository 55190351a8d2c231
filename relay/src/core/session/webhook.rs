//! What a webhook is told of the session.

use super::asking::At;
use super::{Output, Phase, Session};
use std::time::Instant;
use tern_sync::log::Whole;
use tern_sync::session::{HostStanding, ViewerId, WEBHOOK, WEBHOOK_REPORT, WebhookReport};
use tern_web::core::herald::Happening;

/// What telling of a viewer anew costs beside the message's bytes, in the unit of
/// [`Work`](super::work::Work): as much as a line of a list, about.
const VIEWER_WORK: usize = 100;

impl Session {
    /// How it goes with the webhook: the host is told.
    pub fn handle_webhook_report(&mut self, report: WebhookReport, now: Instant) {
        self.webhook_report = report;
        self.tell_webhook_report(now);
        self.update(now);
    }

    /// To an endpoint that may be a new one.
    pub(super) fn tell_webhook_report(&mut self, now: Instant) {
        // A host that wants no webhook hears nothing of them.
        if self.endpoint.current(WEBHOOK_REPORT).0 != self.webhook_report {
            self.endpoint.set(WEBHOOK_REPORT, Whole(self.webhook_report.clone()), now);
        }
    }

    /// The host wants another webhook, or one that is told otherwise.
    pub(super) fn on_webhook(&mut self, now: Instant) {
        if self.phase != Phase::Live {
            return;
        }
        let webhook = self.endpoint.received(WEBHOOK).0.clone();
        self.happened(Happening::Wanted(webhook));
        self.work.spend(self.viewers.len() * VIEWER_WORK, now);
        for id in self.viewers.keys().copied().collect::<Vec<_>>() {
            self.tell_joined(id);
        }
    }

    /// A viewer is in, whatever number the host knows it by.
    pub(super) fn tell_joined(&mut self, id: ViewerId) {
        if let Some(viewer) = self.viewers.get(&id).filter(|viewer| viewer.at == At::Home) {
            let who = viewer.who.clone();
            self.happened(Happening::Joined(id, who));
        }
    }

    /// A viewer is gone, who may never have been in.
    pub(super) fn tell_left(&mut self, id: ViewerId) {
        self.happened(Happening::Left(id));
    }

    /// It is as viewers are told.
    pub(super) fn tell_standing(&mut self, standing: HostStanding) {
        let is_silent = |standing| matches!(standing, HostStanding::Silent { .. });
        match (is_silent(self.shown.standing), is_silent(standing)) {
            (false, true) => self.happened(Happening::Lost),
            (true, false) => self.happened(Happening::Present),
            (true, true) | (false, false) => {}
        }
    }

    fn happened(&mut self, happening: Happening) {
        if self.phase == Phase::Live {
            self.outputs.push_back(Output::Happened(happening.into()));
        }
    }
}
