//! What a host wants of its session at the relay: who may join. Told as a whole and told anew
//! whenever it changes; a relay lets nobody in before it has heard it.

use super::{ADDRESS_SIZE_MAX, PlaceId, limit};
use crate::log::{Entry, WHOLE_SIZE_MAX, Whole};
use crate::{BadDiff, Channel};
use serde::{Deserialize, Serialize};

/// Host to relay: what the host wants.
pub const SETTINGS: Channel<Whole<Settings>> = Channel::new(4);

/// Most keys in a list: a company's.
pub const ACCESS_LINES_MAX: usize = 2000;
/// Longest line of a list, in bytes (`tern_bootstrap::authorized_keys::LINE_SIZE_MAX`).
pub const ACCESS_LINE_SIZE_MAX: usize = 8 * 1024;
/// Most bytes of a list: [`ACCESS_LINES_MAX`] Ed25519 keys, or 700 of RSA with 4096 bits. Seventeen
/// states are kept, which are 9 MB of a session's 64.
pub const ACCESS_SIZE_MAX: usize = 512 * 1024;
/// Most keys, addresses and places that are refused.
pub const REFUSED_MAX: usize = 1000;

const _: () = assert!(ACCESS_SIZE_MAX + REFUSED_MAX * 2 * ADDRESS_SIZE_MAX < WHOLE_SIZE_MAX);

/// What a host wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Who may join.
    pub access: Access,
    /// Whether the host is asked before each join.
    #[serde(default)]
    pub asks: bool,
    /// Who may not, whatever else holds: at most [`REFUSED_MAX`]. Those who are in have to go.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// Who may join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// The host has not said it yet.
    #[default]
    #[serde(rename = "u")]
    Unsaid,
    /// Whoever has a token.
    #[serde(rename = "e")]
    Everybody,
    /// Of these only those who have one of these keys: lines of an OpenSSH `authorized_keys` file.
    #[serde(rename = "k")]
    Keys(Vec<String>),
}

/// Somebody who may not come in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Refused {
    /// SHA-256 of their key.
    #[serde(rename = "k")]
    Key([u8; 32]),
    /// Their IP address.
    #[serde(rename = "a")]
    Address(String),
    /// Their place.
    #[serde(rename = "p")]
    Place(PlaceId),
}

impl Entry for Settings {
    fn check(&self) -> Result<(), BadDiff> {
        if let Access::Keys(lines) = &self.access {
            limit(lines.len(), ACCESS_LINES_MAX)?;
            for line in lines {
                limit(line.len(), ACCESS_LINE_SIZE_MAX)?;
            }
            limit(lines.iter().map(String::len).sum(), ACCESS_SIZE_MAX)?;
        }
        limit(self.refused.len(), REFUSED_MAX)?;
        for refused in &self.refused {
            if let Refused::Address(address) = refused {
                limit(address.len(), ADDRESS_SIZE_MAX)?;
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let lines = match &self.access {
            Access::Unsaid | Access::Everybody => 0,
            Access::Keys(lines) => {
                lines.iter().map(|line| size_of::<String>() + line.capacity()).sum()
            }
        };
        let refused = |refused: &Refused| match refused {
            Refused::Address(address) => size_of::<Refused>() + address.capacity(),
            Refused::Key(_) | Refused::Place(_) => size_of::<Refused>(),
        };
        lines + self.refused.iter().map(refused).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;

    #[test]
    fn largest_honest_settings_pass_and_larger_ones_do_not() {
        let listed = |count: usize, size: usize| Settings {
            access: Access::Keys(vec!["x".repeat(size); count]),
            ..Settings::default()
        };
        assert!(listed(ACCESS_LINES_MAX, ACCESS_SIZE_MAX / ACCESS_LINES_MAX).check().is_ok());
        assert!(listed(ACCESS_LINES_MAX + 1, 1).check().is_err());
        assert!(listed(1, ACCESS_LINE_SIZE_MAX + 1).check().is_err());
        assert!(listed(ACCESS_LINES_MAX, ACCESS_LINE_SIZE_MAX).check().is_err(), "too much in all");
        let refused = |count: usize, size: usize| Settings {
            refused: vec![Refused::Address("1".repeat(size)); count],
            ..Settings::default()
        };
        assert!(refused(REFUSED_MAX, ADDRESS_SIZE_MAX).check().is_ok());
        assert!(refused(REFUSED_MAX + 1, 1).check().is_err());
        assert!(refused(1, ADDRESS_SIZE_MAX + 1).check().is_err());
    }

    #[test]
    fn settings_come_through_whole() {
        let settings = Settings {
            access: Access::Keys(vec!["ssh-ed25519 AAAA alice".into()]),
            asks: true,
            refused: vec![Refused::Key([200; 32]), Refused::Place([1; 16])],
        };
        let base = Whole(Settings::default());
        let diff = Whole(settings.clone()).diff(&base);
        assert_eq!(base.apply(&diff).expect("it is right").0, settings);
    }
}
