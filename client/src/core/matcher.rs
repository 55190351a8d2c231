//! Finds a sequence in a stream that comes in pieces.

/// How much of a sequence, whose first byte stands only at its start, was just seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Matcher {
    matched: usize,
}

impl Matcher {
    /// Where `sequence` ends in `bytes`, which go on from what came before. It may be another one
    /// after each that was found.
    pub fn find(&mut self, sequence: &[u8], bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            // The first byte stands only at the start, so a mismatch begins anew without looking
            // back.
            if byte == sequence[self.matched] {
                self.matched += 1;
            } else {
                self.matched = usize::from(byte == sequence[0]);
            }
            if self.matched == sequence.len() {
                self.matched = 0;
                return Some(at + 1);
            }
        }
        None
    }
}
