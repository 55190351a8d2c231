//! Takes packets apart as [`crate::wire`] describes them. Any bytes may come.

use crate::PeerError;
use crate::erasure::{parity_count, shard_size};
use crate::wire::{Body, DATAGRAM_SIZE_MAX, Head, Item, Place};
use crate::wire::{TAG_FRAGMENT, TAG_REST_LZ4, TAG_SIZED};

/// Takes a packet apart, without allocating.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    pub(crate) clock: u16,
    pub(crate) echo: Option<u16>,
}

impl<'a> Reader<'a> {
    /// Reads the header.
    pub(crate) fn new(packet: &'a [u8]) -> Result<Self, PeerError> {
        let mut reader = Self { rest: packet, clock: 0, echo: None };
        reader.clock = reader.int()?;
        reader.echo = match reader.int::<i64>()? {
            -1 => None,
            echo => Some(u16::try_from(echo).map_err(|_| bad("echo out of range"))?),
        };
        Ok(reader)
    }

    /// The next item, `None` at the end.
    pub(crate) fn item(&mut self) -> Result<Option<Item<'a>>, PeerError> {
        let Some(first) = self.rest.first() else {
            return Ok(None);
        };
        let wants_acks = match first {
            0xc0 => {
                self.rest = &self.rest[1..];
                return Ok(Some(Item::Nack { channel: self.int()?, num: self.int()? }));
            }
            0xc2 => false,
            0xc3 => true,
            _ => return self.tagged().map(Some),
        };
        self.rest = &self.rest[1..];
        Ok(Some(Item::Ping { wants_acks }))
    }

    fn tagged(&mut self) -> Result<Item<'a>, PeerError> {
        let tag: i64 = self.int()?;
        if tag < 0 {
            let channel = u16::try_from(-1 - tag).map_err(|_| bad("channel out of range"))?;
            return Ok(Item::Ack { channel, num: self.int()? });
        }
        let channel = u16::try_from(tag / 4).map_err(|_| bad("channel out of range"))?;
        let head = self.head(channel)?;
        let kind = tag.unsigned_abs() % 4;
        if kind == TAG_SIZED {
            let size = rmp::decode::read_bin_len(&mut self.rest).map_err(|_| bad("not a diff"))?;
            let size = usize::try_from(size).map_err(|_| bad("diff out of range"))?;
            let (diff, rest) = self.rest.split_at_checked(size).ok_or_else(|| bad("cut diff"))?;
            self.rest = rest;
            return Ok(Item::Diff(head, Body::Plain(diff)));
        }
        if kind == TAG_FRAGMENT {
            return self.fragment(head);
        }
        let bytes = std::mem::take(&mut self.rest);
        let body = if kind == TAG_REST_LZ4 { Body::Lz4(bytes) } else { Body::Plain(bytes) };
        Ok(Item::Diff(head, body))
    }

    fn head(&mut self, channel: u16) -> Result<Head, PeerError> {
        let num: u64 = self.int()?;
        let front = num.checked_sub(self.int()?).ok_or_else(|| bad("front below zero"))?;
        let base = match self.int()? {
            0 => front,
            back => num.checked_sub(back).ok_or_else(|| bad("base below zero"))?,
        };
        if base >= num || base < front {
            return Err(bad("base out of range"));
        }
        Ok(Head { channel, num, front, base })
    }

    fn fragment(&mut self, head: Head) -> Result<Item<'a>, PeerError> {
        let id = self.int()?;
        let packed: u16 = self.int()?;
        let count = (packed >> 1 & 63) as u8 + 1;
        let index = u8::try_from(packed >> 7).map_err(|_| bad("shard out of range"))?;
        let place = Place { id, index, count, size: self.int()? };
        let data_count = usize::from(count);
        if usize::from(index) >= data_count + parity_count(data_count) {
            return Err(bad("shard out of range"));
        }
        let size = usize::try_from(place.size).map_err(|_| bad("diff too large"))?;
        if size == 0 || size > data_count * DATAGRAM_SIZE_MAX {
            return Err(bad("diff too large for shards"));
        }
        let bytes = std::mem::take(&mut self.rest);
        if bytes.len() != shard_size(size, data_count) {
            return Err(bad("shard of another size"));
        }
        let body = if packed & 1 == 1 { Body::Lz4(bytes) } else { Body::Plain(bytes) };
        Ok(Item::Fragment(head, place, body))
    }

    fn int<T: TryFrom<i128>>(&mut self) -> Result<T, PeerError> {
        let wide: i128 = match self.rest.first() {
            Some(0xcf) => rmp::decode::read_u64(&mut self.rest).map_err(|_| bad("cut"))?.into(),
            _ => rmp::decode::read_int::<i64, _>(&mut self.rest)
                .map_err(|_| bad("not a number"))?
                .into(),
        };
        T::try_from(wide).map_err(|_| bad("number out of range"))
    }
}

fn bad(what: &'static str) -> PeerError {
    PeerError(what.to_owned())
}
