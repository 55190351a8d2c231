//! Diffs that need more than one datagram: cut into at most [`FRAGMENTS_MAX`], put together again.

use crate::PeerError;
use crate::body::Packed;
use crate::wire::{Body, FRAGMENTS_MAX, Head, Place};

/// A diff on its way in pieces.
#[derive(Debug)]
pub(crate) struct Run {
    head: Head,
    id: u32,
    packed: Packed,
    /// Bytes per piece.
    cut: usize,
    next: usize,
    count: usize,
}

impl Run {
    /// Cuts `packed` into equal pieces of at most `room` bytes; `None` if it takes too many.
    pub(crate) fn new(head: Head, id: u32, packed: &Packed, room: usize) -> Option<Self> {
        let count = packed.len().div_ceil(room.max(1)).max(1);
        if room == 0 || count > FRAGMENTS_MAX {
            return None;
        }
        let cut = packed.len().div_ceil(count);
        Some(Self { head, id, packed: packed.clone(), cut, next: 0, count })
    }

    /// Whose diff it is.
    pub(crate) fn channel(&self) -> u16 {
        self.head.channel
    }

    /// Bytes of the largest piece.
    pub(crate) fn piece_size_max(&self) -> usize {
        self.cut
    }

    /// Whether every piece was given.
    pub(crate) fn is_done(&self) -> bool {
        self.next == self.count
    }

    /// The next piece, `None` after the last.
    pub(crate) fn next(&mut self) -> Option<(Head, Place, Body<'_>)> {
        if self.is_done() {
            return None;
        }
        let start = self.next * self.cut;
        let end = (start + self.cut).min(self.packed.len());
        let small = |n: usize| u8::try_from(n).expect("at most FRAGMENTS_MAX");
        let place = Place { id: self.id, index: small(self.next), count: small(self.count) };
        self.next += 1;
        Some((self.head, place, self.packed.slice(start, end)))
    }
}

/// The pieces of one diff that arrived so far: at most [`FRAGMENTS_MAX`] datagrams' worth.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    head: Head,
    id: u32,
    is_lz4: bool,
    pieces: Vec<Option<Vec<u8>>>,
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
    /// Takes a piece; pieces of what is newer displace those of what is older.
    pub(crate) fn handle(
        &mut self,
        head: Head,
        place: Place,
        body: Body<'_>,
    ) -> Result<Option<Whole>, PeerError> {
        let (is_lz4, bytes) = match body {
            Body::Plain(bytes) => (false, bytes),
            Body::Lz4(bytes) => (true, bytes),
        };
        let age = |open: &Open| (head.num, place.id).cmp(&(open.head.num, open.id));
        let count = usize::from(place.count);
        match self.open.as_ref().map(age) {
            Some(std::cmp::Ordering::Less) => return Ok(None),
            Some(std::cmp::Ordering::Equal) => {}
            Some(std::cmp::Ordering::Greater) | None => {
                let pieces = vec![None; count];
                self.open = Some(Open { head, id: place.id, is_lz4, pieces });
            }
        }
        let open = self.open.as_mut().expect("opened above");
        if (open.head.base, open.is_lz4, open.pieces.len()) != (head.base, is_lz4, count) {
            return Err(PeerError("fragments of one diff disagree".to_owned()));
        }
        let piece = open
            .pieces
            .get_mut(usize::from(place.index))
            .ok_or_else(|| PeerError("fragment out of range".to_owned()))?;
        *piece = Some(bytes.to_vec());
        if open.pieces.iter().any(Option::is_none) {
            return Ok(None);
        }
        let open = self.open.take().expect("filled above");
        let bytes = open.pieces.into_iter().flatten().flatten().collect();
        Ok(Some(Whole { head: open.head, is_lz4: open.is_lz4, bytes }))
    }

    /// Drops pieces that serve nothing, now that state `num` is held.
    pub(crate) fn on_held(&mut self, num: u64) {
        self.open.take_if(|open| open.head.num <= num);
    }

    /// Bytes that wait for the rest.
    pub(crate) fn byte_count(&self) -> usize {
        let pieces = self.open.iter().flat_map(|open| &open.pieces);
        pieces.flatten().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { channel: 1, num: 5, front: 3, base: 3 };

    #[test]
    fn pieces_in_any_order_make_the_diff() {
        let diff: Vec<u8> = (0..100).collect();
        let pieces = cut(1, HEAD, &diff, 30);
        assert_eq!(pieces.len(), 4);
        let mut assembly = Assembly::default();
        for index in [2, 0, 0, 3] {
            assert_eq!(feed(&mut assembly, &pieces[index]), None);
        }
        let whole = feed(&mut assembly, &pieces[1]).expect("all pieces");
        assert_eq!((whole.head, whole.body()), (HEAD, Body::Plain(&diff[..])));
        assert_eq!(assembly.byte_count(), 0);
    }

    #[test]
    fn two_cuts_of_one_state_do_not_mix() {
        let diff: Vec<u8> = (0..100).collect();
        let (first, second) = (cut(1, HEAD, &diff, 30), cut(2, HEAD, &diff, 60));
        let mut assembly = Assembly::default();
        assert_eq!(feed(&mut assembly, &first[0]), None);
        assert_eq!(feed(&mut assembly, &second[1]), None);
        assert_eq!(feed(&mut assembly, &first[1]), None);
        let whole = feed(&mut assembly, &second[0]).expect("all pieces");
        assert_eq!(whole.body(), Body::Plain(&diff[..]));
    }

    #[test]
    fn too_large_a_diff_is_given_back() {
        let packed = Packed::new((0..=255).cycle().take(121).collect());
        assert!(Run::new(HEAD, 1, &packed, 30).is_none());
    }

    #[test]
    fn disagreeing_pieces_are_the_peers_fault() {
        let mut assembly = Assembly::default();
        let place = Place { id: 1, index: 0, count: 3 };
        assembly.handle(HEAD, place, Body::Plain(b"a")).expect("first piece");
        let place = Place { id: 1, index: 1, count: 2 };
        assert!(assembly.handle(HEAD, place, Body::Plain(b"b")).is_err());
    }

    #[test]
    fn newer_state_frees_older_pieces() {
        let mut assembly = Assembly::default();
        let place = Place { id: 1, index: 0, count: 3 };
        assembly.handle(HEAD, place, Body::Plain(b"abc")).expect("first piece");
        assert_eq!(assembly.byte_count(), 3);
        assembly.on_held(HEAD.num - 1);
        assert_eq!(assembly.byte_count(), 3);
        assembly.on_held(HEAD.num);
        assert_eq!(assembly.byte_count(), 0);
    }

    type Piece = (Head, Place, Vec<u8>);

    fn cut(id: u32, head: Head, diff: &[u8], room: usize) -> Vec<Piece> {
        let mut run = Run::new(head, id, &Packed::new(diff.to_vec()), room).expect("fits");
        let mut pieces = Vec::new();
        while let Some((head, place, Body::Plain(bytes))) = run.next() {
            pieces.push((head, place, bytes.to_vec()));
        }
        pieces
    }

    fn feed(assembly: &mut Assembly, (head, place, bytes): &Piece) -> Option<Whole> {
        assembly.handle(*head, *place, Body::Plain(bytes)).expect("own pieces")
    }
}
