//! Lists of SSH keys as OpenSSH keeps them in `authorized_keys`, and whom they let in: one home for
//! those who may share (a relay's file) and those who may join (a host's).
//!
//! An option that can't be honoured here refuses its line, so that nobody gets more than the line
//! says. What OpenSSH doesn't have: `read-only`, for somebody who may only look.

mod from;
mod options;
mod time;

use options::Options;
use ring::digest;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, ssh_key};
use std::fmt;
use std::net::IpAddr;

pub use russh::keys::{Certificate, PublicKey};

/// Longest line, in bytes: an RSA key of 16384 bits has 2800 letters, and options and a comment
/// stand beside it.
pub const LINE_SIZE_MAX: usize = 8 * 1024;
/// Longest comment that is kept, in characters: it is shown on status lines.
const COMMENT_CHARS_MAX: usize = 64;

/// What somebody has shown to be theirs.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    /// No key at all.
    #[default]
    Nothing,
    /// This key.
    Key(PublicKey),
    /// The key of a certificate, whose signature and times were checked.
    Certificate(Box<Certificate>),
    /// What a ticket says of a key that was looked at when it was made.
    Kept(Bearer),
}

/// SHA-256 of a public key; shown as `ssh-keygen -l` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ssh_key::Fingerprint::Sha256(self.0).fmt(f)
    }
}

/// Names a rule by what it says: its key and its options. SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RuleId(pub [u8; 32]);

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RuleId(..)")
    }
}

/// By which right somebody is in, as far as it must be known to look at it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The rule that let them in.
    pub rule: RuleId,
    /// Of their key.
    pub key: Fingerprint,
    /// Until when their certificate is valid, in seconds since 1970; `u64::MAX` for ever.
    pub valid_until: u64,
}

/// Somebody whom a rule lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// By which right.
    pub bearer: Bearer,
    /// Whether they may only look.
    pub is_read_only: bool,
    /// The line's comment, printable; a certificate's own name if it has one.
    pub comment: String,
}

/// A line that lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// What is wrong with it, for people.
    pub reason: String,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Rule {
    key: PublicKey,
    options: Options,
    id: RuleId,
    comment: String,
}

/// All lines that can be honoured.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Reads a file's text. Blank lines and comments are passed over.
    pub fn parse(text: &str) -> (Self, Vec<Fault>) {
        let (mut rules, mut faults) = (Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Rule::parse(line) {
                Ok(rule) => rules.push(rule),
                Err(reason) => faults.push(Fault { line: index + 1, reason }),
            }
        }
        (Self(rules), faults)
    }

    /// Those of both.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// As far as they may count in a list that somebody else keeps: none may vouch for other keys, and
    /// whoever they let in is called `name`, whatever they say. Gives how many were refused for it.
    pub fn of_others(mut self, name: &str) -> (Self, usize) {
        let count = self.0.len();
        self.0.retain(|rule| !rule.options.is_authority);
        for rule in &mut self.0 {
            rule.comment = printable(name.into());
        }
        let refused = count - self.0.len();
        (self, refused)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody gets in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As lines that mean the same anywhere: times are in UTC.
    pub fn to_lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Rule::to_line)
    }

    /// Whether somebody who offers this key, or a certificate for it, should prove that it is theirs.
    /// (Which of both it is can't be told from an offer.)
    pub fn may_accept(&self, key: &PublicKey) -> bool {
        let key = key.key_data();
        self.0.iter().any(|rule| rule.options.is_authority || rule.key.key_data() == key)
    }

    /// Whether this rule, word for word, is one of them.
    pub fn has(&self, id: RuleId) -> bool {
        self.0.iter().any(|rule| rule.id == id)
    }

    /// Whether somebody at `address` gets in, `now` in seconds since 1970. The first line that lets
    /// them in counts.
    pub fn admit(&self, shown: &Credential, address: IpAddr, now: u64) -> Option<Admitted> {
        self.0.iter().find_map(|rule| rule.admit(shown, address.to_canonical(), now))
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Self, String> {
        if line.len() > LINE_SIZE_MAX {
            return Err(format!("it is longer than {LINE_SIZE_MAX} bytes"));
        }
        let (key, options) = match PublicKey::from_openssh(line) {
            Ok(key) => (key, Options::default()),
            Err(_) => {
                let (options, rest) = options::split(line)?;
                let key = PublicKey::from_openssh(rest);
                (key.map_err(|_| no_key(options, rest))?, Options::parse(options)?)
            }
        };
        let comment = printable(key.comment().as_str_lossy().into());
        let said = format!("{options} {}", one_line(&key));
        let hash = digest::digest(&digest::SHA256, said.as_bytes());
        let id = RuleId(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"));
        Ok(Self { key, options, id, comment })
    }

    fn to_line(&self) -> String {
        let options = self.options.to_string();
        let space = if options.is_empty() { "" } else { " " };
        format!("{options}{space}{} {}", one_line(&self.key), self.comment).trim_end().to_owned()
    }

    fn admit(&self, shown: &Credential, address: IpAddr, now: u64) -> Option<Admitted> {
        let (bearer, name) = match shown {
            Credential::Nothing => return None,
            Credential::Key(key) => {
                let is_it = !self.options.is_authority && key.key_data() == self.key.key_data();
                (is_it.then(|| self.bearer(key.key_data(), u64::MAX))?, None)
            }
            Credential::Certificate(certificate) => {
                let is_its = self.options.is_authority && self.signs(certificate, address, now);
                let until = certificate.valid_before();
                let bearer = is_its.then(|| self.bearer(certificate.public_key(), until))?;
                (bearer, Some(certificate.key_id()).filter(|name| !name.is_empty()))
            }
            Credential::Kept(bearer) => {
                ((bearer.rule == self.id && now < bearer.valid_until).then_some(*bearer)?, None)
            }
        };
        let is_in_time = self.options.expires_at.is_none_or(|at| now < at);
        let is_from_there = self.options.from.as_ref().is_none_or(|from| from.matches(address));
        (is_in_time && is_from_there).then(|| Admitted {
            bearer,
            is_read_only: self.options.is_read_only,
            comment: name.map_or_else(|| self.comment.clone(), |name| printable(name.into())),
        })
    }

    fn bearer(&self, key: &KeyData, valid_until: u64) -> Bearer {
        Bearer { rule: self.id, key: fingerprint(key), valid_until }
    }

    /// Whether a certificate is one of this authority's that lets somebody in from `address`.
    fn signs(&self, certificate: &Certificate, address: IpAddr, now: u64) -> bool {
        let is_valid = certificate.valid_after() <= now && now < certificate.valid_before();
        // A login name would have to be among them, but a token is none.
        let is_for = |principal: &String| self.options.principals.contains(principal);
        let is_named =
            self.options.principals.is_empty() || certificate.valid_principals().iter().any(is_for);
        certificate.cert_type() == CertType::User
            && certificate.signature_key() == self.key.key_data()
            && is_valid
            && is_named
            && certificate.critical_options().iter().all(|(name, value)| match name.as_str() {
                "source-address" => from::AddressPatterns::parse(value)
                    .is_ok_and(|patterns| patterns.matches(address)),
                // `force-command`, `verify-required` and what is to come: it can't be honoured.
                _ => false,
            })
    }
}

/// SHA-256 of a key.
pub fn fingerprint(key: &KeyData) -> Fingerprint {
    let hash = key.fingerprint(HashAlg::Sha256).sha256();
    Fingerprint(hash.expect("SHA-256 was asked for"))
}

/// Type and key, without the comment.
fn one_line(key: &PublicKey) -> String {
    PublicKey::new(key.key_data().clone(), "").to_openssh().unwrap_or_default().trim().to_owned()
}

fn no_key(options: &str, rest: &str) -> String {
    // A key that is cut or of an unknown type reads as an option.
    let word = if options.starts_with("ssh-") || options.starts_with("ecdsa-") {
        options
    } else {
        rest.split_whitespace().next().unwrap_or_default()
    };
    match word {
        "" => "there is no key in it".into(),
        "ssh-dss" => "DSA keys are not secure any more".into(),
        _ => format!("it has no key that can be read, behind {:?}", printable(word.into())),
    }
}

fn printable(text: std::borrow::Cow<'_, str>) -> String {
    text.chars().filter(|c| !c.is_control()).take(COMMENT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
