//! Who somebody is that joins, as far as the relay knows, in words that are safe to show.

use crate::core::notice;
use tern_bootstrap::authorized_keys::Fingerprint;
use tern_sync::session::{Role, Visitor};

/// Somebody who watches, or wants to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Person {
    /// By which the host's person means them; nobody else gets it while the sharing lasts.
    pub number: u32,
    /// By the token and the key.
    pub role: ViewerRole,
    /// IP address, checked to be one.
    pub address: String,
    /// The key that let them in, if the session asks for one.
    pub key: Option<Key>,
    /// Whether they came by `tern join`.
    pub is_by_tern: bool,
}

/// A viewer's key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Key {
    /// `SHA256:...`.
    pub fingerprint: String,
    /// What the list calls it; may be empty.
    pub comment: String,
}

/// What a viewer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ViewerRole {
    /// Types and counts for the size.
    ReadWrite,
    /// Only looks.
    ReadOnly,
}

impl Person {
    /// As the relay tells it.
    pub fn of(who: &Visitor, number: u32) -> Self {
        let role = match who.role {
            Role::ReadWrite => ViewerRole::ReadWrite,
            Role::ReadOnly => ViewerRole::ReadOnly,
        };
        let key = who.key.as_ref().map(|key| Key {
            fingerprint: Fingerprint(key.fingerprint).to_string(),
            comment: notice::printable(&key.comment),
        });
        let (address, is_by_tern) = (notice::address(&who.address), who.place.is_some());
        Self { number, role, address, key, is_by_tern }
    }

    /// The address, and the key's comment if there is one.
    pub fn name(&self) -> String {
        match &self.key {
            Some(key) if !key.comment.is_empty() => format!("{}, {}", self.address, key.comment),
            Some(_) | None => self.address.clone(),
        }
    }

    /// With what they came.
    pub fn program(&self) -> &'static str {
        if self.is_by_tern { "tern join" } else { "ssh" }
    }

    /// What they may do, for people.
    pub fn rights(&self) -> &'static str {
        match self.role {
            ViewerRole::ReadWrite => "read-write",
            ViewerRole::ReadOnly => "read-only",
        }
    }

    /// What the host's people are told of somebody who waits, with the way to answer.
    pub fn question(&self) -> String {
        let wish = match self.role {
            ViewerRole::ReadWrite => "join",
            ViewerRole::ReadOnly => "look on",
        };
        let (name, number) = (self.name(), self.number);
        format!("A mate wants to {wish} ({name}): tern approve {number}, or tern deny {number}")
    }
}
