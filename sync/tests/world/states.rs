//! States for tests. The fuzz target uses them too.
#![allow(unreachable_pub)] // A module of several test binaries.

use std::hash::{DefaultHasher, Hash, Hasher};
use tern_sync::log::{Entry, Log, Whole};
use tern_sync::{BadDiff, Channel, State};

/// A document in either direction.
pub const DOC: Channel<Doc> = Channel::new(1);
/// Numbers that must all arrive, in order.
pub const NUMBERS: Channel<Log<Numbered>> = Channel::new(2);
/// A small value in either direction.
pub const NAME: Channel<Whole<Name>> = Channel::new(16);

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Numbered(pub u64, #[serde(with = "serde_bytes")] pub Vec<u8>);
impl Entry for Numbered {
    const IS_ECHOED: bool = true;

    fn check(&self) -> Result<(), BadDiff> {
        if self.1.len() > 5000 { Err(BadDiff("too long")) } else { Ok(()) }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Name(pub String);
impl Entry for Name {
    fn size(&self) -> usize {
        self.0.len()
    }
}

/// Any bytes; a diff is what changed in the middle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doc(pub Vec<u8>);

impl Doc {
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }
}

impl State for Doc {
    fn diff(&self, base: &Self) -> Vec<u8> {
        if self == base {
            return Vec::new();
        }
        let pairs = self.0.iter().zip(&base.0);
        let head = pairs.take_while(|(a, b)| a == b).count();
        let pairs = self.0[head..].iter().rev().zip(base.0[head..].iter().rev());
        let tail = pairs.take_while(|(a, b)| a == b).count();
        let mut diff = u32::try_from(head).expect("small").to_le_bytes().to_vec();
        diff.extend(u32::try_from(tail).expect("small").to_le_bytes());
        diff.extend_from_slice(&self.0[head..self.0.len() - tail]);
        diff
    }

    fn apply(&self, diff: &[u8]) -> Result<Self, BadDiff> {
        if diff.is_empty() {
            return Ok(self.clone());
        }
        let (head, rest) = diff.split_first_chunk::<4>().ok_or(BadDiff("cut"))?;
        let (tail, middle) = rest.split_first_chunk::<4>().ok_or(BadDiff("cut"))?;
        let head = u32::from_le_bytes(*head) as usize;
        let tail = u32::from_le_bytes(*tail) as usize;
        if head.saturating_add(tail) > self.0.len() || middle.len() > 1 << 20 {
            return Err(BadDiff("out of range"));
        }
        let end = &self.0[self.0.len() - tail..];
        Ok(Self([&self.0[..head], middle, end].concat()))
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn size(&self) -> usize {
        self.0.len()
    }
}
