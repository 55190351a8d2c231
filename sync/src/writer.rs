//! Builds packets as [`crate::wire`] describes them.

use crate::wire::{Body, Head, Place, TAG_FRAGMENT, TAG_REST, TAG_REST_LZ4, TAG_SIZED};

/// Builds a packet.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    is_closed: bool,
}

impl Writer {
    /// Begins with the header.
    pub(crate) fn new(clock: u16, echo: Option<u16>) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(64), is_closed: false };
        writer.put(i64::from(clock));
        writer.put(echo.map_or(-1, i64::from));
        writer
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the last item took the rest of the packet.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn ping(&mut self, wants_acks: bool) {
        assert!(!self.is_closed, "nothing follows an item that takes the rest");
        self.bytes.push(if wants_acks { 0xc3 } else { 0xc2 });
    }

    pub(crate) fn ack(&mut self, channel: u16, num: u64) {
        assert!(!self.is_closed, "nothing follows an item that takes the rest");
        self.put(-1 - i64::from(channel));
        self.put_num(num);
    }

    pub(crate) fn nack(&mut self, channel: u16, num: u64) {
        assert!(!self.is_closed, "nothing follows an item that takes the rest");
        self.bytes.push(0xc0);
        self.put_num(u64::from(channel));
        self.put_num(num);
    }

    /// A diff that others may follow.
    pub(crate) fn diff_sized(&mut self, head: Head, diff: &[u8]) {
        self.head(head, TAG_SIZED);
        let size = u32::try_from(diff.len()).expect("a diff in a datagram is small");
        rmp::encode::write_bin_len(&mut self.bytes, size).expect("a Vec takes every write");
        self.bytes.extend_from_slice(diff);
    }

    /// The packet's last diff.
    pub(crate) fn diff_last(&mut self, head: Head, body: Body<'_>) {
        let (tag, bytes) = match body {
            Body::Plain(bytes) => (TAG_REST, bytes),
            Body::Lz4(bytes) => (TAG_REST_LZ4, bytes),
        };
        self.head(head, tag);
        self.bytes.extend_from_slice(bytes);
        self.is_closed = true;
    }

    /// A shard of a diff, which ends the packet.
    pub(crate) fn fragment(&mut self, head: Head, place: Place, body: Body<'_>) {
        let (is_lz4, bytes) = match body {
            Body::Plain(bytes) => (0, bytes),
            Body::Lz4(bytes) => (1, bytes),
        };
        self.head(head, TAG_FRAGMENT);
        self.put_num(u64::from(place.id));
        let count = u64::from(place.count) - 1;
        self.put_num(u64::from(place.index) * 128 + count * 2 + is_lz4);
        self.put_num(u64::from(place.size));
        self.bytes.extend_from_slice(bytes);
        self.is_closed = true;
    }

    fn head(&mut self, head: Head, tag: u64) {
        assert!(!self.is_closed, "nothing follows an item that takes the rest");
        assert!(head.front <= head.base && head.base < head.num, "a base is older and kept");
        self.put_num(u64::from(head.channel) * 4 + tag);
        self.put_num(head.num);
        self.put_num(head.num - head.front);
        self.put_num(if head.base == head.front { 0 } else { head.num - head.base });
    }

    fn put(&mut self, value: i64) {
        rmp::encode::write_sint(&mut self.bytes, value).expect("a Vec takes every write");
    }

    fn put_num(&mut self, value: u64) {
        rmp::encode::write_uint(&mut self.bytes, value).expect("a Vec takes every write");
    }
}
