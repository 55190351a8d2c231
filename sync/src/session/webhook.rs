//! What a relay needs to tell a web server of the host's what happens in its session (webhooks).
//! `None` on the channel: nobody is told.

use super::limit;
use crate::log::{Entry, Whole};
use crate::{BadDiff, Channel};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Host to relay: whom the relay is to tell.
pub const WEBHOOK: Channel<Whole<Option<Webhook>>> = Channel::new(5);
/// Relay to host: how it went, for the person.
pub const WEBHOOK_REPORT: Channel<Whole<WebhookReport>> = Channel::new(17);

/// Longest URL, in bytes (`tern_web::core::url::URL_SIZE_MAX`).
pub const WEBHOOK_URL_SIZE_MAX: usize = 2048;
/// Most bytes that the host's person may add to each message: names of a job, a small object.
pub const USERDATA_SIZE_MAX: usize = 4096;
/// Longest secret, in bytes: HMAC-SHA256 is no stronger for more than 64.
pub const WEBHOOK_SECRET_SIZE_MAX: usize = 256;
/// Most bytes of a token, a line to join with, a system's name: a host has up to 253.
const FACT_SIZE_MAX: usize = 512;
/// Longest text of a [`WebhookReport`], in bytes.
pub const REPORT_SIZE_MAX: usize = 512;

/// A webhook.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Whom to tell: `https://` or `http://`.
    pub url: String,
    /// Goes with each message; may be empty.
    pub userdata: String,
    /// Signs each message; empty: none does.
    pub secret: String,
    /// Grows whenever the host is back after it was away.
    pub generation: u32,
    /// What a relay doesn't know of the session.
    pub about: About,
}

/// What only the host knows: a relay has the tokens as hashes.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Who has it may type.
    pub token: String,
    /// Who has it may look.
    pub token_ro: String,
    /// What viewers type, with `%s` for the token.
    pub ssh_cmd_fmt: String,
    /// e.g. `tern 0.1.0`.
    pub software: String,
    /// Nobody sits at the host.
    pub is_foreground: bool,
    /// Its tokens are names.
    pub is_named: bool,
    /// The host's system, if it says so.
    pub system: Option<System>,
}

/// What `uname` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// e.g. `Linux`.
    pub sysname: String,
    /// Its name.
    pub nodename: String,
    /// The kernel's release.
    pub release: String,
    /// The kernel's version.
    pub version: String,
    /// e.g. `x86_64`.
    pub machine: String,
}

/// How the relay fares with a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookReport {
    /// Why the last message wasn't taken, for people; empty: nothing is wrong.
    pub trouble: String,
    /// Messages that were given up so far.
    pub dropped_count: u64,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("About").field("software", &self.software).finish_non_exhaustive()
    }
}

impl About {
    fn texts(&self) -> impl Iterator<Item = &String> {
        let Self { token, token_ro, ssh_cmd_fmt, software, system, .. } = self;
        let system = system.iter().flat_map(System::texts);
        [token, token_ro, ssh_cmd_fmt, software].into_iter().chain(system)
    }
}

impl System {
    fn texts(&self) -> [&String; 5] {
        let Self { sysname, nodename, release, version, machine } = self;
        [sysname, nodename, release, version, machine]
    }
}

impl Entry for Option<Webhook> {
    fn check(&self) -> Result<(), BadDiff> {
        let Some(webhook) = self else { return Ok(()) };
        limit(webhook.url.len(), WEBHOOK_URL_SIZE_MAX)?;
        limit(webhook.userdata.len(), USERDATA_SIZE_MAX)?;
        limit(webhook.secret.len(), WEBHOOK_SECRET_SIZE_MAX)?;
        webhook.about.texts().try_for_each(|text| limit(text.len(), FACT_SIZE_MAX))
    }

    fn size(&self) -> usize {
        self.as_ref().map_or(0, |webhook| {
            let texts = [&webhook.url, &webhook.userdata, &webhook.secret].into_iter();
            texts.chain(webhook.about.texts()).map(String::capacity).sum()
        })
    }
}

impl Entry for WebhookReport {
    fn check(&self) -> Result<(), BadDiff> {
        limit(self.trouble.len(), REPORT_SIZE_MAX)
    }

    fn size(&self) -> usize {
        self.trouble.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;

    #[test]
    fn largest_honest_webhook_passes_and_larger_ones_do_not() {
        let sized = |url: usize, userdata: usize, token: usize| {
            let about = About { token: "x".repeat(token), ..About::default() };
            let (url, userdata) = ("x".repeat(url), "x".repeat(userdata));
            Some(Webhook { url, userdata, about, ..Webhook::default() })
        };
        let [url, userdata, fact] = [WEBHOOK_URL_SIZE_MAX, USERDATA_SIZE_MAX, FACT_SIZE_MAX];
        assert!(sized(url, userdata, fact).check().is_ok());
        assert!(sized(url + 1, userdata, fact).check().is_err());
        assert!(sized(url, userdata + 1, fact).check().is_err());
        assert!(sized(url, userdata, fact + 1).check().is_err());
        let report = |size| WebhookReport { trouble: "x".repeat(size), dropped_count: 0 };
        assert!(report(REPORT_SIZE_MAX).check().is_ok());
        assert!(report(REPORT_SIZE_MAX + 1).check().is_err());
    }

    #[test]
    fn webhook_comes_through_whole_and_shows_no_secret() {
        let about = About { token: "T0KEN".into(), ..About::default() };
        let (url, secret) = ("https://a.example/S3CRET".into(), "S3CRET".into());
        let webhook = Some(Webhook { url, secret, about, ..Webhook::default() });
        let base = Whole(None);
        let diff = Whole(webhook.clone()).diff(&base);
        assert_eq!(base.apply(&diff).expect("it is right").0, webhook);
        let shown = format!("{webhook:?}");
        assert!(!shown.contains("S3CRET") && !shown.contains("T0KEN"), "{shown}");
    }
}
