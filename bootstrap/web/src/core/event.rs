//! What a webhook says: tmate's JSON, field by field, and what is ours in one object of its own,
//! `tern`.

use chrono::{DateTime, SecondsFormat};
use ring::digest;
use serde_json::{Value, json};
use std::fmt;
use std::net::IpAddr;
use tern_bootstrap::authorized_keys::Fingerprint;
use tern_sync::session::{Role, Visitor, Webhook};

/// Names something for receivers: random, and nothing can be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// Of random bytes: version 4 (RFC 9562).
    pub fn of(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// One of many that the same random `seed` gives.
    pub(super) fn derived(seed: &[u8; 32], number: u64) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(seed);
        context.update(&number.to_be_bytes());
        let hash = context.finish();
        Self::of(hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The relay.
    Relay,
    /// The host itself.
    Host,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The session can be joined.
    Register {
        /// It could be before, and then its host was away.
        is_reconnected: bool,
        /// Of the host.
        address: Option<IpAddr>,
    },
    /// A viewer has joined.
    Join {
        /// Which.
        id: Uuid,
        /// Who.
        who: Visitor,
    },
    /// A viewer is gone.
    Left {
        /// Which.
        id: Uuid,
    },
    /// Nothing is heard of the host; it may come back.
    Disconnect,
    /// The session is over.
    Close,
}

impl Kind {
    /// tmate's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Register { .. } => "session_register",
            Self::Join { .. } => "session_join",
            Self::Left { .. } => "session_left",
            Self::Disconnect => "session_disconnect",
            Self::Close => "session_close",
        }
    }

    /// Whether it is about a viewer: these are given up first.
    pub fn is_of_viewer(&self) -> bool {
        match self {
            Self::Join { .. } | Self::Left { .. } => true,
            Self::Register { .. } | Self::Disconnect | Self::Close => false,
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same at each try.
    pub id: Uuid,
    /// Counts a session's events from 0.
    pub sequence: u64,
    /// When it happened, in microseconds since 1970.
    pub at_micros: i64,
    /// How often the host has come back.
    pub generation: u32,
    /// What happened.
    pub kind: Kind,
}

impl Event {
    /// The JSON that is sent.
    pub fn body(&self, entity: Uuid, sender: Sender, webhook: &Webhook) -> Vec<u8> {
        let userdata = Some(&webhook.userdata).filter(|userdata| !userdata.is_empty());
        let body = json!({
            "type": self.kind.name(),
            "entity_id": entity.to_string(),
            "timestamp": timestamp(self.at_micros),
            "generation": self.generation,
            "userdata": userdata,
            "params": self.params(webhook),
            "tern": self.own(sender, webhook),
        });
        body.to_string().into_bytes()
    }

    fn params(&self, webhook: &Webhook) -> Value {
        let about = &webhook.about;
        match &self.kind {
            Kind::Register { is_reconnected, address } => {
                let system = about.system.as_ref().map(|system| {
                    json!({
                        "sysname": system.sysname,
                        "nodename": system.nodename,
                        "release": system.release,
                        "version": system.version,
                        "machine": system.machine,
                    })
                });
                json!({
                    "ip_address": address.map(|address| address.to_canonical().to_string()),
                    "client_version": about.software,
                    "stoken": about.token,
                    "stoken_ro": about.token_ro,
                    "reconnected": is_reconnected,
                    // There is no view in a browser.
                    "ssh_only": true,
                    "foreground": about.is_foreground,
                    "named": about.is_named,
                    "uname": system,
                    "ssh_cmd_fmt": about.ssh_cmd_fmt,
                    "ws_url_fmt": "",
                    "web_url_fmt": "",
                })
            }
            Kind::Join { id, who } => json!({
                "id": id.to_string(),
                "type": "ssh",
                "ip_address": who.address,
                "readonly": who.role == Role::ReadOnly,
            }),
            Kind::Left { id } => json!({ "id": id.to_string() }),
            Kind::Disconnect | Kind::Close => json!({}),
        }
    }

    /// What tmate doesn't tell.
    fn own(&self, sender: Sender, webhook: &Webhook) -> Value {
        let sent_by = match sender {
            Sender::Relay => "relay",
            Sender::Host => "host",
        };
        let mut own = json!({
            "event_id": self.id.to_string(),
            "sequence": self.sequence,
            "sent_by": sent_by,
        });
        match &self.kind {
            Kind::Register { .. } => {
                own["ssh_cmd"] = command(webhook, &webhook.about.token);
                own["ssh_cmd_ro"] = command(webhook, &webhook.about.token_ro);
            }
            Kind::Join { who, .. } => {
                own["client"] = json!(if who.place.is_some() { "tern" } else { "ssh" });
                own["key"] = json!(who.key.as_ref().map(|key| json!({
                    "fingerprint": Fingerprint(key.fingerprint).to_string(),
                    "comment": key.comment,
                })));
            }
            Kind::Left { .. } | Kind::Disconnect | Kind::Close => {}
        }
        own
    }
}

fn command(webhook: &Webhook, token: &str) -> Value {
    json!(webhook.about.ssh_cmd_fmt.replacen("%s", token, 1))
}

/// As tmate writes it: UTC, with microseconds.
fn timestamp(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tern_sync::session::{About, ShownKey, System};

    fn webhook() -> Webhook {
        let about = About {
            token: "T".into(),
            token_ro: "ro-T".into(),
            ssh_cmd_fmt: "ssh -p2200 %s@relay.example".into(),
            software: "tern 0.1.0".into(),
            is_named: true,
            system: Some(System { sysname: "Linux".into(), ..System::default() }),
            ..About::default()
        };
        Webhook { userdata: "mine".into(), about, ..Webhook::default() }
    }

    fn said(kind: Kind) -> Value {
        let event = Event {
            id: Uuid::of([1; 16]),
            sequence: 7,
            at_micros: 1_700_000_000_123_456,
            generation: 2,
            kind,
        };
        let body = event.body(Uuid::of([2; 16]), Sender::Relay, &webhook());
        serde_json::from_slice(&body).expect("JSON")
    }

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn register_says_how_to_join_and_who_hosts() {
        let address = Some("::ffff:192.0.2.1".parse().expect("an address"));
        let said = said(Kind::Register { is_reconnected: true, address });
        assert_eq!(said["type"], "session_register");
        assert_eq!(said["entity_id"], "02020202-0202-4202-8202-020202020202");
        assert_eq!(said["timestamp"], "2023-11-14T22:13:20.123456Z");
        assert_eq!((&said["generation"], &said["userdata"]), (&json!(2), &json!("mine")));
        assert_eq!(said["params"]["ip_address"], "192.0.2.1");
        assert_eq!(said["params"]["stoken_ro"], "ro-T");
        let uname = BTreeSet::from(["sysname", "nodename", "release", "version", "machine"]);
        assert_eq!(keys(&said["params"]["uname"]), uname);
        assert_eq!(said["tern"]["ssh_cmd_ro"], "ssh -p2200 ro-T@relay.example");
    }

    #[test]
    fn viewers_are_told_with_their_rights_and_keys() {
        let key = ShownKey { fingerprint: [0; 32], comment: "alice".into() };
        let who = Visitor {
            role: Role::ReadOnly,
            address: "192.0.2.7".into(),
            key: Some(key),
            place: Some([0; 16]),
        };
        let id = Uuid::of([3; 16]);
        let joined = said(Kind::Join { id, who });
        let expected = json!({
            "id": id.to_string(), "type": "ssh", "ip_address": "192.0.2.7", "readonly": true,
        });
        assert_eq!(joined["params"], expected);
        assert_eq!(joined["tern"]["client"], "tern");
        assert_eq!(joined["tern"]["key"]["comment"], "alice");
        assert_eq!(said(Kind::Left { id })["params"], json!({ "id": id.to_string() }));
        for kind in [Kind::Disconnect, Kind::Close] {
            assert_eq!(said(kind)["params"], json!({}));
        }
    }
}
