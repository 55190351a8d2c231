//! What endpoints say to each other, as bytes.
//!
//! A packet is a sequence of MessagePack values without an outer array: the sender's clock, the
//! echo of the receiver's clock, then items until the end. A datagram and a stream message have the
//! same form. The integer that opens an item tells its kind and channel:
//!
//! ```text
//! packet   clock:u16 echo:(u16 | -1) item*
//! item     true | false                               ping, with or without a wish for acks
//!          -1 - channel, num                          ack: newest state held
//!          nil, channel, num                          num came, but its base is not held
//!          channel * 4 + 0, head, bin                 diff, more items may follow
//!          channel * 4 + 1, head, rest of packet      diff
//!          channel * 4 + 2, head, rest of packet      diff behind its size, lz4 block
//!          channel * 4 + 3, head, id, place, bytes    shard of a diff too large for a datagram
//! head     num, num - front, (num - base | 0 if base is front)
//! place    index * 128 + (count - 1) * 2 + is_lz4, size
//! ```
//!
//! A diff of `size` bytes is cut into `count` data shards of `size / count` bytes, rounded up to an
//! even number, padded with zeros; `index` counts them from 0, then `3 * count` parity shards of the
//! same length (see `erasure.rs`). Any `count` shards of the same channel, `num` and `id` make the
//! diff. A receiver keeps those of the newest `num` and `id` only.
//!
//! A typed key costs 12 bytes over its diff (3 clock, 3 echo, 1 tag, 3 num, 2 head) while state
//! numbers are below 65536, and 4 more with an acknowledgement: less than a QUIC packet's tag.

/// Largest datagram in either direction. QUIC's are at most 1452 bytes on the Internet; a larger
/// diff travels on a stream.
pub(crate) const DATAGRAM_SIZE_MAX: usize = 2048;
/// Smallest datagram worth using: header, an acknowledgement per channel in use and a small diff.
/// On a path that takes less, everything goes on streams.
pub(crate) const DATAGRAM_SIZE_MIN: usize = 128;
/// Most data shards that one diff is cut into; a larger one goes on a stream. 64 shards hold 69 kB
/// in datagrams of 1162 bytes: a full coloured screen of 200 x 60 takes 10 to 50 kB compressed. With
/// three times as many parity shards their index fits a byte.
pub(crate) const FRAGMENTS_MAX: usize = 64;
/// Largest diff (before compression) that is sent or accepted: 8 bytes for every cell of a
/// screen of 1000 x 500.
pub const DIFF_SIZE_MAX: usize = 4 * 1024 * 1024;
/// Largest stream message: an incompressible diff and its header.
pub const MESSAGE_SIZE_MAX: usize = DIFF_SIZE_MAX + DATAGRAM_SIZE_MIN;
/// Bytes of an item's tag and head at their longest: four integers and a channel.
pub(crate) const HEAD_SIZE_MAX: usize = 5 + 3 * 9;
/// Bytes that a shard adds to [`HEAD_SIZE_MAX`]: id (5) and place (3 + 5).
pub(crate) const FRAGMENT_HEAD_SIZE_MAX: usize = HEAD_SIZE_MAX + 13;
/// Bytes of the packet's header at their longest.
pub(crate) const HEADER_SIZE_MAX: usize = 6;
/// Bytes of an acknowledgement at their longest.
pub(crate) const ACK_SIZE_MAX: usize = 5 + 9;

const _: () = assert!(FRAGMENTS_MAX <= 64, "place packs the count in six bits");
const _: () = assert!(
    FRAGMENTS_MAX + crate::erasure::parity_count(FRAGMENTS_MAX) <= 256,
    "an index is a byte"
);
const _: () = assert!(HEADER_SIZE_MAX + ACK_SIZE_MAX + FRAGMENT_HEAD_SIZE_MAX < DATAGRAM_SIZE_MIN);

/// Where a diff belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) channel: u16,
    /// Number of the state that the diff makes.
    pub(crate) num: u64,
    /// The state that the sender knows to be held; it will never use an older one as base.
    pub(crate) front: u64,
    /// Number of the state that the diff is applied to.
    pub(crate) base: u64,
}

/// Which shard of a diff it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Differs between any two splittings of one channel.
    pub(crate) id: u32,
    /// Data shards first, then parity.
    pub(crate) index: u8,
    /// Data shards: `1..=FRAGMENTS_MAX`.
    pub(crate) count: u8,
    /// Bytes of the whole diff, at most `count` datagrams' worth.
    pub(crate) size: u32,
}

/// A diff as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    Plain(&'a [u8]),
    /// See [`crate::body`].
    Lz4(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// Asks for any answer; with `wants_acks` for all acknowledgements.
    Ping {
        wants_acks: bool,
    },
    Ack {
        channel: u16,
        num: u64,
    },
    Nack {
        channel: u16,
        num: u64,
    },
    Diff(Head, Body<'a>),
    Fragment(Head, Place, Body<'a>),
}

pub(crate) const TAG_SIZED: u64 = 0;
pub(crate) const TAG_REST: u64 = 1;
pub(crate) const TAG_REST_LZ4: u64 = 2;
pub(crate) const TAG_FRAGMENT: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::Reader;
    use crate::writer::Writer;
    use proptest::prelude::*;

    const HEAD: Head = Head { channel: 16, num: 40_000, front: 39_998, base: 39_998 };

    #[test]
    fn typed_key_costs_twelve_bytes_over_its_diff() {
        let mut writer = Writer::new(60_000, Some(61_000));
        writer.diff_last(HEAD, Body::Plain(b"k"));
        assert_eq!(writer.finish().len(), 12 + 1);
    }

    #[test]
    fn acknowledgement_costs_four_bytes() {
        let mut writer = Writer::new(0, None);
        let before = writer.len();
        writer.ack(16, 40_000);
        assert_eq!(writer.len() - before, 4);
    }

    #[test]
    fn head_and_header_stay_within_their_stated_sizes() {
        let far = Head { channel: u16::MAX, num: u64::MAX, front: 0, base: 1 };
        let mut writer = Writer::new(u16::MAX, Some(u16::MAX));
        assert!(writer.len() <= HEADER_SIZE_MAX);
        let before = writer.len();
        writer.ack(u16::MAX, u64::MAX);
        assert!(writer.len() - before <= ACK_SIZE_MAX);
        let before = writer.len();
        let place = Place { id: u32::MAX, index: 255, count: 64, size: u32::MAX };
        writer.fragment(far, place, Body::Plain(&[]));
        assert!(writer.len() - before <= FRAGMENT_HEAD_SIZE_MAX);
    }

    #[test]
    fn every_item_reads_back() {
        let place = Place { id: 70_000, index: 15, count: 4, size: 21 };
        let items = [
            Item::Ping { wants_acks: true },
            Item::Ping { wants_acks: false },
            Item::Ack { channel: 40, num: u64::MAX },
            Item::Nack { channel: 3, num: 9 },
            Item::Diff(HEAD, Body::Plain(b"sized")),
            Item::Diff(Head { base: 39_999, ..HEAD }, Body::Plain(b"")),
        ];
        let ends = [
            Item::Diff(HEAD, Body::Plain(b"rest")),
            Item::Diff(HEAD, Body::Lz4(b"rest")),
            Item::Fragment(HEAD, place, Body::Plain(b"shards")),
            Item::Fragment(HEAD, place, Body::Lz4(b"shards")),
        ];
        for end in ends {
            let mut writer = Writer::new(7, Some(8));
            for item in items.iter().chain([&end]) {
                write(&mut writer, *item, matches!(item, i if *i == end));
            }
            let packet = writer.finish();
            let mut reader = Reader::new(&packet).expect("own header");
            assert_eq!((reader.clock, reader.echo), (7, Some(8)));
            for item in items.iter().chain([&end]) {
                assert_eq!(reader.item().expect("own item"), Some(*item));
            }
            assert_eq!(reader.item().expect("own end"), None);
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut reader) = Reader::new(&bytes) {
                while let Ok(Some(_)) = reader.item() {}
            }
        }
    }

    fn write(writer: &mut Writer, item: Item<'_>, is_last: bool) {
        match item {
            Item::Ping { wants_acks } => writer.ping(wants_acks),
            Item::Ack { channel, num } => writer.ack(channel, num),
            Item::Nack { channel, num } => writer.nack(channel, num),
            Item::Diff(head, Body::Plain(diff)) if !is_last => writer.diff_sized(head, diff),
            Item::Diff(head, body) => writer.diff_last(head, body),
            Item::Fragment(head, place, body) => writer.fragment(head, place, body),
        }
    }
}
