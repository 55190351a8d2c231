//! Diffs that need more than one datagram: cut into equal shards, put together again.
//!
//! A diff of `size` bytes becomes `count` data shards of [`shard_size`] bytes, the last ones padded
//! with zeros, and up to [`parity_count`](crate::erasure::parity_count) parity shards. Any `count`
//! of them make the diff, so what is missing after a loss need not be known: whatever comes next
//! helps.

use crate::PeerError;
use crate::body::Packed;
use crate::erasure::{self, shard_size};
use crate::wire::{Body, FRAGMENTS_MAX, Head, Place};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A restoration takes up to half a millisecond however small the shards are, so a peer is served
/// one per this time: as often as frames follow one another at most.
const RESTORE_INTERVAL: Duration = Duration::from_millis(10);
/// Restorations that may follow one another at once.
const RESTORE_BURST: u32 = 8;

/// A diff on its way in shards.
#[derive(Debug)]
pub(crate) struct Run {
    head: Head,
    id: u32,
    is_lz4: bool,
    /// Bytes of the diff; `data` is padded.
    size: u32,
    data: Vec<u8>,
    /// Made when first needed.
    parity: Vec<Vec<u8>>,
    shard_size: usize,
    count: usize,
    /// The next shard's index.
    next: usize,
    /// Shards that are to be sent now.
    left: usize,
}

impl Run {
    /// Cuts `packed` into shards of at most `room` bytes; `None` if it takes too many. All data
    /// shards are to be sent, and what [`Run::add`] adds.
    pub(crate) fn new(head: Head, id: u32, packed: &Packed, room: usize) -> Option<Self> {
        let (is_lz4, bytes) = match packed.body() {
            Body::Plain(bytes) => (false, bytes),
            Body::Lz4(bytes) => (true, bytes),
        };
        let room = room & !1;
        let count = bytes.len().div_ceil(room.max(1)).max(1);
        if room == 0 || count > FRAGMENTS_MAX {
            return None;
        }
        let size = u32::try_from(bytes.len()).ok()?;
        let shard_size = shard_size(bytes.len(), count);
        let mut data = bytes.to_vec();
        data.resize(count * shard_size, 0);
        let parity = Vec::new();
        Some(Self { head, id, is_lz4, size, data, parity, shard_size, count, next: 0, left: count })
    }

    /// Whose diff it is.
    pub(crate) fn channel(&self) -> u16 {
        self.head.channel
    }

    /// The state that the diff makes.
    pub(crate) fn num(&self) -> u64 {
        self.head.num
    }

    /// Data shards.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of a shard.
    pub(crate) fn shard_size(&self) -> usize {
        self.shard_size
    }

    /// Whether there is something to send now.
    pub(crate) fn is_sending(&self) -> bool {
        self.left > 0
    }

    /// `count` further shards are to be sent.
    pub(crate) fn add(&mut self, count: usize) {
        self.left += count;
    }

    /// The next shard, `None` when enough were sent. Each has a fresh index until all were sent.
    pub(crate) fn next(&mut self) -> Option<(Head, Place, Body<'_>)> {
        self.left = self.left.checked_sub(1)?;
        let mut index = self.next;
        if index >= self.count && self.parity.is_empty() {
            // Where parity cannot be made, data shards repeat.
            self.parity = erasure::parity(&self.data, self.shard_size).unwrap_or_default();
        }
        if index >= self.count + self.parity.len() {
            index = 0;
        }
        self.next = index + 1;
        let small = |n: usize| u8::try_from(n).expect("at most 4 * FRAGMENTS_MAX shards");
        let (index, count) = (small(index), small(self.count));
        let place = Place { id: self.id, index, count, size: self.size };
        let bytes = match usize::from(index).checked_sub(self.count) {
            None => {
                let start = usize::from(index) * self.shard_size;
                &self.data[start..start + self.shard_size]
            }
            Some(parity) => &self.parity[parity],
        };
        let body = if self.is_lz4 { Body::Lz4(bytes) } else { Body::Plain(bytes) };
        Some((self.head, place, body))
    }
}

/// The shards of one diff that arrived so far: at most [`FRAGMENTS_MAX`] datagrams' worth.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    open: Option<Open>,
    /// When the restorations so far are paid for at one per [`RESTORE_INTERVAL`].
    paid_at: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    head: Head,
    place: Place,
    is_lz4: bool,
    shards: BTreeMap<u8, Vec<u8>>,
}

/// A diff put together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) head: Head,
    is_lz4: bool,
    bytes: Vec<u8>,
}

impl Whole {
    pub(crate) fn body(&self) -> Body<'_> {
        if self.is_lz4 { Body::Lz4(&self.bytes) } else { Body::Plain(&self.bytes) }
    }
}

impl Assembly {
    /// Takes a shard; those of what is newer displace those of what is older.
    pub(crate) fn handle(
        &mut self,
        head: Head,
        place: Place,
        body: Body<'_>,
        now: Instant,
    ) -> Result<Option<Whole>, PeerError> {
        let (is_lz4, bytes) = match body {
            Body::Plain(bytes) => (false, bytes),
            Body::Lz4(bytes) => (true, bytes),
        };
        let age = |open: &Open| (head.num, place.id).cmp(&(open.head.num, open.place.id));
        match self.open.as_ref().map(age) {
            Some(std::cmp::Ordering::Less) => return Ok(None),
            Some(std::cmp::Ordering::Equal) => {}
            Some(std::cmp::Ordering::Greater) | None => {
                self.open = Some(Open { head, place, is_lz4, shards: BTreeMap::new() });
            }
        }
        let open = self.open.as_mut().expect("opened above");
        let shape = |head: Head, place: Place, is_lz4| (head.base, place.count, place.size, is_lz4);
        if shape(open.head, open.place, open.is_lz4) != shape(head, place, is_lz4) {
            return Err(PeerError("shards of one diff disagree".to_owned()));
        }
        let count = usize::from(place.count);
        if open.shards.len() < count {
            open.shards.insert(place.index, bytes.to_vec());
        }
        if open.shards.len() < count || !self.may_restore(now) {
            return Ok(None);
        }
        let open = self.open.take().expect("opened above");
        let mut bytes = erasure::restore(open.shards, count, bytes.len())
            .map_err(|_| PeerError("shards make no diff".to_owned()))?;
        bytes.truncate(usize::try_from(place.size).unwrap_or(usize::MAX));
        Ok(Some(Whole { head: open.head, is_lz4, bytes }))
    }

    /// Drops shards that serve nothing, now that state `num` is held.
    pub(crate) fn on_held(&mut self, num: u64) {
        self.open.take_if(|open| open.head.num <= num);
    }

    /// Bytes that wait for the rest.
    pub(crate) fn byte_count(&self) -> usize {
        let shards = self.open.iter().flat_map(|open| open.shards.values());
        shards.map(Vec::len).sum()
    }

    fn may_restore(&mut self, now: Instant) -> bool {
        let paid_at = self.paid_at.map_or(now, |at| at.max(now)) + RESTORE_INTERVAL;
        let is_paid = paid_at <= now + RESTORE_BURST * RESTORE_INTERVAL;
        if is_paid {
            self.paid_at = Some(paid_at);
        }
        is_paid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { channel: 1, num: 5, front: 3, base: 3 };

    #[test]
    fn data_shards_in_any_order_make_the_diff() {
        let diff: Vec<u8> = (0..99).collect();
        let shards = cut(1, HEAD, &diff, 30, 0);
        assert_eq!(shards.len(), 4);
        let mut assembly = Assembly::default();
        for index in [2, 0, 0, 3] {
            assert_eq!(feed(&mut assembly, &shards[index]), None);
        }
        let whole = feed(&mut assembly, &shards[1]).expect("all shards");
        assert_eq!((whole.head, whole.body()), (HEAD, Body::Plain(&diff[..])));
        assert_eq!(assembly.byte_count(), 0);
    }

    #[test]
    fn parity_stands_for_whatever_was_lost() {
        let diff = noise(2001);
        let shards = cut(1, HEAD, &diff, 100, 30);
        let mut assembly = Assembly::default();
        let mut kept = shards.iter().enumerate().filter(|(n, _)| n % 3 != 1).map(|(_, s)| s);
        let whole = kept.find_map(|shard| feed(&mut assembly, shard)).expect("enough");
        assert_eq!(whole.body(), Body::Plain(&diff[..]));
    }

    #[test]
    fn shards_after_the_last_index_begin_anew() {
        let diff: Vec<u8> = (0..100).collect();
        let indices: Vec<u8> =
            cut(1, HEAD, &diff, 50, 8).iter().map(|(_, place, _)| place.index).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]);
    }

    #[test]
    fn two_cuts_of_one_state_do_not_mix() {
        let diff: Vec<u8> = (0..100).collect();
        let (first, second) = (cut(1, HEAD, &diff, 30, 0), cut(2, HEAD, &diff, 60, 0));
        let mut assembly = Assembly::default();
        assert_eq!(feed(&mut assembly, &first[0]), None);
        assert_eq!(feed(&mut assembly, &second[1]), None);
        assert_eq!(feed(&mut assembly, &first[1]), None);
        let whole = feed(&mut assembly, &second[0]).expect("all shards");
        assert_eq!(whole.body(), Body::Plain(&diff[..]));
    }

    #[test]
    fn too_large_a_diff_is_not_cut() {
        let packed = Packed::new(noise(30 * FRAGMENTS_MAX + 1));
        assert!(Run::new(HEAD, 1, &packed, 30).is_none());
    }

    #[test]
    fn disagreeing_shards_are_the_peers_fault() {
        let now = Instant::now();
        let mut assembly = Assembly::default();
        let place = Place { id: 1, index: 0, count: 3, size: 6 };
        assembly.handle(HEAD, place, Body::Plain(b"ab"), now).expect("first shard");
        let place = Place { id: 1, index: 1, count: 2, size: 4 };
        assert!(assembly.handle(HEAD, place, Body::Plain(b"cd"), now).is_err());
    }

    #[test]
    fn newer_state_frees_older_shards() {
        let mut assembly = Assembly::default();
        let place = Place { id: 1, index: 0, count: 3, size: 12 };
        assembly.handle(HEAD, place, Body::Plain(b"abcd"), Instant::now()).expect("first shard");
        assert_eq!(assembly.byte_count(), 4);
        assembly.on_held(HEAD.num - 1);
        assert_eq!(assembly.byte_count(), 4);
        assembly.on_held(HEAD.num);
        assert_eq!(assembly.byte_count(), 0);
    }

    #[test]
    fn peer_gets_no_more_restorations_than_frames() {
        let now = Instant::now();
        let mut assembly = Assembly::default();
        let mut count = 0;
        for id in 0..1000 {
            for index in [2, 3] {
                let place = Place { id, index, count: 2, size: 4 };
                let whole = assembly.handle(HEAD, place, Body::Plain(b"ab"), now).expect("fine");
                count += u32::from(whole.is_some());
            }
        }
        assert_eq!(count, RESTORE_BURST);
    }

    type Piece = (Head, Place, Vec<u8>);

    /// Bytes that don't compress.
    fn noise(size: usize) -> Vec<u8> {
        let mut x = 1u64;
        std::iter::repeat_with(|| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        })
        .take(size)
        .collect()
    }

    fn cut(id: u32, head: Head, diff: &[u8], room: usize, more: usize) -> Vec<Piece> {
        let packed = Packed::new(diff.to_vec());
        let mut run = Run::new(head, id, &packed, room).expect("fits");
        run.add(more);
        let mut pieces = Vec::new();
        while let Some((head, place, Body::Plain(bytes))) = run.next() {
            pieces.push((head, place, bytes.to_vec()));
        }
        pieces
    }

    fn feed(assembly: &mut Assembly, (head, place, bytes): &Piece) -> Option<Whole> {
        assembly.handle(*head, *place, Body::Plain(bytes), Instant::now()).expect("own shards")
    }
}
