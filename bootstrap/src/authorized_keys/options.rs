//! The options in front of a key (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").

use super::from::AddressPatterns;
use super::time;
use std::fmt;

/// Options that only give or take what nobody gets here anyway: forwarding, a login's files.
const HARMLESS: [&str; 15] = [
    "restrict",
    "agent-forwarding",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "permitlisten",
    "permitopen",
    "port-forwarding",
    "pty",
    "tunnel",
    "user-rc",
    "x11-forwarding",
];
/// Most principals in a line.
const PRINCIPALS_MAX: usize = 100;

/// What is honoured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The key signs certificates, and lets nobody in by itself.
    pub(super) is_authority: bool,
    /// One of these must be in the certificate; empty: any.
    pub(super) principals: Vec<String>,
    /// From where.
    pub(super) from: Option<AddressPatterns>,
    /// Until when, in seconds since 1970.
    pub(super) expires_at: Option<u64>,
    /// Whoever has it may only look.
    pub(super) is_read_only: bool,
}

impl Options {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in list(text)? {
            options.add(&name.to_ascii_lowercase(), value.as_deref())?;
        }
        if !options.principals.is_empty() && !options.is_authority {
            return Err(
                "principals= says something of certificates: it needs cert-authority".into()
            );
        }
        Ok(options)
    }

    fn add(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let twice = || Err(format!("{name} stands there twice"));
        match (name, value) {
            ("cert-authority", None) => self.is_authority = true,
            ("read-only", None) => self.is_read_only = true,
            ("from", Some(_)) if self.from.is_some() => return twice(),
            ("from", Some(value)) => self.from = Some(AddressPatterns::parse(value)?),
            ("expiry-time", Some(_)) if self.expires_at.is_some() => return twice(),
            ("expiry-time", Some(value)) => self.expires_at = Some(time::parse(value)?),
            ("principals", Some(_)) if !self.principals.is_empty() => return twice(),
            ("principals", Some(value)) => {
                self.principals = value.split(',').map(str::to_owned).collect();
                if self.principals.iter().any(String::is_empty) {
                    return Err("principals= names nobody".into());
                }
                if self.principals.len() > PRINCIPALS_MAX {
                    return Err(format!("more than {PRINCIPALS_MAX} principals"));
                }
            }
            (name, _) if HARMLESS.contains(&name) => {}
            (name, _) => {
                let name = super::printable(name.into());
                return Err(format!("the option {name:?} can't be honoured here"));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_authority, principals, from, expires_at, is_read_only } = self;
        let mut all = Vec::new();
        if *is_authority {
            all.push("cert-authority".to_owned());
        }
        if !principals.is_empty() {
            all.push(format!("principals={}", quoted(&principals.join(","))));
        }
        if let Some(from) = from {
            all.push(format!("from={}", quoted(&from.to_string())));
        }
        if let Some(at) = expires_at {
            all.push(format!("expiry-time={}", quoted(&time::format(*at))));
        }
        if *is_read_only {
            all.push("read-only".into());
        }
        f.write_str(&all.join(","))
    }
}

/// Options end at the first space that isn't in quotes.
pub(super) fn split(line: &str) -> Result<(&str, &str), String> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, letter) in line.char_indices() {
        match letter {
            '"' if !is_escaped => is_quoted = !is_quoted,
            ' ' | '\t' if !is_quoted => return Ok((&line[..at], line[at..].trim_start())),
            _ => {}
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    if is_quoted { Err("a quote isn't closed".into()) } else { Ok((line, "")) }
}

/// `name`, `name="value"`, separated by commas; in a value `\"` is a quote.
fn list(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut all = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        let mut name = String::new();
        while let Some(letter) = letters.next_if(|letter| !matches!(letter, ',' | '=')) {
            name.push(letter);
        }
        if name.is_empty() {
            return Err("an option has no name".into());
        }
        let value = letters.next_if_eq(&'=').map(|_| value(&name, &mut letters)).transpose()?;
        all.push((name, value));
        match letters.next() {
            None => return Ok(all),
            Some(',') => {}
            Some(_) => return Err("behind an option's value there must be a comma".into()),
        }
    }
}

fn value(
    name: &str,
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<String, String> {
    let name = || super::printable(name.into());
    if letters.next() != Some('"') {
        return Err(format!("the value of {} must stand in quotes", name()));
    }
    let mut value = String::new();
    loop {
        match letters.next() {
            None => return Err(format!("the value of {} has no end", name())),
            Some('"') => return Ok(value),
            Some('\\') if letters.next_if_eq(&'"').is_some() => value.push('"'),
            Some(letter) => value.push(letter),
        }
    }
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\\\""))
}
