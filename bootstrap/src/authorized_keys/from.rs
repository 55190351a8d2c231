//! `from=`: patterns of addresses (ssh_config(5), "PATTERNS", and CIDR). Names are not looked up: a
//! line that has one is refused, for it would mean less, or more, than it says.

use std::fmt;
use std::net::IpAddr;

/// Most patterns in a list: each costs a comparison for each who comes.
const PATTERNS_MAX: usize = 100;
/// Longest pattern, in bytes: a written-out IPv6 address with a mask. Bounds what stars may cost.
const PATTERN_SIZE_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// Addresses that share so many first bits.
    Network(IpAddr, u8),
    /// With `*` and `?`, against the address as text.
    Text(String),
}

/// A list in which a negated pattern (`!`) that matches outweighs all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressPatterns(Vec<(bool, Pattern)>);

impl AddressPatterns {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > PATTERNS_MAX {
            return Err(format!("more than {PATTERNS_MAX} addresses in from="));
        }
        let read = |part: &str| match part.strip_prefix('!') {
            Some(rest) => Ok((true, Pattern::parse(rest)?)),
            None => Ok((false, Pattern::parse(part)?)),
        };
        parts.into_iter().map(read).collect::<Result<_, String>>().map(Self)
    }

    /// The address in canonical form.
    pub(super) fn matches(&self, address: IpAddr) -> bool {
        let mut is_matched = false;
        for (is_negated, pattern) in &self.0 {
            if pattern.matches(address) {
                if *is_negated {
                    return false;
                }
                is_matched = true;
            }
        }
        is_matched
    }
}

impl fmt::Display for AddressPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (is_negated, pattern)) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            f.write_str(if *is_negated { "!" } else { "" })?;
            match pattern {
                Pattern::Network(address, bits) => write!(f, "{address}/{bits}")?,
                Pattern::Text(text) => f.write_str(text)?,
            }
        }
        Ok(())
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let shown = || super::printable(text.into());
        if text.is_empty() || text.len() > PATTERN_SIZE_MAX {
            return Err(format!("from= has {:?} where an address should be", shown()));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let network = || {
                let address: IpAddr = address.parse().ok()?;
                let bits: u8 = bits.parse().ok().filter(|bits| *bits <= width(address))?;
                // A network whose address goes on behind its mask is a mistake, as for OpenSSH.
                (masked(address, bits) == value(address)).then_some(Self::Network(address, bits))
            };
            return network()
                .ok_or_else(|| format!("from= has {:?}, which is no network", shown()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address, width(address)));
        }
        let is_of = |letters: &str| {
            text.chars().all(|c| letters.contains(c) || c.is_ascii_hexdigit() && c.is_lowercase())
        };
        let has_star = text.contains(['*', '?']);
        let is_like_v4 = text.chars().all(|c| c.is_ascii_digit() || ".*?".contains(c));
        if has_star && (is_like_v4 || text.contains(':') && is_of(":.*?0123456789")) {
            return Ok(Self::Text(text.to_owned()));
        }
        Err(format!("from= has {:?}: only addresses are looked at, no names", shown()))
    }

    fn matches(&self, address: IpAddr) -> bool {
        match self {
            Self::Network(network, bits) => {
                width(*network) == width(address) && masked(address, *bits) == value(*network)
            }
            Self::Text(pattern) => matches_text(pattern.as_bytes(), address.to_string().as_bytes()),
        }
    }
}

/// In bits.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first `bits` of an address.
fn masked(address: IpAddr, bits: u8) -> u128 {
    let rest = u32::from(width(address) - bits);
    value(address).checked_shr(rest).and_then(|kept| kept.checked_shl(rest)).unwrap_or(0)
}

/// `*` is any text, `?` any letter. In steps of at most the product of both lengths: a star takes
/// over from the one before.
fn matches_text(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&letter) if letter == b'?' || letter == text[from] => {
                (at, from) = (at + 1, from + 1);
            }
            Some(_) | None => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                (at, from) = (star_at + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}
