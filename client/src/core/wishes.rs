//! What a host wants of its sharing beyond a relay: names, who may join, who is told. The command
//! line and the configuration fill it; each wish is carried out where it belongs.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use tern_bootstrap::grant::NameClaim;
use tern_sync::session::{USERDATA_SIZE_MAX, WEBHOOK_SECRET_SIZE_MAX};
use tern_web::core::url::WebUrl;

/// All wishes; the default wants nothing. Its `Debug` shows no key and no secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wishes {
    /// `-n`, `tmate-session-name`: the read-write line is `ssh USER/NAME@RELAY`.
    pub name: Option<String>,
    /// `-r`, `tmate-session-name-ro`: the same of the read-only line.
    pub name_ro: Option<String>,
    /// `-k`, `tmate-api-key`: says to the relay whose names these are.
    pub api_key: Option<String>,
    /// `-a`, `tmate-authorized-keys`: only viewers with a key of this file get in.
    pub authorized_keys: Option<PathBuf>,
    /// `--github-user` and the like: also those whom lists on the web let in.
    pub forges: Forges,
    /// `tmate-set authorized_keys=LINE`: as lines of such a file.
    pub authorized_keys_lines: Vec<String>,
    /// `--approve`, `tern-approve`: whether the host is asked before each join; not if nothing is said.
    pub asks_before_join: Option<bool>,
    /// `tmate-webhook-url`.
    pub webhook_url: Option<String>,
    /// `tmate-webhook-userdata`.
    pub webhook_userdata: String,
    /// `tern-webhook-secret`.
    pub webhook_secret: Option<String>,
    /// `tern-webhook-from-host`.
    pub is_webhook_from_host: bool,
    /// `-F`: nobody sits at the host.
    pub is_foreground: bool,
}

impl Wishes {
    /// What is not wished here is as `other` has it.
    pub fn or(self, other: Self) -> Self {
        let either = |one: Vec<String>, two| if one.is_empty() { two } else { one };
        let text = |one: String, two| if one.is_empty() { two } else { one };
        Self {
            name: self.name.or(other.name),
            name_ro: self.name_ro.or(other.name_ro),
            api_key: self.api_key.or(other.api_key),
            authorized_keys: self.authorized_keys.or(other.authorized_keys),
            forges: Forges {
                github_users: either(self.forges.github_users, other.forges.github_users),
                gitlab_users: either(self.forges.gitlab_users, other.forges.gitlab_users),
                users: either(self.forges.users, other.forges.users),
                urls: either(self.forges.urls, other.forges.urls),
            },
            authorized_keys_lines: either(self.authorized_keys_lines, other.authorized_keys_lines),
            asks_before_join: self.asks_before_join.or(other.asks_before_join),
            webhook_url: self.webhook_url.or(other.webhook_url),
            webhook_userdata: text(self.webhook_userdata, other.webhook_userdata),
            webhook_secret: self.webhook_secret.or(other.webhook_secret),
            is_webhook_from_host: self.is_webhook_from_host || other.is_webhook_from_host,
            is_foreground: self.is_foreground || other.is_foreground,
        }
    }

    /// What a relay is asked for, if names are wanted.
    pub fn claim(&self) -> Option<NameClaim> {
        let is_wanted = self.name.is_some() || self.name_ro.is_some();
        is_wanted.then(|| NameClaim {
            api_key: self.api_key.clone(),
            name: self.name.clone(),
            name_ro: self.name_ro.clone(),
        })
    }

    /// Whether the host is asked before each join.
    pub fn is_asking(&self) -> bool {
        self.asks_before_join.unwrap_or(false)
    }

    /// Whom to tell what happens, if anybody.
    pub fn webhook(&self) -> Option<WebhookWish> {
        self.webhook_url.clone().map(|url| WebhookWish {
            url,
            userdata: self.webhook_userdata.clone(),
            secret: self.webhook_secret.clone().unwrap_or_default(),
            is_from_host: self.is_webhook_from_host,
            is_foreground: self.is_foreground,
        })
    }

    /// The same, but for who may join, which is as `other` has it.
    #[must_use]
    pub fn with_access_of(self, other: Self) -> Self {
        Self {
            authorized_keys: other.authorized_keys,
            authorized_keys_lines: other.authorized_keys_lines,
            forges: other.forges,
            asks_before_join: other.asks_before_join,
            ..self
        }
    }

    /// Whether others may join than by `before`.
    pub fn is_access_other_than(&self, before: &Self) -> bool {
        let access = |wishes: &Self| {
            (
                wishes.authorized_keys.clone(),
                wishes.authorized_keys_lines.clone(),
                wishes.forges.clone(),
                wishes.asks_before_join,
            )
        };
        access(self) != access(before)
    }

    /// Whether not everybody who has a join line gets in.
    pub fn is_access_limited(&self) -> bool {
        self.is_asking() || self.wants_keys()
    }

    /// Whether a token isn't enough.
    pub fn wants_keys(&self) -> bool {
        self.authorized_keys.is_some()
            || !self.authorized_keys_lines.is_empty()
            || !self.forges.is_empty()
    }
}

/// Lists of keys on the web, as they are wished.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forges {
    /// `--github-user`.
    pub github_users: Vec<String>,
    /// `--gitlab-user`.
    pub gitlab_users: Vec<String>,
    /// `--keys-user`: stand for `{user}` in [`Self::urls`].
    pub users: Vec<String>,
    /// `--keys-url`.
    pub urls: Vec<String>,
}

impl Forges {
    /// Whether none is wished.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A web server to be told what happens. No `Debug`: its URL is often a secret, too.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookWish {
    /// Where it is.
    pub url: String,
    /// Goes with each event; may be empty.
    pub userdata: String,
    /// Signs each event; empty: none does.
    pub secret: String,
    /// Whether the host tells it, not the relay.
    pub is_from_host: bool,
    /// Whether nobody sits at the host.
    pub is_foreground: bool,
}

/// Reads a webhook's URL; an error says what is wrong with it.
pub fn webhook_url(text: &str) -> Result<String, String> {
    WebUrl::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Reads what goes with each event.
pub fn webhook_userdata(text: &str) -> Result<String, String> {
    at_most(text, USERDATA_SIZE_MAX)
}

/// Reads what signs each event.
pub fn webhook_secret(text: &str) -> Result<String, String> {
    at_most(text, WEBHOOK_SECRET_SIZE_MAX)
}

fn at_most(text: &str, size_max: usize) -> Result<String, String> {
    if text.len() > size_max {
        return Err(format!("at most {size_max} bytes are allowed, not {}", text.len()));
    }
    Ok(text.to_owned())
}

impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wishes")
            .field("name", &self.name)
            .field("name_ro", &self.name_ro)
            .field("authorized_keys", &self.authorized_keys)
            .field("asks_before_join", &self.asks_before_join)
            .field("is_foreground", &self.is_foreground)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_does_not_wish_the_other_may() {
        let one = Wishes { name: Some("a".into()), ..Wishes::default() };
        let other = Wishes {
            name: Some("b".into()),
            api_key: Some("secret".into()),
            asks_before_join: Some(true),
            ..Wishes::default()
        };
        let both = one.or(other);
        assert_eq!((both.name.as_deref(), both.is_asking()), (Some("a"), true));
        assert!(!format!("{both:?}").contains("secret"), "{both:?}");
    }
}
