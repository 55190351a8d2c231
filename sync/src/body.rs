//! Diffs as they travel: compressed where it pays, and bounded when they come back.

use crate::PeerError;
use crate::wire::{Body, DIFF_SIZE_MAX};

/// Shortest diff that is tried: below it lz4 has seen too little to find repetitions, and a
/// keystroke's diff must not pay for the attempt.
const COMPRESS_SIZE_MIN: usize = 128;
/// Bytes before an lz4 block: the size of what comes out, little-endian.
const SIZE_PREFIX: usize = 4;
/// An lz4 block cannot hold more: each byte of it stands for at most 255.
const RATIO_MAX: usize = 255;

/// A diff made ready to travel.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    is_lz4: bool,
}

impl Packed {
    /// Compresses if that saves an eighth or more.
    pub(crate) fn new(diff: Vec<u8>) -> Self {
        if diff.len() >= COMPRESS_SIZE_MIN {
            let size = u32::try_from(diff.len()).expect("the caller bounds diffs");
            let mut bytes = size.to_le_bytes().to_vec();
            bytes.extend_from_slice(&lz4_flex::block::compress(&diff));
            if bytes.len() <= diff.len() - diff.len() / 8 {
                return Self { bytes, is_lz4: true };
            }
        }
        Self { bytes: diff, is_lz4: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn body(&self) -> Body<'_> {
        self.slice(0, self.bytes.len())
    }

    /// Bytes `start..end`, with their kind.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Body<'_> {
        let bytes = &self.bytes[start..end];
        if self.is_lz4 { Body::Lz4(bytes) } else { Body::Plain(bytes) }
    }
}

/// The diff that `body` stands for. Allocates at most [`DIFF_SIZE_MAX`], and not before the body is
/// long enough to hold what it claims.
pub(crate) fn unpack(body: Body<'_>) -> Result<std::borrow::Cow<'_, [u8]>, PeerError> {
    let block = match body {
        Body::Plain(diff) if diff.len() <= DIFF_SIZE_MAX => return Ok(diff.into()),
        Body::Plain(_) => return Err(PeerError("diff too large".to_owned())),
        Body::Lz4(block) => block,
    };
    let (prefix, block) = block
        .split_first_chunk::<SIZE_PREFIX>()
        .ok_or_else(|| PeerError("compressed diff without a size".to_owned()))?;
    let size = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
    if size > DIFF_SIZE_MAX || size > block.len().saturating_mul(RATIO_MAX) {
        return Err(PeerError("compressed diff too large".to_owned()));
    }
    let diff = lz4_flex::block::decompress(block, size)
        .map_err(|_| PeerError("compressed diff is broken".to_owned()))?;
    Ok(diff.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_diff_travels_as_it_is() {
        let packed = Packed::new(vec![0; COMPRESS_SIZE_MIN - 1]);
        assert!(matches!(packed.body(), Body::Plain(_)));
    }

    #[test]
    fn repetitive_diff_shrinks() {
        let packed = Packed::new(vec![7; 10_000]);
        assert!(matches!(packed.body(), Body::Lz4(_)));
        assert!(packed.len() < 100);
    }

    #[test]
    fn claimed_size_is_refused_before_it_is_allocated() {
        let mut bomb = u32::MAX.to_le_bytes().to_vec();
        bomb.extend([0; 40]);
        assert!(unpack(Body::Lz4(&bomb)).is_err());
        let mut bomb = 1_000_000u32.to_le_bytes().to_vec();
        bomb.extend([0; 40]);
        assert!(unpack(Body::Lz4(&bomb)).is_err());
    }

    proptest! {
        #[test]
        fn every_diff_comes_back(
            diff in prop::collection::vec(0u8..4, 0..2000),
            noise in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            for diff in [diff, noise] {
                let packed = Packed::new(diff.clone());
                prop_assert_eq!(unpack(packed.body()).expect("own body").into_owned(), diff);
            }
        }

        #[test]
        fn foreign_blocks_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(Body::Lz4(&bytes));
        }
    }
}
