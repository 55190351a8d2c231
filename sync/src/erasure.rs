//! Reed-Solomon over shards: any `count` of them restore the data.
//!
//! Field, basis and order of the shards are those of the crate `reed-solomon-simd`, version 3 (the
//! codes of Leopard-RS). Its code depends on how many parity shards there could be, so that number
//! is part of the protocol: [`parity_count`]. Its tables take 8 MB and 8 ms per process, once, and
//! only where something is lost.

use reed_solomon_simd::{Error, ReedSolomonDecoder, ReedSolomonEncoder};
use std::collections::BTreeMap;

/// Parity shards for each data shard. A batch at 29 % loss uses a third of them; a transfer that
/// needs more than three times its size begins anew with the shards it began with.
const PARITY_RATIO: usize = 3;

/// How many parity shards belong to `count` data shards. Part of the protocol.
pub(crate) const fn parity_count(count: usize) -> usize {
    count * PARITY_RATIO
}

/// Bytes per shard when `size` bytes are cut into `count`: an even number. Part of the protocol.
pub(crate) fn shard_size(size: usize, count: usize) -> usize {
    size.div_ceil(count.max(1)).next_multiple_of(2)
}

/// All parity shards of `data`, which is a whole number of shards.
pub(crate) fn parity(data: &[u8], shard_size: usize) -> Result<Vec<Vec<u8>>, Error> {
    let count = data.len() / shard_size.max(1);
    let mut encoder = ReedSolomonEncoder::new(count, parity_count(count), shard_size)?;
    for shard in data.chunks(shard_size) {
        encoder.add_original_shard(shard)?;
    }
    let parity = encoder.encode()?;
    Ok(parity.recovery_iter().map(<[u8]>::to_vec).collect())
}

/// The data that `shards` (by index, data first; at least `count`, of one size) stand for.
pub(crate) fn restore(
    mut shards: BTreeMap<u8, Vec<u8>>,
    count: usize,
    shard_size: usize,
) -> Result<Vec<u8>, Error> {
    let is_data = |index: u8| usize::from(index) < count;
    if !shards.keys().take(count).all(|index| is_data(*index)) {
        let mut decoder = ReedSolomonDecoder::new(count, parity_count(count), shard_size)?;
        for (index, shard) in &shards {
            let index = usize::from(*index);
            match index.checked_sub(count) {
                None => decoder.add_original_shard(index, shard)?,
                Some(parity) => decoder.add_recovery_shard(parity, shard)?,
            }
        }
        let restored = decoder.decode()?;
        for (index, shard) in restored.restored_original_iter() {
            let index = u8::try_from(index).map_err(|_| Error::UnsupportedShardCount {
                original_count: count,
                recovery_count: parity_count(count),
            })?;
            shards.insert(index, shard.to_vec());
        }
    }
    Ok(shards.into_values().take(count).flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_count_of_the_shards_restore_the_data() {
        for (count, size) in [(1, 10), (2, 100), (7, 64), (36, 1100), (64, 2)] {
            let data: Vec<u8> = (0..count * size).map(|n| (n * n / 7) as u8).collect();
            let parity = parity(&data, size).expect("supported");
            assert_eq!(parity.len(), parity_count(count));
            let all: Vec<&[u8]> =
                data.chunks(size).chain(parity.iter().map(Vec::as_slice)).collect();
            for (first, step) in [(0, 1), (count, 1), (1, 3), (count / 2, 2)] {
                let shards: BTreeMap<u8, Vec<u8>> = (0..count)
                    .map(|n| (first + n * step) % all.len())
                    .map(|n| (u8::try_from(n).expect("few"), all[n].to_vec()))
                    .collect();
                if shards.len() == count {
                    assert_eq!(restore(shards, count, size).expect("enough"), data);
                }
            }
        }
    }

    #[test]
    fn code_is_the_one_that_is_documented() {
        // Other versions of Tern must make the same parity.
        let parity = parity(b"abcdefgh", 4).expect("supported");
        let expected = [
            [85, 40, 104, 97],
            [81, 44, 108, 109],
            [201, 21, 101, 101],
            [205, 17, 97, 105],
            [253, 95, 110, 96],
            [249, 91, 106, 108],
        ];
        assert_eq!(parity, expected);
    }
}
