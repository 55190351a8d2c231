//! The internet checksum (RFC 1071), and its update where bytes change (RFC 1624).

/// The checksum of several pieces, each of an even number of bytes but the last.
pub(super) fn sum(pieces: &[&[u8]]) -> u16 {
    !fold(pieces.iter().map(|piece| words(piece)).sum())
}

/// Updates the checksum that stands at `at` for `old` bytes replaced by `new` ones, which begin at
/// an even place and are as many.
pub(super) fn adjust(bytes: &mut [u8], at: usize, old: &[u8], new: &[u8]) {
    let stored = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    // ~(~HC + ~m + m'); the complement of a word is 0xffff minus it.
    let removed = (old.len() as u64 / 2) * 0xffff - words(old);
    let updated = !fold(u64::from(!stored) + removed + words(new));
    bytes[at..at + 2].copy_from_slice(&updated.to_be_bytes());
}

fn words(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0)))
        .sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
