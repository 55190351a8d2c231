//! A log as a state: every entry arrives, in order, once. And a small value as a state.
//!
//! A log's diff holds all entries that the base lacks, so what arrives is complete by construction
//! (as mosh's `UserStream`); what the peer has acknowledged is forgotten. Entries travel one behind
//! the other, each a MessagePack value.

use crate::{BadDiff, State};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most encoded bytes that a [`Log`] keeps: at the sender what is not acknowledged (a paste of a
/// megabyte, or hours of typing into an outage), at the receiver what nobody took.
pub const LOG_SIZE_MAX: usize = 1024 * 1024;
/// Most entries that a [`Log`] keeps: an entry takes about 100 bytes beside its encoding.
pub const LOG_ENTRIES_MAX: usize = 64 * 1024;
/// Largest encoding of a [`Whole`] that is accepted.
pub const WHOLE_SIZE_MAX: usize = 1024 * 1024;

const _: () = assert!(LOG_SIZE_MAX <= crate::DIFF_SIZE_MAX, "a full log can be sent");
const _: () = assert!(WHOLE_SIZE_MAX <= crate::DIFF_SIZE_MAX, "any value can be sent");

/// What a [`Log`] or a [`Whole`] may hold.
pub trait Entry:
    Serialize + DeserializeOwned + Clone + Send + Sync + std::fmt::Debug + 'static
{
    /// See [`State::IS_ECHOED`].
    const IS_ECHOED: bool = false;

    /// Refuses a decoded value whose lengths or contents no honest peer sends.
    fn check(&self) -> Result<(), BadDiff> {
        Ok(())
    }

    /// Bytes that it holds outside of itself, for a [`Whole`]'s size. (A [`Log`] knows its entries'
    /// encodings.)
    fn size(&self) -> usize {
        0
    }
}

/// An append-only log whose acknowledged front is dropped.
#[derive(Debug, Clone)]
pub struct Log<E> {
    /// Index of the first entry that is kept.
    start: u64,
    entries: VecDeque<Arc<Kept<E>>>,
    /// Encoded bytes of `entries`.
    size: usize,
}

#[derive(Debug)]
struct Kept<E> {
    entry: E,
    encoded: Vec<u8>,
}

impl<E> Default for Log<E> {
    fn default() -> Self {
        Self { start: 0, entries: VecDeque::new(), size: 0 }
    }
}

impl<E: Entry> Log<E> {
    /// An empty log, beginning with entry 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry. `false` if the log is full: then it is not appended, and
    /// the writer has to stop its source, or to drop it.
    pub fn push(&mut self, entry: E) -> bool {
        let encoded = rmp_serde::to_vec(&entry).expect("entries are plain data");
        if self.entries.len() >= LOG_ENTRIES_MAX || self.size + encoded.len() > LOG_SIZE_MAX {
            return false;
        }
        self.keep(entry, encoded);
        true
    }

    /// Entries that are still kept (not yet acknowledged, at the sender).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Encoded bytes of the entries that are kept; what a writer bounds its backlog by.
    pub fn byte_count(&self) -> usize {
        self.size
    }

    /// Index behind the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    /// The entries from index `from` on, as far as they are kept.
    pub(crate) fn entries_from(&self, from: u64) -> Vec<E> {
        self.kept_from(from).map(|kept| kept.entry.clone()).collect()
    }

    fn kept_from(&self, from: u64) -> impl Iterator<Item = &Arc<Kept<E>>> {
        let skipped = usize::try_from(from.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skipped)
    }

    fn keep(&mut self, entry: E, encoded: Vec<u8>) {
        self.size += encoded.len();
        self.entries.push_back(Arc::new(Kept { entry, encoded }));
    }
}

impl<E: Entry> State for Log<E> {
    const IS_LOG: bool = true;
    const IS_ECHOED: bool = E::IS_ECHOED;

    fn diff(&self, base: &Self) -> Vec<u8> {
        let mut diff = Vec::new();
        for kept in self.kept_from(base.end()) {
            diff.extend_from_slice(&kept.encoded);
        }
        diff
    }

    fn apply(&self, diff: &[u8]) -> Result<Self, BadDiff> {
        if self.size + diff.len() > LOG_SIZE_MAX {
            return Err(BadDiff("log too large"));
        }
        let mut log = self.clone();
        let mut rest = diff;
        while !rest.is_empty() {
            if log.entries.len() >= LOG_ENTRIES_MAX {
                return Err(BadDiff("too many entries"));
            }
            let mut decoder = rmp_serde::Deserializer::new(rest);
            let entry = E::deserialize(&mut decoder).map_err(|_| BadDiff("not an entry"))?;
            entry.check()?;
            let after: &[u8] = decoder.get_ref();
            let encoded = rest[..rest.len() - after.len()].to_vec();
            if encoded.is_empty() {
                return Err(BadDiff("entry without bytes"));
            }
            log.keep(entry, encoded);
            rest = after;
        }
        Ok(log)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.end() == other.end()
    }

    /// What an entry holds is about as long as its encoding.
    fn size(&self) -> usize {
        const ENTRY_SIZE: usize = size_of::<usize>() * 3;
        2 * self.size + self.entries.len() * (ENTRY_SIZE + size_of::<Kept<E>>())
    }

    fn forget(&mut self, known: &Self) {
        while self.start < known.end()
            && let Some(kept) = self.entries.pop_front()
        {
            self.start += 1;
            self.size -= kept.encoded.len();
        }
    }
}

/// A small value that is sent whole whenever it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole<T>(pub T);

impl<T: Entry + PartialEq> State for Whole<T> {
    fn diff(&self, base: &Self) -> Vec<u8> {
        if self == base {
            return Vec::new();
        }
        rmp_serde::to_vec(&self.0).expect("values are plain data")
    }

    fn apply(&self, diff: &[u8]) -> Result<Self, BadDiff> {
        if diff.is_empty() {
            return Ok(self.clone());
        }
        if diff.len() > WHOLE_SIZE_MAX {
            return Err(BadDiff("value too large"));
        }
        let value: T = rmp_serde::from_slice(diff).map_err(|_| BadDiff("not a value"))?;
        value.check()?;
        Ok(Self(value))
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Entry for u32 {}
    impl Entry for String {
        fn check(&self) -> Result<(), BadDiff> {
            if self.len() > 10 { Err(BadDiff("long")) } else { Ok(()) }
        }
    }

    #[test]
    fn diff_holds_what_the_base_lacks() {
        let mut log = Log::new();
        assert!(log.push(1u32));
        let base = log.clone();
        assert!(log.push(2));
        assert!(log.push(3));
        let made = base.apply(&log.diff(&base)).expect("own diff");
        assert!(made.is_same(&log));
        assert_eq!(made.entries_from(1), [2, 3]);
    }

    #[test]
    fn forgotten_entries_keep_their_indices() {
        let mut log = Log::new();
        (0..5u32).for_each(|n| assert!(log.push(n)));
        let known = log.clone();
        assert!(log.push(5));
        log.forget(&known);
        assert_eq!((log.len(), log.end()), (1, 6));
        assert_eq!(log.byte_count(), 1);
        assert_eq!(log.diff(&known).len(), 1);
        let mut older = known.clone();
        older.forget(&log);
        assert_eq!((older.len(), older.end()), (0, 5));
    }

    #[test]
    fn full_log_refuses_and_stays_sendable() {
        let mut log = Log::new();
        while log.push("0123456789".to_owned()) {}
        assert!(log.byte_count() <= LOG_SIZE_MAX && log.len() <= LOG_ENTRIES_MAX);
        let empty = Log::<String>::new();
        assert!(empty.apply(&log.diff(&empty)).is_ok_and(|made| made.is_same(&log)));
    }

    #[test]
    fn hostile_entries_are_refused() {
        let long = rmp_serde::to_vec("01234567890").expect("plain");
        assert_eq!(Log::<String>::new().apply(&long).err(), Some(BadDiff("long")));
        let claims = [0xdb, 0xff, 0xff, 0xff, 0xff, b'a'];
        assert!(Log::<String>::new().apply(&claims).is_err());
        assert!(Whole(String::new()).apply(&claims).is_err());
        let zeros = vec![0; LOG_ENTRIES_MAX + 1];
        assert!(Log::<u32>::new().apply(&zeros).is_err());
    }
}
